# SPDX-License-Identifier: Apache-2.0
"""The guest builder against the tools that know the formats: sfdisk, e2fsck, debugfs, mtools, and a real boot."""

import hashlib
import json
import os
import re
import selectors
import shutil
import subprocess
import time
import uuid
from pathlib import Path

import pytest

from v2x.errors import V2xError
from v2x.model.machine import Firmware
from v2x.simulators import programs
from v2x.simulators.guest import MARKER, GuestImage, build_guest, contents, kernel, layout, missing_tools
from v2x.simulators.guest.contents import Entry

TOOLS = {"PATH": programs.PATH, "LC_ALL": "C", "MTOOLS_SKIP_CHECK": "1"}
BOOT_SECONDS = 240


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[Firmware, GuestImage]:
    folder = tmp_path_factory.mktemp("guests")
    return {kind: build_guest(folder / f"{kind.value}.raw", firmware=kind) for kind in Firmware}


def said(*argv: str) -> str:
    return subprocess.run(
        argv, env=TOOLS, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ).stdout


def file_inside(image: GuestImage, path: str, out: Path) -> bytes:
    said("debugfs", "-R", f"dump {path} {out}", f"{image.path}?offset={image.root_offset}")
    return out.read_bytes()


def test_the_tools_it_needs_are_installed_here():
    assert missing_tools() == []


@pytest.mark.parametrize("firmware", Firmware)
def test_a_sparse_disk_of_the_stated_size(images: dict[Firmware, GuestImage], firmware: Firmware):
    image = images[firmware]
    status = image.path.stat()
    assert status.st_size == image.size_bytes
    assert 8 * 2**20 < status.st_blocks * 512 < 64 * 2**20


