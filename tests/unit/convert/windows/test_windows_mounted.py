# SPDX-License-Identifier: Apache-2.0
"""A Windows on a real NTFS, found and put right by libguestfs from the command line; also behind BitLocker.

What was written is read back with ntfs-3g's programs and libregf, without libguestfs and hivex.
"""

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pyregf
import pytest

from tests import bitlocker_volume
from tests.bitlocker_volume import CLEAR, RECOVERY, RECOVERY_KEY, TPM
from tests.windows_guests import MAC, MSI, SYSTEM, lay_windows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
MIB = 1 << 20
SIZE = 24 * MIB
HERE = "Program Files/v2x/firstboot"
PRIVATE = "01000490"


@pytest.fixture(autouse=True)
def emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIBGUESTFS_BACKEND_SETTINGS", "force_tcg")


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An NTFS with a Windows in it."""
    folder = tmp_path_factory.mktemp("ntfs")
    guest = lay_windows(folder / "tree")
    (guest.root / "pagefile.sys").write_bytes(b"page")
    image = folder / "part.raw"
    with open(image, "wb") as out:
        out.truncate(SIZE)
    with tarfile.open(folder / "tree.tar", "w") as archive:
        archive.add(guest.root, ".")
    program = folder / "lay.py"
    program.write_text(
        "import guestfs, sys\nh = guestfs.GuestFS(python_return_dict=True)\n"
        "h.add_drive_opts(sys.argv[1], format='raw')\nh.launch()\nh.mkfs('ntfs', '/dev/sda')\n"
        "h.mount('/dev/sda', '/')\nh.tar_in(sys.argv[2], '/')\nh.umount_all()\nh.shutdown()\n"
    )
    env = {**os.environ, "LIBGUESTFS_BACKEND": "direct", "LIBGUESTFS_BACKEND_SETTINGS": "force_tcg"}
    subprocess.run(["/usr/bin/python3", program, image, folder / "tree.tar"], check=True, env=env)
    return image.read_bytes()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("drivers") / "XenTools-x64.msi"
    path.write_bytes(MSI)
    return path


def disk(path: Path, content: bytes) -> Path:
    """A disk with one partition of NTFS or BitLocker."""
    sectors = len(content) // 512
    with open(path, "wb") as out:
        out.truncate(MIB + len(content) + MIB)
    subprocess.run(["sfdisk", "-q", path], input=f"start=2048, size={sectors}, type=7\n", text=True, check=True)
    with open(path, "r+b") as out:
        out.seek(MIB)
        out.write(content)
    return path


def partition(path: Path) -> bytes:
    return path.read_bytes()[MIB:-MIB]


def run(*argv: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "v2x", *map(str, argv)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


class Ntfs:
    """An NTFS in a file, read by ntfs-3g's programs."""

    def __init__(self, path: Path, content: bytes) -> None:
        self._path = path
        path.write_bytes(content)

    def read(self, name: str) -> bytes:
        return subprocess.run(["ntfscat", self._path, name], capture_output=True, check=True).stdout

    def names(self, folder: str) -> set[str]:
        found = subprocess.run(["ntfsls", "-p", folder, self._path], capture_output=True, text=True, check=True)
        return set(found.stdout.split("\n")) - {""}

    def rights(self, name: str) -> str:
        argv = ["ntfssecaudit", "-v", self._path, name]
        shown = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
        lines = [line.split()[1:] for line in shown.splitlines() if line.startswith("        0")]
        return "".join(word for words in lines for word in words)


def settings(ntfs: Ntfs, folder: Path, key: str) -> dict[str, int | str]:
    hive = folder / "SYSTEM"
    hive.write_bytes(ntfs.read(SYSTEM))
    file = pyregf.file()
    file.open(str(hive))
    found = file.get_key_by_path(f"\\ControlSet001\\{key}")
    values = [found.get_value(number) for number in range(found.number_of_values)]
    told = {one.name: one.get_data_as_integer() if one.type == 4 else one.get_data_as_string() for one in values}
    told["keys"] = " ".join(sorted(one.name for one in found.sub_keys))
    file.close()
    return told


