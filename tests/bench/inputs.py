# SPDX-License-Identifier: Apache-2.0
"""The disk that is measured with: real file systems, filled with parts of this machine's /usr."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from v2x.disks.extent import touched_blocks
from v2x.disks.listing import FolderListing
from v2x.disks.stream.feed import BLOCK_BYTES
from v2x.disks.vmdk import open_vmdk
from v2x.model.units import GIB, MIB
from v2x.simulators import programs

WANTED_BYTES = 1200 * MIB
DISK_BYTES = 8 * GIB
_GAP_BYTES = 256 * MIB
_PLACES = ("/usr/lib", "/usr/share", "/usr/include", "/usr/src")


@dataclass(frozen=True, kw_only=True)
class FilledDisk:
    """A sparse raw disk. `folders` are what its file systems were filled with, by their size in bytes."""

    raw: Path
    folders: dict[str, int]


def filled_disk(raw: Path) -> FilledDisk:
    """Writes ext4 file systems into `raw`, one per folder, with holes between."""
    with raw.open("wb") as file:
        file.truncate(DISK_BYTES)
    folders = _chosen()
    offset = MIB
    for folder, size in folders.items():
        # Inodes and small files take more than their bytes.
        length = (size * 5 // 4 + 128 * MIB) // MIB * MIB
        _make_file_system(raw, Path(folder), offset, length)
        offset = (offset + length + _GAP_BYTES) // MIB * MIB
    assert offset < DISK_BYTES
    return FilledDisk(raw=raw, folders=folders)


def _chosen() -> dict[str, int]:
    """The largest folders that together come near the wanted size."""
    sizes = {str(folder): _size_of(folder) for place in _PLACES for folder in Path(place).iterdir() if _plain(folder)}
    chosen: dict[str, int] = {}
    left = WANTED_BYTES
    for folder, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        if MIB < size <= left:
            chosen[folder] = size
            left -= size
    return chosen


def _plain(folder: Path) -> bool:
    return folder.is_dir() and not folder.is_symlink()


def _size_of(folder: Path) -> int:
    return sum((Path(where) / name).lstat().st_size for where, _, names in os.walk(folder) for name in names)


def _make_file_system(raw: Path, folder: Path, offset: int, length: int) -> None:
    mke2fs = programs.find("mke2fs")
    assert mke2fs, "mke2fs is missing: apt-get install e2fsprogs"
    subprocess.run(
        [mke2fs, "-q", "-F", "-t", "ext4", "-d", folder, "-E", f"offset={offset}", raw, f"{length // 1024}k"],
        check=True,
        capture_output=True,
        timeout=120,
    )


def data_bytes(image: Path) -> int:
    """Bytes of the 2 MiB blocks of a VMDK that hold data: what every contender has to move."""
    reader = open_vmdk(FolderListing(image.parent), image.name)
    try:
        return len(touched_blocks(reader.extents(0, reader.size), BLOCK_BYTES)) * BLOCK_BYTES
    finally:
        reader.close()