@pytest.mark.parametrize(
    ("firmware", "label", "types"),
    [
        (Firmware.BIOS, "dos", ["83"]),
        (
            Firmware.UEFI,
            "gpt",
            ["C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "0FC63DAF-8483-4772-8E79-3D69D8477DE4"],
        ),
    ],
)
def test_partition_table(images: dict[Firmware, GuestImage], firmware: Firmware, label: str, types: list[str]):
    table = json.loads(said("sfdisk", "--json", str(images[firmware].path)))["partitiontable"]
    assert table["label"] == label
    assert [part["type"] for part in table["partitions"]] == types
    last = table["partitions"][-1]
    assert last["start"] * 512 == images[firmware].root_offset
    assert (last["start"] + last["size"]) * 512 <= images[firmware].size_bytes


@pytest.mark.parametrize("firmware", Firmware)
def test_ext4_is_clean_and_holds_the_files(images: dict[Firmware, GuestImage], firmware: Firmware, tmp_path: Path):
    image = images[firmware]
    checked = subprocess.run(
        ["e2fsck", "-fn", f"{image.path}?offset={image.root_offset}"],
        env=TOOLS,
        check=False,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout
    payload = file_inside(image, "/payload.bin", tmp_path / "payload")
    assert hashlib.md5(payload).hexdigest() == image.payload_md5
    assert hashlib.sha256(payload).hexdigest() == image.payload_sha256
    assert b"ID=debian" in file_inside(image, "/etc/os-release", tmp_path / "release")
    grub = file_inside(image, "/boot/grub/grub.cfg", tmp_path / "grub").decode()
    assert f"/boot/vmlinuz-{image.kernel_release}" in grub


@pytest.mark.parametrize("firmware", Firmware)
def test_everything_belongs_to_root(images: dict[Firmware, GuestImage], firmware: Firmware):
    image = images[firmware]
    for folder in ("/", "/bin", "/etc", "/boot"):
        listing = said("debugfs", "-R", f"ls -p {folder}", f"{image.path}?offset={image.root_offset}")
        owners = {tuple(line.split("/")[3:5]) for line in listing.splitlines() if line.startswith("/")}
        assert owners == {("0", "0")}


def test_the_boot_loader_is_where_firmware_looks(images: dict[Firmware, GuestImage]):
    first = images[Firmware.BIOS].path.open("rb").read(512)
    assert first[510:] == b"\x55\xaa"
    assert b"GRUB" in first[:440]
    listing = said("mdir", "-b", "-i", f"{images[Firmware.UEFI].path}@@1M", "::/EFI/BOOT")
    assert "::/EFI/BOOT/BOOTX64.EFI" in listing


def test_the_same_seed_gives_the_same_bytes(images: dict[Firmware, GuestImage], tmp_path: Path):
    for firmware, first in images.items():
        again = build_guest(tmp_path / "again.raw", firmware=firmware)
        assert again.payload_md5 == first.payload_md5
        assert again.path.read_bytes() == first.path.read_bytes()


def test_another_seed_gives_another_guest(images: dict[Firmware, GuestImage], tmp_path: Path):
    other = build_guest(tmp_path / "other.raw", firmware=Firmware.BIOS, seed=7)
    assert other.payload_md5 != images[Firmware.BIOS].payload_md5


def test_a_stated_size_is_kept(tmp_path: Path):
    image = build_guest(tmp_path / "large.raw", firmware=Firmware.UEFI, size_mib=3001)
    assert image.size_bytes == 3001 * 2**20 == image.path.stat().st_size
    assert image.path.stat().st_blocks * 512 < 128 * 2**20


def test_a_size_too_small_is_refused(tmp_path: Path):
    with pytest.raises(V2xError, match=r"needs [0-9]+ MiB, not 20 MiB"):
        build_guest(tmp_path / "small.raw", firmware=Firmware.BIOS, size_mib=20)
    assert list(tmp_path.iterdir()) == []


def test_no_kernel_names_the_package(tmp_path: Path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(V2xError, match="no Linux kernel") as caught:
        build_guest(tmp_path / "out.raw", firmware=Firmware.BIOS, kernel_root=empty)
    assert "linux-image-amd64" in caught.value.hint


def test_a_kernel_from_an_unpacked_package(tmp_path: Path):
    here = kernel.find_kernel(Path("/"), programs.FETCHED)
    unpacked = tmp_path / "package"
    (unpacked / "boot").mkdir(parents=True)
    shutil.copy(here.image, unpacked / "boot" / here.image.name)
    (unpacked / "lib" / "modules" / here.release).mkdir(parents=True)
    (unpacked / "lib" / "modules" / here.release / "kernel").symlink_to(here.modules / "kernel")
    image = build_guest(tmp_path / "out.raw", firmware=Firmware.BIOS, kernel_root=unpacked)
    assert image.kernel_release == here.release


def test_the_newest_of_several_kernels(tmp_path: Path):
    for release in ("6.1.0-9-amd64", "6.1.0-10-amd64", "5.10.0-30-amd64"):
        (tmp_path / "boot").mkdir(exist_ok=True)
        (tmp_path / "boot" / f"vmlinuz-{release}").write_bytes(b"kernel")
        (tmp_path / "lib" / "modules" / release / "kernel").mkdir(parents=True)
    (tmp_path / "boot" / "vmlinuz-7.0.0-no-modules").write_bytes(b"kernel")
    assert kernel.find_kernel(tmp_path).release == "6.1.0-10-amd64"


def test_a_kernel_without_the_driver_is_refused(tmp_path: Path):
    modules = tmp_path / "lib" / "modules" / "1-amd64"
    (modules / "kernel").mkdir(parents=True)
    found = kernel.Kernel("1-amd64", tmp_path / "vmlinuz", modules)
    with pytest.raises(V2xError, match="no driver ext4"):
        kernel.load_modules(found, ["ext4"], required=["ext4"])


def test_modules_come_after_what_they_need():
    found = kernel.find_kernel(Path("/"), programs.FETCHED)
    loaded = kernel.load_modules(found, contents.storage_drivers("full"), required=["ext4"])
    names = [module.name for module in loaded]
    assert len(names) == len(set(names))
    for position, module in enumerate(loaded):
        assert {name for name in module.needs if name in names} <= set(names[:position])
    assert {"ext4", "jbd2", "xen_blkfront", "vmw_pvscsi"} <= set(names)


def test_the_vmware_initramfs_has_no_xen_driver():
    assert "xen-blkfront" in contents.storage_drivers("full")
    assert not set(contents.STORAGE_ELSEWHERE) & set(contents.storage_drivers("vmware"))


def test_the_initramfs_is_an_archive_that_cpio_reads(tmp_path: Path):
    module = kernel.Module("one", "kernel/fs/one.ko", (), b"\x7fELF odd")
    packed = contents.initramfs(b"shell", [module], "6-test")
    plain = subprocess.run(["gzip", "-dc"], input=packed, check=True, capture_output=True).stdout
    subprocess.run(["cpio", "--quiet", "-id"], input=plain, cwd=tmp_path, check=True)
    assert (tmp_path / "bin/busybox").read_bytes() == b"shell"
    assert (tmp_path / "lib/modules/6-test/kernel/fs/one.ko").read_bytes() == module.data
    assert (tmp_path / "modules").read_text() == "/lib/modules/6-test/kernel/fs/one.ko\n"
    assert os.access(tmp_path / "init", os.X_OK)


def test_a_missing_program_names_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(programs, "PATH", str(tmp_path))
    assert ("mke2fs", "e2fsprogs") in missing_tools()
    with pytest.raises(V2xError, match="cannot be built without") as caught:
        build_guest(tmp_path / "out.raw", firmware=Firmware.BIOS)
    assert "mtools" in caught.value.hint


def test_a_dynamic_busybox_will_not_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(programs, "_BUSYBOX_PLACES", (Path("/bin/ls"),))
    with pytest.raises(V2xError, match="statically linked") as caught:
        programs.busybox()
    assert "busybox-static" in caught.value.hint


def test_a_failing_program_is_an_error_with_its_words(tmp_path: Path):
    with pytest.raises(V2xError, match="mke2fs failed with exit code"):
        programs.run(["mke2fs", "absent.img"], cwd=tmp_path)


def test_a_slow_program_is_stopped(tmp_path: Path):
    with pytest.raises(V2xError, match="did not end within"):
        programs.run(["sleep", "30"], cwd=tmp_path, timeout=0.2)


def test_a_file_that_does_not_fit_is_an_error(tmp_path: Path):
    identity = layout.Identity(*(uuid.UUID(int=n + 1) for n in range(5)))
    place = layout.partition(tmp_path / "d.raw", 12, Firmware.BIOS, identity)
    with pytest.raises(V2xError, match="debugfs"):
        layout.write_root(tmp_path / "d.raw", place, identity, [Entry("big", 0o644, bytes(range(256)) * 65536)])


def qemu_argv(image: GuestImage, variables: Path) -> list[str]:
    argv = [
        "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-m", "512", "-smp", "1", "-nodefaults", "-display",
        "none", "-no-reboot", "-serial", "stdio", "-monitor", "none", "-vga", "none",
        "-blockdev", f"driver=raw,node-name=disk,file.driver=file,file.filename={image.path}",
        "-device", "virtio-blk-pci,drive=disk", "-netdev", "user,id=net,restrict=on",
        "-device", "e1000,netdev=net,mac=52:54:00:11:22:33",
    ]  # fmt: skip
    if image.firmware is Firmware.BIOS:
        return [*argv, "-machine", "pc"]
    code = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
    shutil.copy(code.with_name("OVMF_VARS_4M.fd"), variables)
    return [
        *argv, "-machine", "q35",
        "-drive", f"if=pflash,format=raw,readonly=on,file={code}",
        "-drive", f"if=pflash,format=raw,file={variables}",
    ]  # fmt: skip


def serial_until(process: "subprocess.Popen[bytes]", word: bytes, seconds: float) -> bytes:
    assert process.stdout is not None
    heard = b""
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not re.search(re.escape(word) + rb"[^\n]*\n", heard) and time.monotonic() < deadline:
            if selector.select(1.0):
                chunk = os.read(process.stdout.fileno(), 65536)
                if not chunk:
                    break
                heard += chunk
    return heard


@pytest.mark.slow
@pytest.mark.timeout(BOOT_SECONDS + 40)
@pytest.mark.parametrize("firmware", Firmware)
def test_it_boots(firmware: Firmware, tmp_path: Path):
    image = build_guest(tmp_path / "disk.raw", firmware=firmware)
    process = subprocess.Popen(
        qemu_argv(image, tmp_path / "vars.fd"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=TOOLS
    )
    try:
        heard = serial_until(process, MARKER.encode(), BOOT_SECONDS)
    finally:
        process.kill()
        process.communicate()
    line = next((line for line in heard.decode("utf-8", "replace").splitlines() if MARKER in line), "")
    assert f"firmware={firmware.value}" in line, heard[-2000:]
    assert f"payload={image.payload_md5}" in line
    assert "eth0=52:54:00:11:22:33" in line
    assert "boots=1 " in line
