# SPDX-License-Identifier: Apache-2.0
"""Footer and header of VHDs, by Microsoft's "Virtual Hard Disk Image Format Specification" 1.0. Big-endian."""

import struct
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from v2x.disks.interface import ByteSource
from v2x.disks.parents import Identity, ParentLink, base_name
from v2x.disks.probe.fields import field_bytes, require_inside
from v2x.errors import BadImage, Unsupported

SECTOR_BYTES: Final = 512
FOOTER_BYTES: Final = 512
HEADER_BYTES: Final = 1024
MAX_BYTES: Final = 2040 << 30
COOKIE: Final = b"conectix"
FIXED, DYNAMIC, DIFFERENCING = 2, 3, 4
VARIANTS: Final = {FIXED: "fixed", DYNAMIC: "dynamic", DIFFERENCING: "differencing"}

_FOOTER = struct.Struct(">8sIIQI4sI4sQQIII16s")
_HEADER = struct.Struct(">8sQQIIII16sII512s")
_MAX_BLOCK_BYTES: Final = 256 << 20
_MAX_ENTRIES: Final = 1 << 22
# libvhd and VirtualBox put the parent file's modification time where Windows puts the parent's own time stamp, and
# every copy changes that.
_STAMPS_BY_FILE_TIME: Final = frozenset({b"tap\0", b"vbox"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Footer:
    """`size_bytes` is the current size, which is what Hyper-V's guests see; the geometry may be smaller."""

    kind: int
    size_bytes: int
    header_offset: int
    identity: Identity
    creator: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The header of a dynamic or differencing disk. `blocks` is how many entries of the table the disk uses."""

    table_offset: int
    block_bytes: int
    blocks: int
    parent: ParentLink | None

    @property
    def bitmap_bytes(self) -> int:
        """The bitmap before each block, in whole sectors."""
        return -(-(self.block_bytes // SECTOR_BYTES // 8) // SECTOR_BYTES) * SECTOR_BYTES


def checksum(raw: bytes, at: int) -> int:
    """The complement of the sum of all bytes but the four of the checksum itself at `at`."""
    return ~(sum(raw) - sum(raw[at : at + 4])) & 0xFFFFFFFF


def read_footer(source: ByteSource) -> Footer:
    """The footer at the end, which must equal its copy at the beginning where there is one. BadImage, Unsupported."""
    name = source.name
    raw = field_bytes(source, source.size - FOOTER_BYTES, FOOTER_BYTES, "the footer")
    cookie, _, version, header, stamp, creator, _, _, _, size, _, kind, found, unique = _FOOTER.unpack_from(raw)
    if cookie != COOKIE:
        raise BadImage(f"{name} has no VHD footer at its end", hint="the file is truncated, or of another format")
    if found != checksum(raw, 64):
        raise BadImage(f"the footer of {name} is damaged (checksum)", hint="copy the file again")
    if version >> 16 != 1:
        raise Unsupported(f"{name} is a VHD of the unknown version {version:#x}")
    if kind not in VARIANTS:
        raise Unsupported(f"{name} is a VHD of the unknown type {kind}")
    if size > MAX_BYTES or size % SECTOR_BYTES:
        raise BadImage(f"{name} claims {size:,} bytes; whole sectors up to 2,040 GiB are possible")
    if kind == FIXED:
        require_inside(source, 0, size + FOOTER_BYTES, "the data")
    elif field_bytes(source, 0, FOOTER_BYTES, "the footer's copy") != raw:
        raise BadImage(f"the footer of {name} and its copy differ", hint="copy the file again")
    return Footer(
        kind=kind,
        size_bytes=size,
        header_offset=header,
        identity=Identity(UUID(bytes=unique), stamp),
        creator=creator,
    )


def read_header(source: ByteSource, footer: Footer) -> Header:
    """The header that `footer` points to. BadImage, Unsupported."""
    name = source.name
    raw = field_bytes(source, footer.header_offset, HEADER_BYTES, "the header")
    cookie, _, table, version, entries, block_bytes, found, parent, stamp, _, path = _HEADER.unpack_from(raw)
    if cookie != b"cxsparse" or found != checksum(raw, 36):
        raise BadImage(f"the header of {name} is damaged", hint="copy the file again")
    if version >> 16 != 1:
        raise Unsupported(f"{name} has a VHD header of the unknown version {version:#x}")
    if block_bytes < 4096 or block_bytes > _MAX_BLOCK_BYTES or block_bytes & (block_bytes - 1):
        raise BadImage(f"{name} has an impossible block size of {block_bytes:,} bytes")
    blocks = -(-footer.size_bytes // block_bytes)
    if entries < blocks:
        raise BadImage(f"the block table of {name} has {entries:,} entries for {blocks:,} blocks")
    if blocks > _MAX_ENTRIES:
        raise Unsupported(
            f"{name} has {blocks:,} blocks of {block_bytes:,} bytes; up to {_MAX_ENTRIES:,} are read",
            hint="convert it to VHDX at the source",
        )
    require_inside(source, table, entries * 4, "the block table")
    link = None
    if footer.kind == DIFFERENCING:
        if parent == bytes(16):
            raise BadImage(f"{name} does not say which parent it was made on")
        exact = footer.creator not in _STAMPS_BY_FILE_TIME
        wanted = Identity(UUID(bytes=parent), stamp if exact else None)
        link = ParentLink((wanted,), base_name(path.decode("utf-16-be", "replace").split("\0", 1)[0]))
    return Header(table_offset=table, block_bytes=block_bytes, blocks=blocks, parent=link)
