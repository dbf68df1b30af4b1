# SPDX-License-Identifier: Apache-2.0
"""Guests whose root lies below something: LUKS, LVM, a subvolume of btrfs, and what cannot be looked into at all."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import guests
from tests.debian_guest import read_file
from tests.luks_guest import FIRST, LUKS_UUID, PASSPHRASE, encrypted_disk, luks_options, partitioned, qemu_img

MIB = 1 << 20


def v2x(*argv: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "v2x", *map(str, argv)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def key_file(folder: Path, text: str = PASSPHRASE) -> Path:
    path = folder / f"key-{len(text)}"
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encrypted_disk(tmp_path_factory.mktemp("luks"))


def opened(disk: Path, folder: Path) -> Path:
    """The plain file system of an encrypted disk."""
    sealed, plain = folder / "out.luks", folder / "out.plain"
    with disk.open("rb") as given, sealed.open("wb") as out:
        given.seek(FIRST)
        while part := given.read(4 * MIB):
            out.write(part)
    qemu_img(folder, "convert", "--image-opts", luks_options(sealed), "-O", "raw", plain)
    return plain


def agent(folder: Path) -> Path:
    """A package in the place of the pool's guest agent: it has one program, and needs what every Debian has."""
    tree = folder / "agent"
    guests.lay(
        tree,
        {
            "/DEBIAN/control": (
                "Package: xe-guest-utilities\nVersion: 8.4.0\nArchitecture: amd64\nMaintainer: tests <t@example.org>\n"
                "Depends: libc6, dpkg\nDescription: stands for the agent\n"
            ),
            "/usr/sbin/xe-daemon": "#!/bin/sh\n",
        },
    )
    package = folder / "xe-guest-utilities_8.4.0_amd64.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, package], check=True, capture_output=True)
    return package


def states(plain: Path) -> dict[str, str]:
    """Package to its state, as the guest's dpkg has it."""
    text = read_file(plain, 0, "/var/lib/dpkg/status").decode()
    return dict(re.findall(r"^Package: (\S+)\nStatus: (.*)$", text, re.MULTILINE))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_root_on_luks_is_put_right_with_its_key_and_all_wishes_are_granted(encrypted: Path, tmp_path: Path) -> None:
    wishes = ("--luks-key-file", key_file(tmp_path), "--remove-tools", "--guest-agent", agent(tmp_path))
    ran = v2x("convert", encrypted, tmp_path / "out.raw", "--convert-guest", *wishes, "--json")
    assert ran.returncode == 0, ran.stderr
    assert PASSPHRASE not in ran.stdout + ran.stderr
    told = json.loads(ran.stdout)["conversion"]
    assert not [one for one in told["remarks"] if "could not" in one["text"]], told["remarks"]
    plain = opened(tmp_path / "out.raw", tmp_path)
    assert read_file(plain, 0, "/etc/crypttab").decode() == f"vault_crypt UUID={LUKS_UUID} none luks\n"
    assert "/dev/mapper/vault_crypt / ext4" in read_file(plain, 0, "/etc/fstab").decode()
    found = states(plain)
    assert found["xe-guest-utilities"] == "install ok installed"
    assert found["open-vm-tools"] == "deinstall ok config-files"
    assert read_file(plain, 0, "/usr/sbin/xe-daemon") == b"#!/bin/sh\n"
    assert read_file(plain, 0, "/var/cache/v2x/agent.deb") == b""
    (command,) = [one for one in told["commands"] if "update-initramfs" in one["argv"]]
    image = tmp_path / "initrd"
    image.write_bytes(read_file(plain, 0, f"/boot/initrd.img-{command['argv'][-1]}"))
    unpacked = tmp_path / "unpacked"
    subprocess.run(["unmkinitramfs", image, unpacked], check=True, capture_output=True)
    (crypttab,) = unpacked.rglob("cryptroot/crypttab")
    assert f"vault_crypt UUID={LUKS_UUID} none luks" in crypttab.read_text()
    assert list(unpacked.rglob("xen-blkfront.ko"))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_without_its_key_it_passes_untouched_and_with_a_wrong_one_it_is_refused(
    encrypted: Path, tmp_path: Path
) -> None:
    ran = v2x("convert", encrypted, "--guest-plan", "--json")
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert (found["edits"], found["commands"]) == ([], [])
    assert "/dev/sda1: encrypted with LUKS" in found["remarks"][0]["text"]
    wrong = v2x("convert", encrypted, "--guest-plan", "--luks-key-file", key_file(tmp_path, "wrong"))
    assert wrong.returncode == 6
    assert "[GUEST-LOCKED]" in wrong.stderr and "wrong" not in wrong.stderr


