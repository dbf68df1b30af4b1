# SPDX-License-Identifier: Apache-2.0
"""The disks that are measured with: made from this machine's /usr once, and kept in build/bench/inputs.

Filled, thin and random disks are `SCALE` of their full size; the sparse one always is 2 TiB, of which nearly nothing is
stored. Another scale makes other files.
"""

import mmap
import os
import random
import shutil
import struct
import subprocess
import uuid
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from tests.bench.contest import BUILT, SCALE, SEED
from tests.hyperv_images import ABSENT, FULL, Vhdx, linkage
from v2x.model.units import GIB, KIB, MIB, TIB
from v2x.simulators import programs
from v2x.simulators.appliance import ApplianceSpec, CreateType, DiskSpec, write_ova, write_vmdk

INPUTS = BUILT / "inputs" / f"{SCALE:g}"
BLOCK_BYTES = 2 * MIB
ISLANDS = 16_384
_ISLAND_BYTES = 4 * KIB
_GAP_BYTES = 256 * MIB
_PLACES = ("/usr/lib", "/usr/share", "/usr/include", "/usr/src")
# Folders of more than this would be one of two or three; the smaller ones make a disk of many files.
_SMALLEST_FOLDER = MIB


class Shape(StrEnum):
    """The disks: 8 GiB with about 3 GiB of file systems, 100 GiB with 1 GiB, 2 GiB of noise, 2 TiB of islands."""

    FILLED = "filled"
    THIN = "thin"
    RANDOM = "random"
    SPARSE = "sparse"


class Kind(StrEnum):
    """Their formats. `chain` is the last of three VHDX files on one another; the upper two hold a few blocks."""

    RAW = "raw"
    FLAT = "flat"
    MONOLITHIC = "monolithic"
    STREAM = "stream"
    VHDX = "vhdx"
    CHAIN = "chain"
    VHD = "vhd"
    QCOW2 = "qcow2"

    @property
    def qemu(self) -> str:
        """What qemu-img calls the format."""
        return {"vhd": "vpc", "vhdx": "vhdx", "chain": "vhdx", "qcow2": "qcow2", "raw": "raw"}.get(self, "vmdk")


_NAMES = {
    Kind.RAW: "disk.raw",
    Kind.FLAT: "flat.vmdk",
    Kind.MONOLITHIC: "sparse.vmdk",
    Kind.STREAM: "stream.vmdk",
    Kind.VHDX: "disk.vhdx",
    Kind.CHAIN: "top.avhdx",
    Kind.VHD: "disk.vhd",
    Kind.QCOW2: "disk.qcow2",
}
# Where nothing is stored that a format cannot hold.
IMPOSSIBLE = {(Shape.SPARSE, Kind.VHD): "a VHD ends at 2040 GiB"}


def image(shape: Shape, kind: Kind) -> Path:
    """The disk in that format; made where it is not there yet."""
    folder = INPUTS / shape
    path = folder / _NAMES[kind]
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        if kind is Kind.RAW:
            _whole(path, _RAW_MAKERS[shape])
        else:
            _MAKERS[kind](image(shape, Kind.RAW), path)
    return path


def files(shape: Shape, kind: Kind) -> list[Path]:
    """All files of the disk in that format, for reading them ahead."""
    path = image(shape, kind)
    if kind is Kind.FLAT:
        return [path, path.with_name("flat-flat.vmdk")]
    if kind is Kind.CHAIN:
        return [path, path.with_name("middle.avhdx"), path.with_name("base.vhdx")]
    return [path]


def ova() -> Path:
    """An appliance with the filled disk."""
    path = INPUTS / Shape.FILLED / "machine.ova"
    if not path.exists():
        raw = image(Shape.FILLED, Kind.RAW)
        made = write_ova(path.with_name("new.ova"), ApplianceSpec(name="bench", disks=(DiskSpec(raw=raw),))).path
        made.rename(path)
    return path


def data_bytes(shape: Shape) -> int:
    """Bytes of the disk's blocks of 2 MiB that hold anything but zeros: what has to be moved of it."""
    noted = INPUTS / shape / "data-bytes"
    if not noted.exists():
        noted.parent.mkdir(parents=True, exist_ok=True)
        noted.write_text(str(_data_blocks(image(shape, Kind.RAW)) * BLOCK_BYTES))
    return int(noted.read_text())


def _data_blocks(raw: Path) -> int:
    zeros, blocks, at = bytes(BLOCK_BYTES), 0, 0
    with raw.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        while at < size:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA) // BLOCK_BYTES * BLOCK_BYTES
            except OSError:
                break
            block = os.pread(file.fileno(), BLOCK_BYTES, at)
            blocks += block != zeros[: len(block)]
            at += BLOCK_BYTES
    return blocks


def _whole(path: Path, make: Callable[[Path], None]) -> None:
    """An input that was only begun is never taken for one."""
    begun = path.with_name(f"new-{path.name}")
    make(begun)
    begun.rename(path)


def _filled(raw: Path) -> None:
    _with_file_systems(raw, int(8 * KIB * SCALE) * MIB, int(2700 * MIB * SCALE))


def _thin(raw: Path) -> None:
    _with_file_systems(raw, 100 * GIB, int(900 * MIB * SCALE))


