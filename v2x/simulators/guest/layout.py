# SPDX-License-Identifier: Apache-2.0
"""Puts partition table, boot loader and file systems onto a raw disk, as an ordinary user, without loop devices.

The file systems are made at their offsets inside the disk file: mke2fs and debugfs take an offset, and so do mkfs.vfat
and mtools. Files enter ext4 through debugfs rather than `mke2fs -d`, which copies the owner and the change time of
the building user's files and the order of the directory that holds them: no two builds would be alike.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from v2x.errors import V2xError
from v2x.model.machine import Firmware
from v2x.model.units import MIB, SECTOR
from v2x.simulators import programs
from v2x.simulators.guest.contents import Entry

ESP_MIB = 36
"""At 512-byte clusters the least round size that FAT32 accepts (65,525 clusters)."""

FALLBACK_LOADER = "BOOT/BOOTX64.EFI"
"""Below \\EFI: what firmware starts that remembers no boot entry."""

_BIOS_MODULES = "biosdisk part_msdos ext2 normal linux search search_fs_uuid serial echo test"
_UEFI_MODULES = "part_gpt fat ext2 normal linux search search_fs_uuid serial echo test configfile"
_EXT4_FEATURES = (
    "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,"
    "huge_file,dir_nlink,extra_isize,metadata_csum"
)
"""Listed one by one: what mke2fs adds by itself changes with its version, and GRUB reads only what it knows."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The identifiers written into the disk; with the same ones, the same disk comes out."""

    disk: uuid.UUID
    esp: uuid.UUID
    root_partition: uuid.UUID
    root: uuid.UUID
    hash_seed: uuid.UUID


@dataclass(frozen=True, slots=True)
class Place:
    """Where the root file system lies on the disk, in bytes."""

    offset: int
    length: int


def overhead_mib(firmware: Firmware) -> int:
    """What the disk needs beside the root file system: alignment, partition tables, EFI system partition."""
    return 1 if firmware is Firmware.BIOS else ESP_MIB + 2


def partition(disk: Path, size_mib: int, firmware: Firmware, identity: Identity) -> Place:
    """Write the partition table into the new file `disk`; where the root file system belongs."""
    with disk.open("xb") as created:
        created.truncate(size_mib * MIB)
    root_mib = size_mib - overhead_mib(firmware)
    if firmware is Firmware.BIOS:
        script = f"label: dos\nlabel-id: 0x{identity.disk.int & 0xFFFFFFFF:08x}\nstart=2048, type=83, bootable\n"
    else:
        script = (
            f"label: gpt\nlabel-id: {identity.disk}\n"
            f"start=2048, size={ESP_MIB * 2048}, type=U, uuid={identity.esp}\n"
            f"size={root_mib * 2048}, type=L, uuid={identity.root_partition}\n"
        )
    programs.run(["sfdisk", "-q", disk.name], cwd=disk.parent, stdin=script.encode())
    start_mib = 1 if firmware is Firmware.BIOS else 1 + ESP_MIB
    return Place(start_mib * MIB, root_mib * MIB)


def write_root(disk: Path, place: Place, identity: Identity, entries: Sequence[Entry]) -> None:
    """Make ext4 at `place` and fill it with `entries`."""
    work = disk.parent
    programs.run(
        [
            "mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", "-b", "4096", "-I", "256", "-i", "16384", "-m", "1",
            "-O", _EXT4_FEATURES, "-U", str(identity.root),
            "-E", f"offset={place.offset},hash_seed={identity.hash_seed},root_owner=0:0,nodiscard",
            disk.name, f"{place.length // 1024}k",
        ],
        cwd=work,
    )  # fmt: skip
    staging = work / "staging"
    staging.mkdir()
    commands: list[str] = []
    for number, entry in enumerate(entries):
        folder, _, name = entry.path.rpartition("/")
        commands.append(f"cd /{folder}")
        if entry.target is not None:
            commands.append(f"symlink {name} {entry.target}")
        elif entry.data is None:
            commands += [f"mkdir {name}", f"set_inode_field {name} mode 0{0o040000 | entry.mode:o}"]
        else:
            (staging / str(number)).write_bytes(entry.data)
            commands += [
                f"write staging/{number} {name}",
                f"set_inode_field {name} mode 0{0o100000 | entry.mode:o}",
            ]
    _debugfs(disk, place.offset, commands)


def _debugfs(disk: Path, offset: int, commands: Sequence[str]) -> None:
    """Run `commands` on the file system at `offset`. debugfs exits 0 even when a command failed, but then it speaks."""
    script = "".join(f"{command}\n" for command in commands).encode()
    _, said = programs.run(["debugfs", "-w", "-f", "-", f"{disk.name}?offset={offset}"], cwd=disk.parent, stdin=script)
    complaints = [line for line in said.splitlines() if not line.startswith("debugfs ")]
    if complaints:
        raise V2xError(f"debugfs could not fill the root file system: {complaints[0]}")


def install_bios_loader(disk: Path) -> None:
    """GRUB's boot sector into the MBR's code bytes, its core between MBR and first partition."""
    work = disk.parent
    platform, _ = programs.GRUB_DIRECTORIES["i386-pc"]
    programs.run(
        ["grub-mkimage", "-O", "i386-pc", "-d", str(platform), "-p", "(hd0,msdos1)/boot/grub", "-o", "core.img",
         *_BIOS_MODULES.split()],
        cwd=work,
    )  # fmt: skip
    core = (work / "core.img").read_bytes()
    if len(core) > MIB - SECTOR:
        raise V2xError(f"GRUB's core image has {len(core)} bytes and does not fit before the first partition")
    with disk.open("r+b") as opened:
        opened.write((platform / "boot.img").read_bytes()[:440])
        opened.seek(SECTOR)
        opened.write(core)


def install_uefi_loader(disk: Path, identity: Identity, places: Sequence[str] = (FALLBACK_LOADER,)) -> None:
    """An EFI system partition with GRUB at `places`: by itself in that which firmware tries without any boot entry."""
    work = disk.parent
    platform, _ = programs.GRUB_DIRECTORIES["x86_64-efi"]
    (work / "early.cfg").write_text(
        f"search --no-floppy --fs-uuid --set=root {identity.root}\n"
        "set prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n"
    )
    programs.run(
        ["grub-mkimage", "-O", "x86_64-efi", "-d", str(platform), "-c", "early.cfg", "-p", "/boot/grub",
         "-o", "BOOTX64.EFI", *_UEFI_MODULES.split()],
        cwd=work,
    )  # fmt: skip
    volume_id = f"{identity.esp.int & 0xFFFFFFFF:08x}"
    programs.run(
        ["mkfs.vfat", "--invariant", "-F", "32", "-s", "1", "-n", "ESP", "-i", volume_id, "-h", "2048",
         "--offset", "2048", disk.name, str(ESP_MIB * 1024)],
        cwd=work,
    )  # fmt: skip
    image = f"{disk.name}@@1M"
    folders = [f"::/EFI/{place.partition('/')[0]}" for place in places]
    programs.run(["mmd", "-i", image, "::/EFI", *folders], cwd=work)
    for place in places:
        programs.run(["mcopy", "-i", image, "BOOTX64.EFI", f"::/EFI/{place}"], cwd=work)