_LAYERS = """
import sys, guestfs
handle = guestfs.GuestFS(python_return_dict=True)
handle.add_drive_opts(sys.argv[1], format="raw")
handle.launch()
handle.part_disk("/dev/sda", "mbr")
handle.pvcreate("/dev/sda1")
handle.vgcreate("vg", ["/dev/sda1"])
handle.lvcreate("root", "vg", 300)
handle.mkfs("btrfs", "/dev/vg/root")
handle.mount("/dev/vg/root", "/")
for name in ("@", "@home"):
    handle.btrfs_subvolume_create("/" + name)
handle.tar_in(sys.argv[2], "/@")
handle.shutdown()
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_subvolume_of_btrfs_on_lvm_is_mounted_as_the_guest_does(tmp_path: Path) -> None:
    tree, disk = tmp_path / "tree", tmp_path / "disk.raw"
    fstab = (
        "/dev/mapper/vg-root / btrfs subvol=@ 0 0\n/dev/mapper/vg-root /home btrfs subvol=@home 0 0\n"
        "/dev/sdb1 /srv ext4 defaults 0 2\n"
    )
    files = {**guests.debian("12"), "/etc/debian_version": "12.5\n", "/var/lib/dpkg/status": "", "/etc/fstab": fstab}
    guests.lay(tree, files)
    for name in ("bin", "home", "srv", "proc", "dev", "sys"):
        (tree / name).mkdir(exist_ok=True)
    subprocess.run(["tar", "-c", "-f", tmp_path / "tree.tar", "-C", tree, "."], check=True)
    with disk.open("wb") as out:
        out.truncate(400 * MIB)
    settings = {"LIBGUESTFS_BACKEND": "direct", "LIBGUESTFS_BACKEND_SETTINGS": "force_tcg"}
    program = ["/usr/bin/python3", "-c", _LAYERS, disk, tmp_path / "tree.tar"]
    subprocess.run(program, check=True, env={**os.environ, **settings})
    ran = v2x("convert", disk, "--guest-plan", "--json")
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["guest"]["lvm"] and found["guest"]["btrfs"]
    edits = {one["path"]: one for one in found["edits"]}
    assert edits["/etc/fstab"]["after"] == fstab.replace("/dev/sdb1", "/dev/xvdb1")
    unmounted = [one["text"] for one in found["remarks"] if "could not be mounted" in one["text"]]
    assert unmounted == ["/srv could not be mounted, so nothing there was looked at"]  # its disk is not there


@pytest.mark.slow
def test_a_pool_of_zfs_is_named_and_left(tmp_path: Path) -> None:
    """blkid knows a member of a pool by the magic numbers of its uberblocks; that is all there is of it here."""
    content, disk = tmp_path / "zfs.raw", tmp_path / "disk.raw"
    with content.open("wb") as out:
        out.truncate(64 * MIB)
        for label in (0, 256 << 10):
            for slot in range(8):
                out.seek(label + (128 << 10) + slot * 1024)
                out.write((0x00BAB10C).to_bytes(8, "little") + (5000).to_bytes(8, "little"))
    partitioned(disk, content, kind="bf")
    ran = v2x("convert", disk, "--guest-plan", "--json")
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["edits"] == []
    assert "/dev/sda1: a pool of ZFS" in found["remarks"][0]["text"]
