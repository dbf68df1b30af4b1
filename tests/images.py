# SPDX-License-Identifier: Apache-2.0
"""Writers of disk images for tests, independent of the readers, and qemu-img as the second opinion."""

import json
import random
import struct
import subprocess
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from v2x.disks.interface import Buffer
from v2x.disks.listing import FolderListing

SECTOR = 512
NO_PARENT = "ffffffff"


def up(value: int, unit: int) -> int:
    return -(-value // unit) * unit


class CountingListing:
    """A listing that counts the reads of its files."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.reads: list[tuple[int, int]] = []

    def names(self) -> list[str]:
        return self.inner.names()

    def open(self, name: str) -> Any:
        source, reads = self.inner.open(name), self.reads

        class Counting(type(source)):  # type: ignore[misc]
            def read_into(self, offset: int, buffer: Buffer) -> None:
                reads.append((offset, len(buffer)))
                super().read_into(offset, buffer)

        source.__class__ = Counting
        return source


class ImageWriter:
    """Writes images into one folder. `stored` and `zeroed` are sets of grain numbers; None stores every grain."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.listing = FolderListing(folder)

    def path(self, name: str) -> Path:
        return self.folder / name

    def descriptor(
        self,
        name: str,
        extents: Iterable[str],
        *,
        kind: str,
        cid: str = "11111111",
        parent_cid: str = NO_PARENT,
        parent: str = "",
        settings: Mapping[str, str] | None = None,
    ) -> str:
        hint = f'parentFileNameHint="{parent}"\n' if parent else ""
        database = "".join(f'{key} = "{value}"\n' for key, value in (settings or {}).items())
        text = (
            "# Disk DescriptorFile\nversion=1\n"
            f'encoding="UTF-8"\nCID={cid}\nparentCID={parent_cid}\nisNativeSnapshot="no"\ncreateType="{kind}"\n{hint}\n'
            "# Extent description\n" + "\n".join(extents) + "\n\n"
            f'# The Disk Data Base\n#DDB\n\nddb.adapterType = "lsilogic"\n{database}'
        )
        self.path(name).write_text(text)
        return name

    def flat(self, name: str, raw: bytes, **identity: str) -> str:
        data = f"{Path(name).stem}-flat.vmdk"
        self.path(data).write_bytes(raw)
        return self.descriptor(name, [f'RW {len(raw) // SECTOR} VMFS "{data}"'], kind="vmfs", **identity)

    def cowd(
        self,
        name: str,
        raw: bytes,
        stored: set[int] | None = None,
        *,
        grain: int = 1,
        shuffle: int = 0,
        **identity: str,
    ) -> str:
        """A vmfsSparse delta: descriptor `name` and its extent."""
        size = grain * SECTOR
        count = up(len(raw), size) // size
        wanted = [number for number in range(count) if stored is None or number in stored]
        if shuffle:
            random.Random(shuffle).shuffle(wanted)
        tables_needed = sorted({number // 4096 for number in wanted})
        entries = up(count, 4096) // 4096
        directory = bytearray(up(entries * 4, SECTOR))
        at = 4 + len(directory) // SECTOR
        tables = {}
        for table in tables_needed:
            struct.pack_into("<I", directory, table * 4, at)
            tables[table] = bytearray(4096 * 4)
            at += 32
        data = bytearray()
        for number in wanted:
            struct.pack_into("<I", tables[number // 4096], number % 4096 * 4, at + len(data) // SECTOR)
            data += raw[number * size : (number + 1) * size].ljust(size, b"\0")
        header = struct.pack("<4s7I", b"COWD", 1, 3, len(raw) // SECTOR, grain, 4, entries, at + len(data) // SECTOR)
        extent = f"{Path(name).stem}-delta.vmdk"
        self.path(extent).write_bytes(
            header.ljust(4 * SECTOR, b"\0") + directory + b"".join(tables[table] for table in tables_needed) + data
        )
        return self.descriptor(name, [f'RW {len(raw) // SECTOR} VMFSSPARSE "{extent}"'], kind="vmfsSparse", **identity)

    def sesparse(
        self,
        name: str,
        raw: bytes,
        stored: set[int] | None = None,
        *,
        zeroed: Iterable[int] = (),
        unmapped: Iterable[int] = (),
        first_number: int = 0,
        replay: int = 0,
        **identity: str,
    ) -> str:
        """An seSparse delta. `first_number` moves the grain numbers, to cross the wrap of their low twelve bits."""
        size = 4096
        count = up(len(raw), size) // size
        wanted = [number for number in range(count) if stored is None or number in stored]
        zeroed, unmapped = set(zeroed), set(unmapped)
        used = sorted({number // 4096 for number in (*wanted, *zeroed, *unmapped)})
        entries = up(count, 4096) // 4096
        directory = bytearray(up(max(entries, 1) * 8, SECTOR))
        tables = {table: bytearray(4096 * 8) for table in used}
        for place, table in enumerate(used):
            struct.pack_into("<Q", directory, table * 8, 0x1000000000000000 | place)
        data = bytearray(first_number * size)
        for place, number in enumerate(wanted, start=first_number):
            entry = 3 << 60 | (place & 0xFFF) << 48 | place >> 12
            struct.pack_into("<Q", tables[number // 4096], number % 4096 * 8, entry)
            data += raw[number * size : (number + 1) * size].ljust(size, b"\0")
        for kind, numbers in ((1, unmapped), (2, zeroed)):
            for number in numbers:
                struct.pack_into("<Q", tables[number // 4096], number % 4096 * 8, kind << 60)
        directory_at, directory_sectors = 8, len(directory) // SECTOR
        tables_at = directory_at + directory_sectors
        grains_at = up(tables_at + 64 * len(used), 8)
        fields = [0xCAFEBABE, 0x0000000200000001, len(raw) // SECTOR, 8, 64, 0, 0, 0, 0, 0]
        # volatile header, journal header, journal, directory, tables, free bitmap, backmap, grains
        fields += [1, 1, 2, 1, 3, 1, directory_at, directory_sectors, tables_at, 64 * len(used)]
        fields += [grains_at, 0, grains_at, 0, grains_at, len(data) // SECTOR]
        file = bytearray(grains_at * SECTOR)
        struct.pack_into(f"<{len(fields)}Q", file, 0, *fields)
        struct.pack_into("<4Q", file, SECTOR, 0xCAFECAFE, 0, 1, replay)
        file[directory_at * SECTOR : directory_at * SECTOR + len(directory)] = directory
        for place, table in enumerate(used):
            begin = (tables_at + 64 * place) * SECTOR
            file[begin : begin + 4096 * 8] = tables[table]
        extent = f"{Path(name).stem}-sesparse.vmdk"
        self.path(extent).write_bytes(file + data)
        return self.descriptor(name, [f'RW {len(raw) // SECTOR} SESPARSE "{extent}"'], kind="seSparse", **identity)

    def sparse(
        self,
        name: str,
        raw: bytes,
        stored: set[int] | None = None,
        *,
        zeroed: Iterable[int] = (),
        grain: int = 128,
        version: int = 1,
        flags: int = 3,
        capacity: int | None = None,
        kind: str = "monolithicSparse",
        cid: str = "11111111",
        parent_cid: str = NO_PARENT,
        parent: str = "",
        embed: bool = True,
        shuffle: int = 0,
    ) -> str:
        """A hosted sparse extent, with its descriptor embedded or (`embed` False) without one."""
        size = grain * SECTOR
        count = up(len(raw), size) // size
        wanted = [number for number in range(count) if stored is None or number in stored]
        if shuffle:
            random.Random(shuffle).shuffle(wanted)
        tables_count = up(count, 512) // 512
        directory_at = 32
        tables_at = directory_at + up(tables_count * 4, SECTOR) // SECTOR
        overhead = up(tables_at + tables_count * 4, grain)
        file = bytearray(overhead * SECTOR)
        for table in range(tables_count):
            struct.pack_into("<I", file, directory_at * SECTOR + table * 4, tables_at + table * 4)
        for place, number in enumerate(wanted):
            struct.pack_into("<I", file, tables_at * SECTOR + number * 4, overhead + place * grain)
            file += raw[number * size : (number + 1) * size].ljust(size, b"\0")
        for number in zeroed:
            struct.pack_into("<I", file, tables_at * SECTOR + number * 4, 1)
        capacity = len(raw) // SECTOR if capacity is None else capacity
        text = b""
        if embed:
            self.descriptor(
                name,
                [f'RW {len(raw) // SECTOR} SPARSE "{name}"'],
                kind=kind,
                cid=cid,
                parent_cid=parent_cid,
                parent=parent,
            )
            text = self.path(name).read_bytes()
        file[:SECTOR] = sparse_header(
            version, flags, capacity, grain, 1 if embed else 0, 20 if embed else 0, directory_at, overhead
        )
        file[SECTOR : SECTOR + len(text)] = text
        self.path(name).write_bytes(file)
        return name

    def stream(
        self, name: str, raw: bytes, stored: set[int] | None = None, *, grain: int = 128, footer: bool = True
    ) -> str:
        """A streamOptimized file: grains in order, each group's table after it, directory, footer."""
        size = grain * SECTOR
        count = up(len(raw), size) // size
        self.descriptor(name, [f'RW {len(raw) // SECTOR} SPARSE "{name}"'], kind="streamOptimized")
        text = self.path(name).read_bytes()
        capacity = len(raw) // SECTOR
        file = bytearray(
            sparse_header(3, 0x30001, capacity, grain, 1, 20, (1 << 64) - 1, 128) + text.ljust(127 * SECTOR, b"\0")
        )
        directory = bytearray(up(max(1, up(count, 512) // 512) * 4, SECTOR))
        for table in range(up(count, 512) // 512):
            entries = bytearray(2048)
            for number in range(table * 512, min(count, table * 512 + 512)):
                if stored is not None and number not in stored:
                    continue
                struct.pack_into("<I", entries, number % 512 * 4, len(file) // SECTOR)
                packed = zlib.compress(raw[number * size : (number + 1) * size], 6)
                file += struct.pack("<QI", number * grain, len(packed)) + packed
                file += bytes(-len(file) % SECTOR)
            if any(entries):
                file += struct.pack("<QII", 4, 0, 1).ljust(SECTOR, b"\0")
                struct.pack_into("<I", directory, table * 4, len(file) // SECTOR)
                file += entries
        file += struct.pack("<QII", len(directory) // SECTOR, 0, 2).ljust(SECTOR, b"\0")
        directory_at = len(file) // SECTOR
        file += directory
        header = sparse_header(3, 0x30001, capacity, grain, 1, 20, directory_at, 128)
        if footer:
            file += struct.pack("<QII", 1, 0, 3).ljust(SECTOR, b"\0") + header
        else:
            file[:SECTOR] = header
        file += bytes(SECTOR)
        self.path(name).write_bytes(file)
        return name

    def raw(self, name: str, raw: bytes) -> str:
        """A raw file in which whole blocks of zeros are holes."""
        with self.path(name).open("wb") as file:
            for at in range(0, len(raw), 65536):
                block = raw[at : at + 65536]
                if any(block):
                    file.seek(at)
                    file.write(block)
            file.truncate(len(raw))
        return name

    def qcow2(self, name: str, raw: bytes, *, bits: int = 12, shuffle: int = 0) -> str:
        """A QCOW2 with clusters out of order: every third is compressed, and of zeros there are all three kinds.

        By qemu's docs/interop/qcow2; reference counts are all 0, which readers do not look at.
        """
        size = 1 << bits
        per_table = size // 8
        count = up(len(raw), size) // size
        tables = up(count, per_table) // per_table
        level1_clusters = up(max(tables, 1) * 8, size) // size
        first_table = 3 + level1_clusters
        at = (first_table + tables) * size
        entries, data = [0] * (tables * per_table), bytearray()
        order = list(range(count))
        random.Random(shuffle).shuffle(order)
        for number in order:
            piece = raw[number * size :][:size].ljust(size, b"\0")
            place = at + len(data)
            if not any(piece):
                if number % 3 == 2:
                    data += b"\xee" * size
                entries[number] = (0, 1, 1 << 63 | place | 1)[number % 3]
            elif number % 3 == 0:
                packer = zlib.compressobj(6, zlib.DEFLATED, -12)
                # Between others' bytes, from any byte on, and rounded up to sectors of the file.
                packed = b"\xdd" * (number % 700) + packer.compress(piece) + packer.flush()
                place += number % 700
                sectors = (place % SECTOR + len(packed) - number % 700 - 1) // SECTOR
                entries[number] = 1 << 62 | sectors << 62 - (bits - 8) | place
                data += packed.ljust(up(len(packed) + SECTOR, size), b"\xcc")
            else:
                entries[number] = 1 << 63 | place
                data += piece
        header = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 3, 0, 0, bits, len(raw), 0, tables, 3 * size, size, 1, 0, 0)
        header += struct.pack(">QQQIIQ", 0, 0, 0, 4, 112, 0)
        level1 = struct.pack(f">{tables}Q", *(1 << 63 | (first_table + table) * size for table in range(tables)))
        content = [header.ljust(size, b"\0"), bytes(2 * size), level1.ljust(level1_clusters * size, b"\0")]
        self.path(name).write_bytes(b"".join(content) + struct.pack(f">{len(entries)}Q", *entries) + data)
        return name

    def rewritten(self, name: str, raw: bytes, *, snapshot: str) -> str:
        """The QCOW2 `name` with an internal snapshot of what it holds, and `raw` written over it afterwards."""
        self.raw(f"{name}.source", raw)
        for words in (
            ["qemu-img", "snapshot", "-c", snapshot, self.path(name)],
            ["qemu-img", "convert", "-n", "-f", "raw", "-O", "qcow2", self.path(f"{name}.source"), self.path(name)],
        ):
            subprocess.run(words, check=True, capture_output=True)
        return name

    def by_qemu(self, name: str, raw: bytes, *options: str, format: str = "vmdk", compressed: bool = False) -> str:
        """Written by qemu-img."""
        source = f"{name}.source"
        self.raw(source, raw)
        chosen = [word for option in options for word in ("-o", option)] + ["-c"] * compressed
        subprocess.run(
            ["qemu-img", "convert", "-f", "raw", "-O", format, *chosen, self.path(source), self.path(name)],
            check=True,
            capture_output=True,
        )
        self.path(source).unlink()
        return name

    def read_by_qemu(self, name: str, format: str = "vmdk") -> bytes:
        """The whole disk as qemu-img reads it."""
        out = self.path(f"{name}.out")
        done = subprocess.run(
            ["qemu-img", "convert", "-f", format, "-O", "raw", self.path(name), out], capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        read = out.read_bytes()
        out.unlink()
        return read

    def info_by_qemu(self, name: str, format: str) -> dict[str, object]:
        done = subprocess.run(
            ["qemu-img", "info", "-f", format, "--output=json", self.path(name)], capture_output=True, check=True
        )
        return json.loads(done.stdout)

    def patch(self, name: str, offset: int, data: bytes) -> str:
        """Overwrites bytes of a file; a negative offset counts from its end."""
        content = bytearray(self.path(name).read_bytes())
        if offset < 0:
            offset += len(content)
        content[offset : offset + len(data)] = data
        self.path(name).write_bytes(content)
        return name


def sparse_header(
    version: int, flags: int, capacity: int, grain: int, text_at: int, text_sectors: int, directory: int, overhead: int
) -> bytes:
    compression = 1 if flags & 0x10000 else 0
    return struct.pack(
        "<4sIIQQQQIQQQB4sH",
        b"KDMV",
        version,
        flags,
        capacity,
        grain,
        text_at,
        text_sectors,
        512,
        0,
        directory,
        overhead,
        0,
        b"\n \r\n",
        compression,
    ).ljust(SECTOR, b"\0")


def patterned(size: int, pieces: Iterable[tuple[int, int]], seed: int = 1) -> bytes:
    """`size` zeros with half-compressible data at the (offset, length) pieces."""
    source = random.Random(seed)
    raw = bytearray(size)
    for offset, length in pieces:
        half = length // 2
        raw[offset : offset + length] = (source.randbytes(half) + b"\x5a" * (length - half))[: size - offset]
    return bytes(raw[:size])


@pytest.fixture
def images(tmp_path: Path) -> Iterator[ImageWriter]:
    """A writer of images into this test's folder; its `listing` is that folder."""
    folder = tmp_path / "images"
    folder.mkdir()
    writer = ImageWriter(folder)
    yield writer
    writer.listing.close()


@pytest.fixture
def pattern() -> Callable[..., bytes]:
    """`pattern(size, pieces, seed)`: see `patterned`."""
    return patterned