def test_a_disk_is_written_with_its_windows_put_right(volume: bytes, package: Path, tmp_path: Path) -> None:
    source = disk(tmp_path / "disk.raw", volume)
    before = hashlib.sha256(source.read_bytes()).hexdigest()
    out = tmp_path / "out.raw"
    ran = run("convert", source, out, "--convert-guest", "--windows-drivers", package, "--json")
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)["conversion"]
    assert (found["guest"]["os"], found["guest"]["version"]) == ("windows", "10.0.17763")
    assert hashlib.sha256(source.read_bytes()).hexdigest() == before
    told = {one["place"]: (one["before"], one["after"]) for one in found["registry"]}
    assert told["SYSTEM\\ControlSet001\\Services\\storahci Start"] == ("dword:00000003", "dword:00000000")

    ntfs = Ntfs(tmp_path / "part.raw", partition(out))
    for service, start in (("storahci", 0), ("intelide", 0), ("pciide", 0), ("vmci", 4), ("VMTools", 4), ("pvscsi", 0)):
        assert settings(ntfs, tmp_path, f"Services\\{service}")["Start"] == start
    assert settings(ntfs, tmp_path, "Services\\storahci")["keys"] == ""
    service = settings(ntfs, tmp_path, "Services\\v2x-firstboot")
    assert (service["Start"], service["ObjectName"]) == (2, "LocalSystem")
    edits = {one["path"]: one["after"] for one in found["edits"]}
    assert {f"/{HERE}/{name}" for name in ("firstboot.cmd", "run.ps1", "settings.xml")} < edits.keys()
    for path, text in edits.items():
        assert ntfs.read(path.lstrip("/")).decode() == text
        assert ntfs.rights(path.lstrip("/")).startswith(PRIVATE)
    assert ntfs.read(f"{HERE}/drivers/xen-drivers.msi") == MSI
    for folder in ("Program Files/v2x", HERE, f"{HERE}/scripts", f"{HERE}/drivers"):
        assert ntfs.rights(folder).startswith(PRIVATE)  # else a user could change what the system runs
    assert not ntfs.rights("pagefile.sys").startswith(PRIVATE)

    again = run("convert", out, "--guest-plan", "--windows-drivers", package)
    assert again.returncode == 0 and "nothing would be changed" in again.stdout, again.stdout + again.stderr
    assert sorted(one.name for one in tmp_path.iterdir()) == ["SYSTEM", "disk.raw", "out.raw", "part.raw"]


@pytest.fixture(scope="module")
def suspended(volume: bytes) -> Iterator[bytes]:
    yield bitlocker_volume.volume(volume, (TPM, RECOVERY, CLEAR))


def test_a_suspended_bitlocker_volume_is_edited_and_stays_suspended(
    suspended: bytes, package: Path, tmp_path: Path
) -> None:
    source = disk(tmp_path / "disk.raw", suspended)
    out = tmp_path / "out.raw"
    ran = run("convert", source, out, "--convert-guest", "--windows-drivers", package, "--json")
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)["conversion"]
    assert any("protection is suspended" in one["text"] for one in found["remarks"])
    assert source.read_bytes()[MIB:-MIB] == suspended
    written = partition(out)
    assert written != suspended
    assert written[:8192] == suspended[:8192]
    metadata = slice(SIZE, SIZE + 3 * bitlocker_volume.BLOCK_BYTES)
    assert written[metadata] == suspended[metadata]
    ntfs = Ntfs(tmp_path / "part.raw", bitlocker_volume.plain_of(written))
    assert settings(ntfs, tmp_path, "Services\\storahci")["Start"] == 0
    assert b"manage-bde" in ntfs.read(f"{HERE}/scripts/60-bitlocker.ps1")


