# SPDX-License-Identifier: Apache-2.0
"""The metadata region of a VHDX: what the disk is, and who its parent is. By Microsoft's [MS-VHDX], section 2.6."""

import struct
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from v2x.disks.chain import MAX_DISK_BYTES
from v2x.disks.interface import ByteSource
from v2x.disks.parents import Identity, ParentLink, base_name
from v2x.disks.probe.fields import field_bytes
from v2x.disks.vhdx.structure import MIB, MOST_ENTRIES, Region, require_apart
from v2x.errors import BadImage, Unsupported

FILE_PARAMETERS: Final = UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
DISK_SIZE: Final = UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8")
DISK_ID: Final = UUID("beca12ab-b2e6-4523-93ef-c309e000c746")
LOGICAL_SECTOR: Final = UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f")
PHYSICAL_SECTOR: Final = UUID("cda348c7-445d-4471-9cc9-e9885251c556")
PARENT_LOCATOR: Final = UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c")
VHDX_LOCATOR: Final = UUID("b04aefb7-d19e-4a81-b789-25b8e9445913")

_LENGTHS: Final = {FILE_PARAMETERS: 8, DISK_SIZE: 8, DISK_ID: 16, LOGICAL_SECTOR: 4, PHYSICAL_SECTOR: 4}
_TABLE_BYTES: Final = 64 << 10
_USER, _REQUIRED = 1, 4
_FIXED, _HAS_PARENT = 1, 2
_SECTORS: Final = frozenset({512, 4096})
_PATH_KEYS: Final = ("relative_path", "volume_path", "absolute_win32_path")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """`locator` is the parent locator as it stands in the file, or None."""

    size_bytes: int
    block_bytes: int
    sector_bytes: int
    fixed: bool
    has_parent: bool
    locator: bytes | None

    @property
    def blocks(self) -> int:
        return -(-self.size_bytes // self.block_bytes)

    @property
    def ratio(self) -> int:
        """Blocks whose sectors one sector bitmap block tells: the chunk ratio, a power of two."""
        return (1 << 23) * self.sector_bytes // self.block_bytes


def read_metadata(source: ByteSource, region: Region) -> Metadata:
    """The metadata of the disk. BadImage, Unsupported."""
    items = _items(source, region)
    name = source.name
    for kind in (FILE_PARAMETERS, DISK_SIZE, LOGICAL_SECTOR):
        if kind not in items:
            raise BadImage(f"{name} lacks the metadata item {kind}")
    block_bytes, flags = struct.unpack("<II", items[FILE_PARAMETERS])
    (size,) = struct.unpack("<Q", items[DISK_SIZE])
    (sector,) = struct.unpack("<I", items[LOGICAL_SECTOR])
    if sector not in _SECTORS:
        raise BadImage(f"{name} has sectors of {sector:,} bytes")
    if PHYSICAL_SECTOR in items and struct.unpack("<I", items[PHYSICAL_SECTOR])[0] not in _SECTORS:
        raise BadImage(f"{name} has an impossible physical sector size")
    if not MIB <= block_bytes <= 256 * MIB or block_bytes & (block_bytes - 1):
        raise BadImage(f"{name} has an impossible block size of {block_bytes:,} bytes")
    if flags & ~(_FIXED | _HAS_PARENT):
        raise BadImage(f"{name} has unknown file parameters ({flags:#x})")
    if size > MAX_DISK_BYTES or size % sector:
        raise BadImage(f"{name} claims {size:,} bytes; whole sectors up to 64 TiB are possible")
    return Metadata(
        size_bytes=size,
        block_bytes=block_bytes,
        sector_bytes=sector,
        fixed=bool(flags & _FIXED),
        has_parent=bool(flags & _HAS_PARENT),
        locator=items.get(PARENT_LOCATOR),
    )


def _items(source: ByteSource, region: Region) -> dict[UUID, bytes]:
    name = source.name
    table = field_bytes(source, region.offset, min(region.length, _TABLE_BYTES), "the metadata table")
    if len(table) < _TABLE_BYTES or table[:8] != b"metadata":
        raise BadImage(f"the metadata of {name} is damaged", hint="copy the file again")
    (count,) = struct.unpack_from("<H", table, 10)
    if count > MOST_ENTRIES:
        raise BadImage(f"{name} claims {count:,} metadata items")
    items: dict[UUID, bytes] = {}
    places: list[Region] = []
    seen: set[tuple[UUID, int]] = set()
    for number in range(count):
        guid, at, size, flags = struct.unpack_from("<16sIII", table, 32 + number * 32)
        kind, user = UUID(bytes_le=guid), flags & _USER
        known = not user and (kind in _LENGTHS or kind == PARENT_LOCATOR)
        if not known and flags & _REQUIRED:
            raise Unsupported(f"{name} needs an unknown metadata item {kind}")
        outside = size > MIB or (size and (at < _TABLE_BYTES or at + size > region.length)) or (at and not size)
        if outside or (kind, user) in seen or (known and size != _LENGTHS.get(kind, size)):
            raise BadImage(f"a metadata item of {name} is damaged", hint="copy the file again")
        seen.add((kind, user))
        places.append(Region(at, size))
        if known:
            items[kind] = field_bytes(source, region.offset + at, size, "a metadata item")
    require_apart(name, places)
    return items


def parent_link(metadata: Metadata, name: str) -> ParentLink | None:
    """Who the parent is by the locator of the disk `name`; None for a disk without one. BadImage, Unsupported."""
    locator = metadata.locator
    if metadata.has_parent != (locator is not None):
        raise BadImage(
            f"{name} says that it {'has' if metadata.has_parent else 'lacks'} a parent, and its metadata the opposite",
            hint="copy the file again",
        )
    if locator is None:
        return None
    values = _locator_values(locator, name)
    # While a child is merged into its parent, the second key holds the identity that the parent is about to have;
    # otherwise Hyper-V writes zeros there, which are no identity.
    found = [values[key] for key in ("parent_linkage", "parent_linkage2") if key in values]
    try:
        identities = tuple(Identity(one) for one in map(UUID, found) if one.int)
    except ValueError:
        raise BadImage(f"{name} names its parent by {found[0][:60]!r}, which is no identifier") from None
    if "parent_linkage" not in values or not identities:
        raise BadImage(f"{name} does not say which parent it was made on")
    return ParentLink(identities, next((base_name(values[key]) for key in _PATH_KEYS if values.get(key)), ""))


def _locator_values(raw: bytes, name: str) -> dict[str, str]:
    damaged = BadImage(f"the parent locator of {name} is damaged", hint="copy the file again")
    if len(raw) < 20:
        raise damaged
    kind, _, count = struct.unpack_from("<16sHH", raw)
    if UUID(bytes_le=kind) != VHDX_LOCATOR:
        raise Unsupported(
            f"{name} has a parent of an unknown kind ({UUID(bytes_le=kind)})", hint="merge it at the source"
        )
    if 20 + count * 12 > len(raw):
        raise damaged
    values: dict[str, str] = {}
    for number in range(count):
        key_at, value_at, key_bytes, value_bytes = struct.unpack_from("<IIHH", raw, 20 + number * 12)
        if key_at + key_bytes > len(raw) or value_at + value_bytes > len(raw):
            raise damaged
        try:
            key = raw[key_at : key_at + key_bytes].decode("utf-16-le")
            value = raw[value_at : value_at + value_bytes].decode("utf-16-le")
        except UnicodeDecodeError:
            raise damaged from None
        if key in values:
            raise damaged
        values[key] = value
    return values
