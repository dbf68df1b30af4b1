# SPDX-License-Identifier: Apache-2.0
"""The binary configuration (.vmcx) that Hyper-V writes since Windows Server 2016, as a tree of settings.

Microsoft does not document the format. What is read here was worked out from files of Hyper-V itself, with the test
that every checksum in them is met by these rules; whatever is not known that well is refused or left out.

    0x0000, 0x1000  two headers, the valid one with the higher number counts: signature, CRC-32, number (16 bits),
                    version, -, unit of 4096 bytes, place and length of the log, header length; 46 bytes
    0x2000          table of objects: signature, -, count, then entries of 18 bytes: kind, CRC-32, place, length, used
    log             a head of 34 bytes with its CRC-32; changes that were begun are recorded there first
    kind 2          a table of settings: signature, number, sequence, CRC-32 of these 10 bytes, then entries
    entry           type, flags, length, number of the parent's table, place of the parent in it, CRC-32 of what is
                    used, order, length of the name; name with NUL; value; unused rest. 21 bytes before the name

All numbers are little-endian and lie close together. A CRC-32 is computed with zeros in its own place.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from v2x.errors import BadImage, Unsupported
from v2x.sources.hyperv.settings import MOST_DEPTH, MOST_SETTINGS, Settings, Value

MOST_VMCX_BYTES: Final = 64 << 20
VERSION: Final = 0x400

_HEADER = struct.Struct("<IIHIQIQQI")
_HEADERS: Final = (0, 0x1000)
_SIGNATURE: Final = 0x01282014
_UNIT: Final = 0x1000
_OBJECTS_AT: Final = 0x2000
_OBJECTS = struct.Struct("<HHI")
_OBJECT = struct.Struct("<BIQIB")
_LOG_HEAD_BYTES: Final = 34
_LOG_CLEAN: Final = bytes.fromhex("0300110133101e280000000000910000").ljust(_LOG_HEAD_BYTES, b"\0")
_TABLE = struct.Struct("<HHHI")
_ENTRY = struct.Struct("<BBIHIIIB")
_MORE_OBJECTS, _SETTINGS_TABLE = 1, 2
_MOST_TABLES: Final = 4096

_FREE, _INTEGER, _UNSIGNED, _DOUBLE, _STRING, _BYTES, _BOOL, _NODE = 1, 3, 4, 5, 6, 7, 8, 9
_PLAIN: Final = {_INTEGER: "<q", _UNSIGNED: "<Q", _DOUBLE: "<d"}
_FIXED_BYTES: Final = {_BOOL: 4, _NODE: 12}
_IN_PLACE: Final = frozenset({0, 2})
"""Flags of entries whose value stands in the entry itself; others lead to data elsewhere, which is not read."""

_AGAIN: Final = "copy or export the machine again"


@dataclass(frozen=True, slots=True)
class _Entry:
    table: int
    place: int
    parent: tuple[int, int]
    order: int
    name: str
    kind: int
    value: Value | None

    @property
    def key(self) -> tuple[int, int]:
        return self.table, self.place


def read_vmcx(data: bytes, name: str) -> Settings:
    """The settings below `configuration`. BadImage for damage of anything that has a checksum and for a contradiction.

    Unsupported for another version, and for a file that was not closed: its log may hold changes that are not applied.
    """
    if len(data) > MOST_VMCX_BYTES:
        raise BadImage(f"{name} has {len(data):,} bytes; a configuration has at most {MOST_VMCX_BYTES:,}")
    _require_clean(data, _checked_header(data, name), name)
    entries: dict[tuple[int, int], _Entry] = {}
    for number, table in _tables(data, name).items():
        for entry in _entries(table, number, name):
            entries[entry.key] = entry
            if len(entries) > MOST_SETTINGS:
                raise BadImage(f"{name} holds more than {MOST_SETTINGS:,} settings")
    return _tree(entries, name)


def _checked_header(data: bytes, name: str) -> int:
    """The place of the log, by the valid header with the higher number."""
    best: tuple[int, ...] | None = None
    for place in _HEADERS:
        raw = data[place : place + _HEADER.size]
        if len(raw) < _HEADER.size:
            continue
        fields = _HEADER.unpack(raw)
        if fields[0] == _SIGNATURE and fields[1] == _crc(raw, 4) and (best is None or fields[2] > best[2]):
            best = fields
    if best is None:
        raise BadImage(f"{name} is no configuration of Hyper-V, or both its headers are damaged", hint=_AGAIN)
    _, _, _, version, _, unit, log_at, _, _ = best
    if version != VERSION or unit != _UNIT:
        raise Unsupported(
            f"{name} is a configuration of the unknown version {version:#x}",
            hint="collect the machine's facts on its host instead (docs/hyperv.md)",
        )
    # The unused rest of the log need not be there: a file may end before it.
    if log_at % _UNIT or log_at <= _OBJECTS_AT or log_at + _LOG_HEAD_BYTES > len(data):
        raise BadImage(f"the log of {name} lies outside the file", hint=_AGAIN)
    return log_at


def _require_clean(data: bytes, log_at: int, name: str) -> None:
    """Both files of Hyper-V that were seen have the same head over an idle log; nothing else is taken for idle."""
    head = data[log_at : log_at + _LOG_HEAD_BYTES]
    if int.from_bytes(head[4:8], "little") != _crc(head, 4):
        raise BadImage(f"the log of {name} is damaged", hint=_AGAIN)
    if head != _LOG_CLEAN:
        raise Unsupported(
            f"{name} was not closed: changes may stand in its log that are not in its tables",
            hint="shut the machine down at the source and export it again",
        )


def _tables(data: bytes, name: str) -> dict[int, bytes]:
    """The tables of settings by their number; of two with one number the later one."""
    tables: dict[int, tuple[int, bytes]] = {}
    for place, length in _objects(data, name):
        raw = data[place : place + length]
        signature, number, sequence, found = _TABLE.unpack_from(raw)
        if signature != _SETTINGS_TABLE or found != _crc(raw[: _TABLE.size], 6):
            raise BadImage(f"a table of settings in {name} is damaged", hint=_AGAIN)
        if number not in tables or sequence > tables[number][0]:
            tables[number] = (sequence, raw)
    if not tables:
        raise BadImage(f"{name} holds no settings", hint=_AGAIN)
    return {number: raw for number, (_, raw) in sorted(tables.items())}


def _objects(data: bytes, name: str) -> Iterator[tuple[int, int]]:
    """Where the tables of settings lie. BadImage for entries that are damaged or lie outside the file or twice."""
    waiting, seen, found = [(_OBJECTS_AT, _UNIT)], {_OBJECTS_AT}, 0
    while waiting:
        begin, room = waiting.pop()
        signature, _, count = _OBJECTS.unpack_from(data, begin)
        if signature != 1 or count > (room - _OBJECTS.size) // _OBJECT.size:
            raise BadImage(f"the table of objects in {name} is damaged", hint=_AGAIN)
        for at in range(begin + _OBJECTS.size, begin + _OBJECTS.size + count * _OBJECT.size, _OBJECT.size):
            raw = data[at : at + _OBJECT.size]
            kind, checksum, place, length, used = _OBJECT.unpack(raw)
            if checksum != _crc(raw, 1):
                raise BadImage(f"an object in {name} is damaged", hint=_AGAIN)
            if not used or kind not in {_MORE_OBJECTS, _SETTINGS_TABLE}:
                continue
            inside = place > _OBJECTS_AT and place % _UNIT == 0 and _UNIT <= length <= len(data) - place
            found += 1
            if not inside or place in seen or found > _MOST_TABLES:
                raise BadImage(f"an object in {name} lies outside the file or on top of another", hint=_AGAIN)
            seen.add(place)
            if kind == _SETTINGS_TABLE:
                yield place, length
            else:
                waiting.append((place, length))


def _entries(table: bytes, number: int, name: str) -> Iterator[_Entry]:
    damaged = BadImage(f"a setting in table {number} of {name} is damaged", hint=_AGAIN)
    at = _TABLE.size
    while at + _ENTRY.size <= len(table):
        kind, flags, length, parent_table, parent_at, checksum, order, name_bytes = _ENTRY.unpack_from(table, at)
        if length == 0 and not any(table[at:]):
            return
        raw = table[at : at + length]
        if length < _ENTRY.size or at + length > len(table):
            raise damaged
        if kind != _FREE:
            body = _ENTRY.size + name_bytes
            used = body + _value_bytes(kind, raw, body)
            if not name_bytes or used > length or checksum != _crc(raw[:used], 12):
                raise damaged
            word = raw[_ENTRY.size : body].rstrip(b"\0").decode("utf-8", "replace")
            value = _value(kind, flags, raw[body:used], damaged)
            yield _Entry(number, at, (parent_table, parent_at), order, word, kind, value)
        at += length


def _value_bytes(kind: int, raw: bytes, body: int) -> int:
    if kind in {_STRING, _BYTES}:
        return 4 + int.from_bytes(raw[body : body + 4], "little")
    return _FIXED_BYTES.get(kind, 8)


def _value(kind: int, flags: int, raw: bytes, damaged: BadImage) -> Value | None:
    """None for nodes, for types that are not known, and for values that stand elsewhere."""
    if flags not in _IN_PLACE:
        return None
    if kind in _PLAIN:
        plain: int | float = struct.unpack(_PLAIN[kind], raw)[0]
        return plain
    if kind == _STRING:
        try:
            return raw[4:].decode("utf-16-le").split("\0", 1)[0]
        except UnicodeDecodeError:
            raise damaged from None
    if kind == _BYTES:
        return raw[4:]
    return any(raw) if kind == _BOOL else None


def _crc(raw: bytes, at: int) -> int:
    return crc32(raw[:at] + bytes(4) + raw[at + 4 :])


def _tree(entries: dict[tuple[int, int], _Entry], name: str) -> Settings:
    """Entries below their parents, in the order in which they were made. BadImage for orphans and circles."""
    nodes = {key: Settings(entry.name, [], entry.value) for key, entry in entries.items()}
    roots = []
    for key, entry in sorted(entries.items(), key=lambda item: item[1].order):
        if entry.parent[0] == 0:
            roots.append(key)
            continue
        parent = entries.get(entry.parent)
        if parent is None or parent.kind != _NODE or _depth(entries, entry) > MOST_DEPTH:
            raise BadImage(f"the setting {entry.name[:60]!r} of {name} belongs to no other", hint=_AGAIN)
        nodes[entry.parent].children.append(nodes[key])
    top = [nodes[key] for key in roots if entries[key].kind == _NODE and entries[key].name == "configuration"]
    if len(top) != 1:
        raise BadImage(f"{name} has {len(top)} configurations", hint=_AGAIN)
    return top[0]


def _depth(entries: dict[tuple[int, int], _Entry], entry: _Entry) -> int:
    """How deep an entry lies; beyond MOST_DEPTH for one whose ancestors go in a circle."""
    depth = 0
    while entry.parent[0] != 0 and depth <= MOST_DEPTH:
        found = entries.get(entry.parent)
        if found is None:
            break
        entry = found
        depth += 1
    return depth