def _random(raw: Path) -> None:
    chance = random.Random(SEED)
    with raw.open("wb") as file:
        for _ in range(int(2 * GIB * SCALE) // (16 * MIB)):
            file.write(chance.randbytes(16 * MIB))


def _sparse(raw: Path) -> None:
    chance = random.Random(SEED)
    with raw.open("wb") as file:
        file.truncate(2 * TIB)
        for number in range(ISLANDS):
            file.seek(number * (2 * TIB // ISLANDS))
            file.write(chance.randbytes(_ISLAND_BYTES))


_RAW_MAKERS = {Shape.FILLED: _filled, Shape.THIN: _thin, Shape.RANDOM: _random, Shape.SPARSE: _sparse}


def _with_file_systems(raw: Path, size: int, wanted: int) -> None:
    """ext4 file systems, one per folder, with holes between."""
    with raw.open("wb") as file:
        file.truncate(size)
    offset = MIB
    for folder, bytes_of_files in _chosen(wanted):
        # Inodes and small files take more than their bytes.
        length = (bytes_of_files * 5 // 4 + 128 * MIB) // MIB * MIB
        _make_file_system(raw, folder, offset, length)
        offset = (offset + length + _GAP_BYTES) // MIB * MIB
    assert offset < size


def _chosen(wanted: int) -> list[tuple[Path, int]]:
    """The largest folders that together come near the wanted size, with their own."""
    candidates = [folder for place in _PLACES for folder in Path(place).iterdir() if _plain(folder)]
    sizes = {folder: _size_of(folder) for folder in candidates}
    chosen = []
    for folder, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        if _SMALLEST_FOLDER < size <= wanted:
            chosen.append((folder, size))
            wanted -= size
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
        timeout=300,
    )


def _vmdk(create_type: CreateType) -> Callable[[Path, Path], None]:
    def make(raw: Path, path: Path) -> None:
        # Its files name each other, so that they are made in a folder of their own and the descriptor comes last.
        folder = path.parent / "new"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for made in reversed(write_vmdk(raw, folder / path.name, create_type)):
            made.rename(path.parent / made.name)
        folder.rmdir()

    return make


def _converted(form: str, options: str) -> Callable[[Path, Path], None]:
    def make(raw: Path, path: Path) -> None:
        command = ["qemu-img", "convert", "-f", "raw", "-O", form, *(["-o", options] if options else [])]
        _whole(path, lambda new: subprocess.run([*command, raw, new], check=True, timeout=1800))

    return make


def _chained(raw: Path, path: Path) -> None:
    """The base has all data; up to 64 blocks are stored again in the middle, as many in clusters in the last."""
    base = path.with_name("base.vhdx")
    base.unlink(missing_ok=True)
    base.hardlink_to(image(Shape(raw.parent.name), Kind.VHDX))
    with base.open("rb") as file:
        # Data write GUID of the newer header ([MS-VHDX] 2.2.2).
        headers = [os.pread(file.fileno(), 48, at) for at in (64 * KIB, 128 * KIB)]
        newest = max(headers, key=lambda header: struct.unpack_from("<Q", header, 8))
    below = uuid.UUID(bytes_le=newest[32:48])
    with raw.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        stored = _stored_blocks(file.fileno(), len(content))
        absent = dict.fromkeys(range(-(-len(content) // BLOCK_BYTES)), ABSENT)
        clusters = {sector for sector in range(4096) if sector // 128 % 2}
        step = max(16, len(stored) // 64)
        upper = stored[step // 2 :: step]
        for name, parent, states, sectors in (
            ("middle.avhdx", base.name, absent | dict.fromkeys(stored[::step], FULL), {}),
            (path.name, "middle.avhdx", {n: s for n, s in absent.items() if n not in set(upper)},
             dict.fromkeys(upper, clusters)),
        ):  # fmt: skip
            own = uuid.uuid5(below, name)
            made = Vhdx(raw=content, block=BLOCK_BYTES, states=states, sectors=sectors,
                        parent=linkage(below, parent), data_write=own)  # fmt: skip
            _whole(path.with_name(name), made.write)
            below = own


def _stored_blocks(fd: int, size: int) -> list[int]:
    blocks, at = [], 0
    while at < size:
        try:
            at = os.lseek(fd, at, os.SEEK_DATA) // BLOCK_BYTES * BLOCK_BYTES
        except OSError:
            break
        blocks.append(at // BLOCK_BYTES)
        at += BLOCK_BYTES
    return blocks


_MAKERS = {
    Kind.FLAT: _vmdk(CreateType.MONOLITHIC_FLAT),
    Kind.MONOLITHIC: _vmdk(CreateType.MONOLITHIC_SPARSE),
    Kind.STREAM: _vmdk(CreateType.STREAM_OPTIMIZED),
    # Hyper-V's own block size.
    Kind.VHDX: _converted("vhdx", "subformat=dynamic,block_size=32M"),
    Kind.CHAIN: _chained,
    Kind.VHD: _converted("vpc", "subformat=dynamic,force_size=on"),
    Kind.QCOW2: _converted("qcow2", ""),
}


def discard(shape: Shape, kind: Kind) -> None:
    """Removes a large input that is needed no longer."""
    for path in files(shape, kind):
        path.unlink()