def test_a_sealed_bitlocker_volume_needs_its_key(volume: bytes, tmp_path: Path) -> None:
    source = disk(tmp_path / "disk.raw", bitlocker_volume.volume(volume, (TPM, RECOVERY)))
    before = hashlib.sha256(source.read_bytes()).hexdigest()
    out = tmp_path / "out.raw"
    refused = run("convert", source, out, "--convert-guest")
    assert refused.returncode == 6 and "WINDOWS-BITLOCKER" in refused.stderr, refused.stderr
    assert not out.exists()
    key = tmp_path / "key"
    key.write_text(RECOVERY_KEY + "\n")
    key.chmod(0o600)
    ran = run("convert", source, out, "--convert-guest", "--bitlocker-key-file", key, "--json")
    assert ran.returncode == 0, ran.stderr
    assert RECOVERY_KEY not in ran.stdout + ran.stderr
    assert "have it there" in ran.stdout
    ntfs = Ntfs(tmp_path / "part.raw", bitlocker_volume.plain_of(partition(out)))
    assert settings(ntfs, tmp_path, "Services\\atapi")["keys"] == ""
    assert hashlib.sha256(source.read_bytes()).hexdigest() == before


def hibernated(volume: bytes, folder: Path) -> bytes:
    """The same with a state to wake up from."""
    image, state = folder / "sleeping.raw", folder / "hibr"
    image.write_bytes(volume)
    state.write_bytes(b"hibr" + bytes(4092))
    subprocess.run(["ntfscp", image, state, "hiberfil.sys"], check=True, capture_output=True)
    return image.read_bytes()


def test_a_hibernated_windows_is_refused_or_cleaned(volume: bytes, tmp_path: Path) -> None:
    source = disk(tmp_path / "disk.raw", hibernated(volume, tmp_path))
    out = tmp_path / "out.raw"
    refused = run("convert", source, out, "--convert-guest")
    assert refused.returncode == 6 and "WINDOWS-HIBERNATED" in refused.stderr, refused.stderr
    assert not out.exists()
    ran = run("convert", source, out, "--convert-guest", "--clean-hibernation", "--json")
    assert ran.returncode == 0, ran.stderr
    assert [one["path"] for one in json.loads(ran.stdout)["conversion"]["removals"]] == ["/hiberfil.sys"]
    ntfs = Ntfs(tmp_path / "part.raw", partition(out))
    assert "hiberfil.sys" not in ntfs.names("/")
    assert settings(ntfs, tmp_path, "Services\\storahci")["Start"] == 0


def machine(folder: Path, source: Path) -> Path:
    """A machine's folder as VMware keeps it, with the disk and one adapter."""
    folder.mkdir()
    source.rename(folder / "m-flat.vmdk")
    size = (folder / "m-flat.vmdk").stat().st_size
    (folder / "m.vmdk").write_text(
        '# Disk DescriptorFile\nversion=1\nCID=11111111\nparentCID=ffffffff\ncreateType="vmfs"\n'
        f'RW {size // 512} VMFS "m-flat.vmdk"\nddb.adapterType = "lsilogic"\n'
    )
    (folder / "m.vmx").write_text(
        'config.version = "8"\nvirtualHW.version = "13"\ndisplayName = "m"\nguestOS = "windows9srv-64"\n'
        'memsize = "4096"\nnumvcpus = "1"\nscsi0.present = "TRUE"\nscsi0.virtualDev = "lsilogic"\n'
        'scsi0:0.present = "TRUE"\nscsi0:0.fileName = "m.vmdk"\nethernet0.present = "TRUE"\n'
        'ethernet0.virtualDev = "vmxnet3"\nethernet0.networkName = "LAN"\nethernet0.addressType = "static"\n'
        f'ethernet0.address = "{MAC}"\n'
    )
    return folder / "m.vmx"


def test_migrate_puts_it_right_on_the_way(volume: bytes, tmp_path: Path) -> None:
    vmx = machine(tmp_path / "m", disk(tmp_path / "disk.raw", volume))
    report = tmp_path / "report.json"
    target = ("--target", f"xva:{tmp_path}/out", "--network", "*=LAN", "--report", report)
    ran = run("migrate", vmx, *target, "--convert", "auto")
    assert ran.returncode == 0, ran.stderr
    (migration,) = json.loads(report.read_text())["migrations"]
    changes = {one["what"]: one for one in migration["changes"]}
    clock = changes["SYSTEM\\ControlSet001\\Control\\TimeZoneInformation RealTimeIsUniversal"]
    assert (clock["kind"], clock["before"], clock["after"]) == ("registry", None, "dword:00000001")
    assert f'mac="{MAC}"' in changes[f"/{HERE}/settings.xml"]["after"]
