# SPDX-License-Identifier: Apache-2.0
"""A guest inside a disk, mounted by the real libguestfs; and what happens where its program fails."""

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests import guests
from tests.guest_disks import MIB, UUID, debian_disk, in_guest
from v2x.convert import guestfs
from v2x.convert.guestfs import GuestDisk, mounted, names_of
from v2x.errors import Stopped, TargetError, UsageError


@pytest.fixture(autouse=True)
def emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIBGUESTFS_BACKEND_SETTINGS", "force_tcg")


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return debian_disk(tmp_path_factory.mktemp("guest"))


def run(*argv: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "v2x", *map(str, argv)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_real_disk_is_planned_by_uuid_and_not_written(disk: Path) -> None:
    before = hashlib.sha256(disk.read_bytes()).hexdigest()
    ran = run("convert", disk, "--guest-plan", "--json")
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["guest"]["name"] == "debian 12"
    edits = {one["path"]: one for one in found["edits"]}
    assert f"UUID={UUID}\t/ ext4" in edits["/etc/fstab"]["after"]
    assert edits["/etc/systemd/system/vmtoolsd.service"]["after"] == "/dev/null"
    assert found["commands"][0]["argv"] == ["update-initramfs", "-u", "-k", "6.1.0-21-amd64"]
    assert hashlib.sha256(disk.read_bytes()).hexdigest() == before


def test_a_disk_has_the_names_that_guests_have_for_it() -> None:
    assert names_of({"/dev/sdb1": "u", "/dev/sda": "w", "/dev/vg/root": "x", "/dev/sdaa1": "y"}) == {
        **dict.fromkeys(("/dev/sdb1", "/dev/hdb1", "/dev/nvme0n2p1"), "UUID=u"),
        **dict.fromkeys(("/dev/sda", "/dev/hda", "/dev/nvme0n1"), "UUID=w"),
    }


def worker(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts another program in the place of the one that has libguestfs."""
    path = folder / "worker.py"
    path.write_text(
        f"import socket, sys\nc = socket.socket(socket.AF_UNIX)\nc.connect(sys.argv[1])\nc.recv(1 << 16)\n{text}\n"
    )
    monkeypatch.setattr(guestfs, "_WORKER", path)


def opened(folder: Path) -> None:
    with mounted([GuestDisk(socket=folder / "none")], readonly=True):
        raise AssertionError("nothing was mounted")


def test_without_libguestfs_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker(tmp_path, """c.sendall(b'{"missing": "No module named guestfs"}\\n')""", monkeypatch)
    with pytest.raises(UsageError) as caught:
        opened(tmp_path)
    assert caught.value.code == "MISSING-TOOL"
    assert "python3-guestfs" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sys.exit('the appliance is broken')", "libguestfs ended: the appliance is broken"),
        ("c.sendall(b'no json\\n')", "libguestfs ended"),
        ("""c.sendall(b'{"failed": "no kernel\\\\u001b[2J"}\\n')""", r"libguestfs: no kernel\\x1b"),
    ],
)
def test_a_program_that_fails_is_an_error_with_its_words(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker(tmp_path, text, monkeypatch)
    with pytest.raises(TargetError, match=message):
        opened(tmp_path)


def test_where_kvm_does_not_work_it_is_started_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIBGUESTFS_BACKEND_SETTINGS")
    monkeypatch.setattr("os.access", lambda path, mode: True)
    answer = """import json, os
settings = os.environ.get('LIBGUESTFS_BACKEND_SETTINGS')
found = {'is': {'systems': 1, 'mounted': ['/'], 'unmounted': [], 'identities': {}, 'kinds': {}}}
found['is'] |= {'locked': [], 'unlocked': []}
found = found if settings else {'unlaunched': 'no KVM'}
c.sendall((json.dumps(found) + chr(10)).encode())
c.recv(1 << 16)
c.sendall((json.dumps({'is': None}) + chr(10)).encode())"""
    worker(tmp_path, answer, monkeypatch)
    with mounted([GuestDisk(socket=tmp_path / "none")], readonly=True) as guest:
        assert guest.systems == 1
    monkeypatch.setenv("LIBGUESTFS_BACKEND_SETTINGS", "")
    worker(tmp_path, """c.sendall(b'{"unlaunched": "no memory"}\\n')""", monkeypatch)
    with pytest.raises(TargetError, match="cannot start: no memory"):
        opened(tmp_path)


def test_one_that_never_answers_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker(tmp_path, "import time; time.sleep(60)", monkeypatch)
    monkeypatch.setattr(guestfs, "_LAUNCH_SECONDS", 0.2)
    with pytest.raises(TargetError, match="has not answered"):
        opened(tmp_path)


def test_whoever_is_to_stop_does_not_wait_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker(tmp_path, "import time; time.sleep(60)", monkeypatch)
    monkeypatch.setattr(guestfs, "_POLL_SECONDS", 0.05)
    asked = iter([False, True])
    disks = [GuestDisk(socket=tmp_path / "none")]
    with pytest.raises(Stopped), mounted(disks, readonly=True, stopping=lambda: next(asked, True)):
        raise AssertionError("nothing was mounted")


def test_its_own_disk_is_built_once_for_all_guests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIBGUESTFS_CACHEDIR", raising=False)
    assert guestfs._settings()["LIBGUESTFS_CACHEDIR"] == "/var/tmp"
    monkeypatch.setenv("LIBGUESTFS_CACHEDIR", "/srv/cache")
    assert guestfs._settings()["LIBGUESTFS_CACHEDIR"] == "/srv/cache"


def test_one_that_never_calls_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "worker.py").write_text("import sys; sys.exit('cannot begin')")
    monkeypatch.setattr(guestfs, "_WORKER", tmp_path / "worker.py")
    with pytest.raises(TargetError, match="did not start: cannot begin"):
        opened(tmp_path)


@pytest.mark.slow
def test_a_disk_is_written_with_its_guest_put_right(disk: Path, tmp_path: Path) -> None:
    before = hashlib.sha256(disk.read_bytes()).hexdigest()
    ran = run("convert", disk, tmp_path / "out.raw", "--convert-guest", "--json")
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert {one["path"] for one in found["conversion"]["edits"]} >= {"/etc/fstab", "/boot/grub/grub.cfg"}
    out = tmp_path / "out.raw"
    assert f"UUID={UUID}\t/ ext4" in in_guest(out.read_bytes(), "/etc/fstab", tmp_path)
    assert "xen-blkfront" in in_guest(out.read_bytes(), "/boot/initrd.img-6.1.0-21-amd64", tmp_path)
    assert in_guest(out.read_bytes(), "/boot/initrd.img-6.1.0-21-amd64.pre-v2x", tmp_path) == "image of 6.1.0-21-amd64"
    assert "/dev/sda1" in in_guest(disk.read_bytes(), "/etc/fstab", tmp_path)
    assert hashlib.sha256(disk.read_bytes()).hexdigest() == before
    assert sorted(one.name for one in tmp_path.iterdir()) == ["out.raw", "part.raw"]


def test_a_guest_is_written_as_a_disk_only(disk: Path, tmp_path: Path) -> None:
    for arguments in (
        (tmp_path / "out.xva",),
        (tmp_path / "out.vhd", "--compare"),
        (tmp_path / "o.vhd", "--guest-plan"),
    ):
        ran = run("convert", disk, "--convert-guest", *arguments)
        assert ran.returncode == 2, ran.stderr
    assert list(tmp_path.iterdir()) == []


def machine(folder: Path, disk: Path) -> Path:
    """A machine's folder with the disk and one adapter, as VMware keeps it."""
    folder.mkdir()
    shutil.copy(disk, folder / "m-flat.vmdk")
    (folder / "m.vmdk").write_text(
        '# Disk DescriptorFile\nversion=1\nCID=11111111\nparentCID=ffffffff\ncreateType="vmfs"\n'
        f'RW {disk.stat().st_size // 512} VMFS "m-flat.vmdk"\nddb.adapterType = "lsilogic"\n'
    )
    (folder / "m.vmx").write_text(
        'config.version = "8"\nvirtualHW.version = "13"\ndisplayName = "m"\nguestOS = "debian11-64"\nmemsize = "512"\n'
        'numvcpus = "1"\nscsi0.present = "TRUE"\nscsi0.virtualDev = "lsilogic"\nscsi0:0.present = "TRUE"\n'
        'scsi0:0.fileName = "m.vmdk"\nethernet0.present = "TRUE"\nethernet0.virtualDev = "vmxnet3"\n'
        f'ethernet0.networkName = "LAN"\nethernet0.addressType = "static"\nethernet0.address = "{guests.MAC}"\n'
    )
    return folder / "m.vmx"


@pytest.mark.slow
def test_migrate_says_what_it_would_convert_and_does_nothing(disk: Path, tmp_path: Path) -> None:
    vmx = machine(tmp_path / "m", disk)
    ran = run("migrate", vmx, "--target", f"xva:{tmp_path}/out", "--network", "*=LAN", "--convert", "plan", "--json")
    assert ran.returncode == 0, ran.stderr
    edits = {one["path"]: one["after"] for one in json.loads(ran.stdout)["edits"]}
    assert f"UUID={UUID}\t/ ext4" in edits["/etc/fstab"]
    assert f"MACAddress={guests.MAC}\n" in edits["/etc/systemd/network/10-v2x-ens192.link"]
    assert not list((tmp_path / "out").glob("*.xva"))
    assert hashlib.sha256((tmp_path / "m/m-flat.vmdk").read_bytes()).digest() == (
        hashlib.sha256(disk.read_bytes()).digest()
    )


def disk_of(archive: Path) -> bytes:
    """The disk in an XVA: its blocks of 1 MiB that are there, by their numbers."""
    content = bytearray(34 * MIB)
    with tarfile.open(archive) as opened:
        for member in opened:
            number = member.name.rpartition("/")[2]
            taken = opened.extractfile(member)
            if number.isdecimal() and taken is not None and member.size:
                at = int(number) * MIB
                content[at : at + member.size] = taken.read()
    return bytes(content)


@pytest.mark.slow
def test_migrate_converts_on_the_way_and_reports_each_change(disk: Path, tmp_path: Path) -> None:
    vmx = machine(tmp_path / "m", disk)
    report = tmp_path / "report.json"
    target = ("--target", f"xva:{tmp_path}/out", "--network", "*=LAN", "--report", report)
    ran = run("migrate", vmx, *target, "--convert", "auto")
    assert ran.returncode == 0, ran.stderr
    (migration,) = json.loads(report.read_text())["migrations"]
    changes = {one["what"]: one for one in migration["changes"]}
    assert "/dev/sda1" in changes["/etc/fstab"]["before"]
    assert f"UUID={UUID}\t/ ext4" in changes["/etc/fstab"]["after"]
    assert changes["update-initramfs -u -k 6.1.0-21-amd64"]["kind"] == "command"
    written = tmp_path / "written.raw"
    (archive,) = (tmp_path / "out").glob("*.xva")
    written.write_bytes(disk_of(archive))
    assert in_guest(written.read_bytes(), "/etc/fstab", tmp_path) == changes["/etc/fstab"]["after"]
    assert "xen-blkfront" in in_guest(written.read_bytes(), "/boot/initrd.img-6.1.0-21-amd64", tmp_path)
    assert (tmp_path / "m/m-flat.vmdk").read_bytes() == disk.read_bytes()
