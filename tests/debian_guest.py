# SPDX-License-Identifier: Apache-2.0
"""A real Debian 12 as VMware leaves it, on disks with either firmware: `make test-slow` has its root file system made.

Its initial RAM disk has drivers for VMware's controllers only, its tables name disks as VMware does, its interface is
ens192 with a fixed address, its hardware clock runs in local time, open-vm-tools are installed, no time client is on.
"""

import hashlib
import random
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

from v2x.model.machine import Firmware
from v2x.simulators.guest import layout

FOLDER = Path(__file__).parents[1] / ".setup-debian"
MARKER = "V2X-DEBIAN-UP"
NO_ROOT = "Gave up waiting for root"
MAC, ADDRESS, INTERFACE = "00:50:56:00:0d:0b", "192.0.2.5/24", "ens192"
ROOT_UUID = uuid.UUID("3f1c0de5-0000-4000-8000-00000000d12b")
ESP = "D12B-0E5F"
MIB = 1 << 20
_CHUNK = 4 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianDisk:
    """A raw disk: `payload_md5` is of its /payload.bin, `root_offset` where its ext4 begins."""

    path: Path
    firmware: Firmware
    payload_md5: str
    root_offset: int

    def sha256(self) -> str:
        with self.path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()


def debian_disk(out: Path, firmware: Firmware, *, fallback_loader: bool = False, files: dict[str, str] | None = None):
    """Writes the disk; with UEFI, GRUB lies where NVRAM's boot entry has it, and `fallback_loader` where none has.

    `files` are texts laid into the root file system beside its own.
    """
    dice = random.Random(12)
    identity = layout.Identity(
        disk=uuid.UUID(int=dice.getrandbits(128), version=4),
        esp=uuid.UUID(int=int(ESP.replace("-", ""), 16)),
        root_partition=uuid.UUID(int=dice.getrandbits(128), version=4),
        root=ROOT_UUID,
        hash_seed=ROOT_UUID,
    )
    root = FOLDER / "root.ext4"
    size_mib = root.stat().st_size // MIB + layout.overhead_mib(firmware)
    place = layout.partition(out, size_mib, firmware, identity)
    write_at(out, place.offset, root)
    if firmware is Firmware.BIOS:
        layout.install_bios_loader(out)
    else:
        layout.install_uefi_loader(
            out, identity, ["debian/grubx64.efi", *([layout.FALLBACK_LOADER] if fallback_loader else [])]
        )
    laid = {"/etc/fstab": _fstab(firmware), **(files or {})}
    for path, text in laid.items():
        write_file(out, place.offset, path, text)
    payload = read_file(out, place.offset, "/payload.bin")
    return DebianDisk(
        path=out, firmware=firmware, payload_md5=hashlib.md5(payload).hexdigest(), root_offset=place.offset
    )


def _fstab(firmware: Firmware) -> str:
    if firmware is Firmware.BIOS:
        return "/dev/sda1 / ext4 errors=remount-ro 0 1\n"
    return "/dev/sda2 / ext4 errors=remount-ro 0 1\n/dev/sda1 /boot/efi vfat umask=0077 0 1\n"


def write_at(disk: Path, offset: int, content: Path) -> None:
    """Copies a file into a disk; what is zero stays a hole."""
    with disk.open("r+b") as out, content.open("rb") as given:
        place = offset
        while part := given.read(_CHUNK):
            if any(part):
                out.seek(place)
                out.write(part)
            place += len(part)


def write_file(disk: Path, offset: int, path: str, text: str) -> None:
    """Lays a file of root's into the file system at `offset`; it replaces what is there."""
    staged = disk.with_suffix(".staged")
    staged.write_text(text)
    folder, _, name = path.rpartition("/")
    script = f"mkdir {folder}\ncd {folder}\nrm {name}\nwrite {staged} {name}\nset_inode_field {name} mode 0100644\n"
    _debugfs(disk, offset, ["-w", "-f", "-"], script)
    staged.unlink()


def read_file(disk: Path, offset: int, path: str) -> bytes:
    """A file of the file system at `offset`, read by e2fsprogs; empty where there is none."""
    return _debugfs(disk, offset, ["-R", f"cat {path}"])


def _debugfs(disk: Path, offset: int, arguments: list[str], script: str = "") -> bytes:
    command = ["/usr/sbin/debugfs", *arguments, f"{disk}?offset={offset}"]
    return subprocess.run(command, input=script.encode(), capture_output=True, check=True).stdout


def words(console: str) -> dict[str, str]:
    """What the guest said on its console once it was up; empty where it did not."""
    line = next((line for line in console.splitlines() if MARKER in line), "")
    return dict(word.split("=", 1) for word in line.split(MARKER)[-1].split() if "=" in word)
