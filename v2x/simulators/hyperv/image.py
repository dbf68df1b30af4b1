# SPDX-License-Identifier: Apache-2.0
"""Writes VHDX files by [MS-VHDX]: dynamic ones, and ones that differ from a parent."""

import struct
import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

MIB = 1 << 20
_LOG_AT, _METADATA_AT, _BAT_AT = MIB, 2 * MIB, 3 * MIB
_ZERO, _FULL, _PARTIAL = 2, 6, 7


def _guid(text: str) -> bytes:
    return uuid.UUID(text).bytes_le


_BAT = _guid("2dc27766-f623-4200-9d64-115e9bfd4a08")
_METADATA = _guid("8b7ca206-4790-4b9a-b8fe-575f050f886e")
_PARAMETERS = _guid("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
_DISK_SIZE = _guid("2fa54224-cd1b-4876-b211-5dbed83bf4b8")
_DISK_ID = _guid("beca12ab-b2e6-4523-93ef-c309e000c746")
_LOGICAL = _guid("8141bf1d-a96f-4709-ba47-f233a8faab5f")
_PHYSICAL = _guid("cda348c7-445d-4471-9cc9-e9885251c556")
_LOCATOR = _guid("a8d35f2d-b30b-454d-abf7-d3d84834ab0c")
_LOCATOR_KIND = _guid("b04aefb7-d19e-4a81-b789-25b8e9445913")


def _table() -> list[int]:
    found = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)  # noqa: PLW2901
        found.append(value)
    return found


_CASTAGNOLI = _table()


def _sealed(structure: bytes) -> bytes:
    """With its CRC-32C at byte 4."""
    raw = bytearray(structure)
    value = 0xFFFFFFFF
    for byte in raw:
        value = value >> 8 ^ _CASTAGNOLI[(value ^ byte) & 0xFF]
    raw[4:8] = struct.pack("<I", value ^ 0xFFFFFFFF)
    return bytes(raw)


def _header(sequence: int, data_write: uuid.UUID) -> bytes:
    ids = uuid.uuid5(data_write, "file").bytes_le, data_write.bytes_le, bytes(16)
    packed = struct.pack("<4sIQ16s16s16sHHIQ", b"head", 0, sequence, *ids, 0, 1, MIB, _LOG_AT)
    return _sealed(packed.ljust(4096, b"\0"))


@cache
def _regions(bat_bytes: int) -> bytes:
    table = struct.pack("<4sIII", b"regi", 0, 2, 0)
    table += struct.pack("<16sQII", _BAT, _BAT_AT, bat_bytes, 1)
    table += struct.pack("<16sQII", _METADATA, _METADATA_AT, MIB, 1)
    return _sealed(table.ljust(64 << 10, b"\0"))


def _locator(parent: Mapping[str, str]) -> bytes:
    entries, texts, at = b"", b"", 20 + 12 * len(parent)
    for key, value in parent.items():
        name, content = key.encode("utf-16-le"), value.encode("utf-16-le")
        place = at + len(texts)
        entries += struct.pack("<IIHH", place, place + len(name), len(name), len(content))
        texts += name + content
    return _LOCATOR_KIND + struct.pack("<HH", 0, len(parent)) + entries + texts


def _metadata(size: int, block: int, disk_id: uuid.UUID, parent: Mapping[str, str] | None) -> bytes:
    items = [
        (_PARAMETERS, struct.pack("<II", block, 2 if parent else 0), 4),
        (_DISK_SIZE, struct.pack("<Q", size), 6),
        (_DISK_ID, disk_id.bytes_le, 6),
        (_LOGICAL, struct.pack("<I", 512), 6),
        (_PHYSICAL, struct.pack("<I", 4096), 6),
    ]
    if parent:
        items.append((_LOCATOR, _locator(parent), 4))
    table = bytearray(64 << 10)
    struct.pack_into("<8sHH", table, 0, b"metadata", 0, len(items))
    body = b""
    for number, (kind, value, flags) in enumerate(items):
        struct.pack_into("<16sIIII", table, 32 + 32 * number, kind, len(table) + len(body), len(value), flags, 0)
        body += value + bytes(-len(value) % 8)
    return (bytes(table) + body).ljust(MIB, b"\0")


