# SPDX-License-Identifier: Apache-2.0
"""Writers of VHDX and VHD files for tests, by the specifications and independent of the readers.

qemu-img makes neither differencing disks, partly stored blocks nor logs.
"""

import random
import struct
import subprocess
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MIB = 1 << 20
LOG_AT, METADATA_AT, BAT_AT = MIB, 2 * MIB, 3 * MIB
HEADERS_AT = (64 << 10, 128 << 10)
REGIONS_AT = (192 << 10, 256 << 10)
ABSENT, UNDEFINED, ZERO, UNMAPPED, FULL, PARTIAL = 0, 1, 2, 3, 6, 7

_TABLE: list[int] = []
for _value in range(256):
    for _ in range(8):
        _value = _value >> 1 ^ (0x82F63B78 if _value & 1 else 0)
    _TABLE.append(_value)


def up(value: int, unit: int) -> int:
    return -(-value // unit) * unit


def guid(text: str) -> bytes:
    return uuid.UUID(text).bytes_le


def crc(data: bytes | bytearray) -> int:
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def sealed(structure: bytes | bytearray) -> bytes:
    """With its CRC at 4 made right."""
    raw = bytearray(structure)
    raw[4:8] = bytes(4)
    raw[4:8] = struct.pack("<I", crc(raw))
    return bytes(raw)


BAT = guid("2dc27766-f623-4200-9d64-115e9bfd4a08")
METADATA = guid("8b7ca206-4790-4b9a-b8fe-575f050f886e")
PARAMETERS = guid("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
DISK_SIZE = guid("2fa54224-cd1b-4876-b211-5dbed83bf4b8")
DISK_ID = guid("beca12ab-b2e6-4523-93ef-c309e000c746")
LOGICAL = guid("8141bf1d-a96f-4709-ba47-f233a8faab5f")
PHYSICAL = guid("cda348c7-445d-4471-9cc9-e9885251c556")
LOCATOR = guid("a8d35f2d-b30b-454d-abf7-d3d84834ab0c")
LOCATOR_KIND = guid("b04aefb7-d19e-4a81-b789-25b8e9445913")


def header(
    sequence: int,
    *,
    data_write: uuid.UUID,
    log: bytes = bytes(16),
    log_bytes: int = MIB,
    log_at: int = LOG_AT,
    versions: tuple[int, int] = (0, 1),
) -> bytes:
    file_write = uuid.uuid5(data_write, "file").bytes_le
    packed = struct.pack(
        "<4sIQ16s16s16sHHIQ", b"head", 0, sequence, file_write, data_write.bytes_le, log, *versions, log_bytes, log_at
    )
    return sealed(packed.ljust(4096, b"\0"))


def region_table(bat_bytes: int) -> bytes:
    table = struct.pack("<4sIII", b"regi", 0, 2, 0)
    table += struct.pack("<16sQII", BAT, BAT_AT, bat_bytes, 1) + struct.pack("<16sQII", METADATA, METADATA_AT, MIB, 1)
    return sealed(table.ljust(64 << 10, b"\0"))


def locator(values: Mapping[str, str]) -> bytes:
    entries, text, at = b"", b"", 20 + 12 * len(values)
    for key, value in values.items():
        name, content = key.encode("utf-16-le"), value.encode("utf-16-le")
        place = at + len(text)
        entries += struct.pack("<IIHH", place, place + len(name), len(name), len(content))
        text += name + content
    return LOCATOR_KIND + struct.pack("<HH", 0, len(values)) + entries + text


def metadata(items: Sequence[tuple[bytes, bytes, int]]) -> bytes:
    table = bytearray(64 << 10)
    struct.pack_into("<8sHH", table, 0, b"metadata", 0, len(items))
    body = b""
    for number, (kind, value, flags) in enumerate(items):
        struct.pack_into("<16sIIII", table, 32 + 32 * number, kind, len(table) + len(body), len(value), flags, 0)
        body += value.ljust(up(len(value), 8), b"\0")
    return (bytes(table) + body).ljust(MIB, b"\0")


@dataclass(frozen=True, kw_only=True)
class LogEntry:
    """`changes` are (offset, 4096 bytes) or (offset, length of zeros). `tail` is an offset in the log."""

    sequence: int
    tail: int
    changes: Sequence[tuple[int, bytes | int]] = ()
    flushed: int = 0
    last: int = 0

    def packed(self, log: bytes) -> bytes:
        descriptors, data = b"", b""
        for offset, change in self.changes:
            if isinstance(change, int):
                descriptors += struct.pack("<4sIQQQ", b"zero", 0, change, offset, self.sequence)
                continue
            assert len(change) == 4096
            descriptors += struct.pack("<4s4s8sQQ", b"desc", change[4092:], change[:8], offset, self.sequence)
            data += struct.pack("<4sI", b"data", self.sequence >> 32) + change[8:4092]
            data += struct.pack("<I", self.sequence & 0xFFFFFFFF)
        length = up(64 + len(descriptors), 4096) + len(data)
        head = struct.pack("<4sIIIQII", b"loge", 0, length, self.tail, self.sequence, len(self.changes), 0)
        head += log + struct.pack("<QQ", self.flushed, self.last)
        return sealed((head + descriptors).ljust(length - len(data), b"\0") + data)


@dataclass(kw_only=True)
class Vhdx:
    """One VHDX to be written. Blocks not named in `states` are stored if they hold data.

    `sectors` names the present sectors of partly stored blocks; what lies in the others is not the disk's. For a disk
    that is larger than memory, `size` is its size and `far` the content of some blocks beyond `raw`.
    """

    raw: bytes
    block: int = MIB
    sector: int = 512
    physical: int = 4096
    fixed: bool = False
    states: dict[int, int] = field(default_factory=dict)
    sectors: dict[int, set[int]] = field(default_factory=dict)
    parent: Mapping[str, str] | None = None
    data_write: uuid.UUID = field(default_factory=lambda: uuid.UUID(int=random.Random(5).getrandbits(128)))
    shuffle: int = 0
    log: bytes = bytes(16)
    size: int = 0
    far: dict[int, bytes] = field(default_factory=dict)

    def packed(self) -> bytearray:
        size, block = self.size or len(self.raw), self.block
        count = up(size, block) // block
        ratio = (1 << 23) * self.sector // block
        chunks = up(count, ratio) // ratio
        table = [0] * (chunks * (ratio + 1) if self.parent is not None else count + max(chunks - 1, 0))
        bat_bytes = max(MIB, up(len(table) * 8, MIB))
        file = bytearray(BAT_AT + bat_bytes)
        wanted = {number: self._state(number) for number in range(count)}
        order = list(range(count))
        if self.shuffle:
            random.Random(self.shuffle).shuffle(order)
        for number in order:
            table[number + number // ratio] = wanted[number]
            if wanted[number] >= FULL:
                table[number + number // ratio] |= len(file)
                file += self._content(number)
        if self.parent is not None:
            for chunk in range(chunks):
                bitmap = self._bitmap(chunk, ratio)
                if bitmap is not None:
                    table[(chunk + 1) * (ratio + 1) - 1] = len(file) | FULL
                    file += bitmap
        self._head(file, bat_bytes, size)
        struct.pack_into(f"<{len(table)}Q", file, BAT_AT, *table)
        return file

    def _state(self, number: int) -> int:
        if number in self.states:
            return self.states[number]
        if number in self.sectors:
            return PARTIAL
        return FULL if self.fixed or any(self._bytes(number)) else ABSENT

    def _bytes(self, number: int) -> bytes:
        return self.far.get(number, self.raw[number * self.block : (number + 1) * self.block])

    def _content(self, number: int) -> bytes:
        content = bytearray(self._bytes(number).ljust(self.block, b"\0"))
        if number in self.sectors:
            for sector in set(range(self.block // self.sector)) - self.sectors[number]:
                content[sector * self.sector : (sector + 1) * self.sector] = b"\xe5" * self.sector
        return bytes(content)

    def _bitmap(self, chunk: int, ratio: int) -> bytes | None:
        partial = [number for number in self.sectors if number // ratio == chunk]
        if not partial:
            return None
        bits = bytearray(MIB)
        for number in partial:
            first = number % ratio * (self.block // self.sector)
            for sector in self.sectors[number]:
                bits[(first + sector) // 8] |= 1 << (first + sector) % 8
        return bytes(bits)

    def _head(self, file: bytearray, bat_bytes: int, size: int) -> None:
        file[:24] = b"vhdxfile" + "v2x test".encode("utf-16-le")
        for sequence, at in enumerate(HEADERS_AT, start=1):
            file[at : at + 4096] = header(sequence, data_write=self.data_write, log=self.log)
        for at in REGIONS_AT:
            file[at : at + (64 << 10)] = region_table(bat_bytes)
        flags = (1 if self.fixed else 0) | (2 if self.parent is not None else 0)
        items = [
            (PARAMETERS, struct.pack("<II", self.block, flags), 4),
            (DISK_SIZE, struct.pack("<Q", size), 6),
            (DISK_ID, uuid.uuid5(self.data_write, "disk").bytes_le, 6),
            (LOGICAL, struct.pack("<I", self.sector), 6),
            (PHYSICAL, struct.pack("<I", self.physical), 6),
        ]
        if self.parent is not None:
            items.append((LOCATOR, locator(self.parent), 4))
        file[METADATA_AT : METADATA_AT + MIB] = metadata(items)

    def write(self, path: Path) -> str:
        write_sparse(path, self.packed())
        return path.name


def linkage(parent: uuid.UUID, path: str = "C:\\vm\\parent.vhdx") -> dict[str, str]:
    """A parent locator's values as Hyper-V writes them."""
    return {
        "parent_linkage": f"{{{parent}}}",
        "parent_linkage2": "{00000000-0000-0000-0000-000000000000}",
        "relative_path": f".\\{path}",
        "absolute_win32_path": f"\\\\?\\{path}",
    }


def put_log(file: bytearray, entries: Iterable[tuple[int, LogEntry]], log: bytes) -> None:
    """Writes entries at offsets in the log, around its end, and makes the headers say that it is to be replayed."""
    for place, entry in entries:
        for at, byte in enumerate(entry.packed(log)):
            file[LOG_AT + (place + at) % MIB] = byte
    for at in HEADERS_AT:
        raw = file[at : at + 4096]
        raw[48:64] = log
        file[at : at + 4096] = sealed(raw)


def write_sparse(path: Path, content: bytes | bytearray) -> None:
    with path.open("wb") as file:
        for at in range(0, len(content), 65536):
            piece = content[at : at + 65536]
            if any(piece):
                file.seek(at)
                file.write(piece)
        file.truncate(len(content))


def summed(structure: bytes | bytearray, at: int) -> bytes:
    """A big-endian VHD structure with its checksum at `at` made right."""
    raw = bytearray(structure)
    raw[at : at + 4] = bytes(4)
    raw[at : at + 4] = struct.pack(">I", ~sum(raw) & 0xFFFFFFFF)
    return bytes(raw)


@dataclass(kw_only=True)
class Vhd:
    """One dynamic VHD, or with `parent` (identifier, time stamp, name) a differencing one.

    `sectors` names the present sectors of a stored block, None meaning all; blocks not named are not stored.
    """

    raw: bytes
    sectors: dict[int, set[int] | None]
    block: int = 2 * MIB
    parent: tuple[uuid.UUID, int, str] | None = None
    unique: uuid.UUID = field(default_factory=lambda: uuid.UUID(int=random.Random(6).getrandbits(128)))
    stamp: int = 700_000_000
    creator: bytes = b"win "
    shuffle: int = 0

    def packed(self) -> bytes:
        size = len(self.raw)
        count = up(size, self.block) // self.block
        table = [0xFFFFFFFF] * up(max(count, 1), 128)
        body = b""
        order = list(self.sectors)
        if self.shuffle:
            random.Random(self.shuffle).shuffle(order)
        data_at = 1536 + len(table) * 4
        for number in order:
            table[number] = (data_at + len(body)) // 512
            body += self._stored(number)
        kind = 4 if self.parent is not None else 3
        foot = struct.pack(
            ">8sIIQI4sI4sQQHBBII16s",
            *(b"conectix", 2, 0x10000, 512, self.stamp, self.creator, 0xA0000, b"Wi2k"),
            *(size, size, 65535, 16, 255, kind, 0, self.unique.bytes),
        )
        foot = summed(foot.ljust(512, b"\0"), 64)
        return foot + self._header(count) + struct.pack(f">{len(table)}I", *table) + body + foot

    def _header(self, count: int) -> bytes:
        unique, stamp, name = self.parent or (uuid.UUID(int=0), 0, "")
        raw = struct.pack(">8sQQIIII", b"cxsparse", (1 << 64) - 1, 1536, 0x10000, count, self.block, 0)
        raw += unique.bytes + struct.pack(">II", stamp, 0) + name.encode("utf-16-be").ljust(512, b"\0")
        return summed(raw.ljust(1024, b"\0"), 36)

    def _stored(self, number: int) -> bytes:
        content = bytearray(self.raw[number * self.block : (number + 1) * self.block].ljust(self.block, b"\0"))
        every = range(self.block // 512)
        present = self.sectors[number]
        bits = bytearray(up(self.block // 512 // 8, 512))
        for sector in every:
            if present is None or sector in present:
                bits[sector // 8] |= 0x80 >> sector % 8
            else:
                content[sector * 512 : sector * 512 + 512] = b"\xe5" * 512
        return bytes(bits + content)

    def write(self, path: Path) -> str:
        write_sparse(path, self.packed())
        return path.name


_LIBVHDI = """
import sys, pyvhdi
files = []
for path in sys.argv[2:]:
    file = pyvhdi.file()
    file.open(path)
    files.append(file)
for child, parent in zip(files, files[1:]):
    child.set_parent(parent)
left = files[0].get_media_size()
with open(sys.argv[1], "wb") as out:
    while left:
        read = files[0].read_buffer(min(left, 1 << 20))
        out.write(read)
        left -= len(read)
"""


def read_by_libvhdi(chain: Sequence[Path]) -> bytes:
    """The disk `chain[0]` on top of the rest, as Debian's libvhdi reads it."""
    out = chain[0].with_suffix(".libvhdi")
    subprocess.run(["/usr/bin/python3", "-c", _LIBVHDI, out, *chain], check=True, timeout=60)
    read = out.read_bytes()
    out.unlink()
    return read