def write_vhdx(
    path: Path,
    size: int,
    blocks: Mapping[int, bytes],
    *,
    data_write: uuid.UUID,
    disk_id: uuid.UUID,
    block: int = MIB,
    parent: Mapping[str, str] | None = None,
    sectors: Mapping[int, bytes] | None = None,
    zeros: Collection[int] = (),
) -> None:
    """Writes `blocks` (number → its bytes); all others are zeros, or the parent's. `parent` is its locator's entries.

    `sectors` are the bitmaps of blocks that hold only some sectors of their own, `zeros` are blocks that the guest
    trimmed. Blocks lie in the file in falling order, so that no reader gets by without the table.
    """
    partly = sectors or {}
    chunk = (1 << 23) * 512 // block
    count = -(-size // block)
    entries = -(-count // chunk) * (chunk + 1) if parent else count + (count - 1) // chunk
    bat_bytes = -(-entries * 8 // MIB) * MIB
    table = [0] * entries
    with path.open("wb") as file:
        file.write(b"vhdxfile" + "v2x simulated Hyper-V".encode("utf-16-le"))
        for number, at in enumerate((64 << 10, 128 << 10)):
            file.seek(at)
            file.write(_header(number + 1, data_write))
        regions = _regions(bat_bytes)
        for at in (192 << 10, 256 << 10):
            file.seek(at)
            file.write(regions)
        file.seek(_METADATA_AT)
        file.write(_metadata(size, block, disk_id, parent))
        position = _BAT_AT + bat_bytes
        for number in sorted(blocks, reverse=True):
            file.seek(position)
            file.write(blocks[number].ljust(block, b"\0"))
            table[number + number // chunk] = (position // MIB << 20) | (_PARTIAL if number in partly else _FULL)
            position += block
        for number in zeros:
            table[number + number // chunk] = _ZERO
        for number in sorted({one // chunk for one in blocks}) if parent else ():
            # Without a sector bitmap libvhdi (20210425) takes the beginning of the file for one.
            file.seek(position)
            stored = {one % chunk: partly.get(one) for one in blocks if one // chunk == number}
            file.write(_bitmap(stored, block))
            table[(number + 1) * (chunk + 1) - 1] = (position // MIB << 20) | _FULL
            position += MIB
        file.seek(_BAT_AT)
        file.write(struct.pack(f"<{entries}Q", *table).ljust(bat_bytes, b"\0"))
        file.truncate(max(position, _BAT_AT + bat_bytes))


def _bitmap(stored: Mapping[int, bytes | None], block: int) -> bytes:
    """One bit for each sector of a chunk: those of the stored blocks, all of them or those of a bitmap."""
    bits = bytearray(MIB)
    length = block // 512 // 8
    for number, some in stored.items():
        bits[number * length : (number + 1) * length] = some or b"\xff" * length
    return bytes(bits)


@dataclass(kw_only=True)
class Stored:
    """What a file that `write_vhdx` wrote holds of its own: blocks, bitmaps of the partly held ones, trimmed blocks."""

    size: int
    block: int
    data_write: uuid.UUID
    disk_id: uuid.UUID
    parent: dict[str, str]
    blocks: dict[int, bytearray]
    sectors: dict[int, bytearray]
    zeros: set[int]

    def write(self, path: Path) -> None:
        write_vhdx(
            path,
            self.size,
            {number: bytes(data) for number, data in self.blocks.items()},
            data_write=self.data_write,
            disk_id=self.disk_id,
            block=self.block,
            parent=self.parent or None,
            sectors={number: bytes(bits) for number, bits in self.sectors.items()},
            zeros=self.zeros,
        )


def read_stored(path: Path) -> Stored:
    """Reads a file of `write_vhdx` back; no other VHDX."""
    raw = path.read_bytes()
    items = dict(_items(raw[_METADATA_AT : _METADATA_AT + MIB]))
    block, flags = struct.unpack("<II", items[_PARAMETERS])
    size = struct.unpack("<Q", items[_DISK_SIZE])[0]
    count, chunk = -(-size // block), (1 << 23) * 512 // block
    found = Stored(
        size=size,
        block=block,
        data_write=uuid.UUID(bytes_le=raw[(128 << 10) + 32 : (128 << 10) + 48]),
        disk_id=uuid.UUID(bytes_le=items[_DISK_ID]),
        parent=_locator_entries(items[_LOCATOR]) if flags & 2 else {},
        blocks={},
        sectors={},
        zeros=set(),
    )
    length = block // 512 // 8
    for number in range(count):
        (entry,) = struct.unpack_from("<Q", raw, _BAT_AT + 8 * (number + number // chunk))
        state, at = entry & 7, entry >> 20 << 20
        if state in {_FULL, _PARTIAL}:
            found.blocks[number] = bytearray(raw[at : at + block])
        if state == _ZERO:
            found.zeros.add(number)
        if state == _PARTIAL:
            (map_entry,) = struct.unpack_from("<Q", raw, _BAT_AT + 8 * ((number // chunk + 1) * (chunk + 1) - 1))
            place = (map_entry >> 20 << 20) + number % chunk * length
            found.sectors[number] = bytearray(raw[place : place + length])
    return found


def _items(region: bytes) -> Iterator[tuple[bytes, bytes]]:
    (count,) = struct.unpack_from("<H", region, 10)
    for number in range(count):
        kind, at, length, _, _ = struct.unpack_from("<16sIIII", region, 32 + 32 * number)
        yield kind, region[at : at + length]


def _locator_entries(raw: bytes) -> dict[str, str]:
    (count,) = struct.unpack_from("<H", raw, 18)
    found = {}
    for number in range(count):
        key_at, value_at, key_bytes, value_bytes = struct.unpack_from("<IIHH", raw, 20 + 12 * number)
        key, value = raw[key_at : key_at + key_bytes], raw[value_at : value_at + value_bytes]
        found[key.decode("utf-16-le")] = value.decode("utf-16-le")
    return found


def parent_entries(parent: str, data_write: uuid.UUID) -> dict[str, str]:
    """The locator of a parent by its path on the host."""
    return {
        "parent_linkage": "{" + str(data_write) + "}",
        "relative_path": ".\\" + parent.rpartition("\\")[2],
        "absolute_win32_path": parent,
    }
