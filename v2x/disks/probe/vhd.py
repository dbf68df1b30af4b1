# SPDX-License-Identifier: Apache-2.0
"""The gate for VHD, by Microsoft's "Virtual Hard Disk Image Format Specification". All fields big-endian."""

import struct
import sys
from array import array
from typing import Final

from v2x.disks.interface import ByteSource
from v2x.disks.probe import ImageFacts
from v2x.disks.probe.fields import field_bytes, require_inside
from v2x.errors import BadImage, UnsafeImage, Unsupported
from v2x.model.machine import DiskFormat

FOOTER_BYTES: Final = 512
HEADER_BYTES: Final = 1024
MAX_BYTES: Final = 2040 << 30
UNUSED: Final = 0xFFFFFFFF
FIXED, DYNAMIC, DIFFERENCING = 2, 3, 4
_FOOTER = struct.Struct(">8sIIQI4sIIQQIII")
_HEADER = struct.Struct(">8sQQIIII")
_PAGE_ENTRIES: Final = 1 << 16


def checksum(raw: bytes, at: int) -> int:
    """The complement of the sum of all bytes but the four of the checksum itself at `at`."""
    return ~(sum(raw) - sum(raw[at : at + 4])) & 0xFFFFFFFF


def check_vhd(source: ByteSource) -> ImageFacts:
    name = source.name
    raw = field_bytes(source, source.size - FOOTER_BYTES, FOOTER_BYTES, "the footer")
    cookie, _, version, header_offset, *_, size, _, kind, found = _FOOTER.unpack_from(raw)
    if cookie != b"conectix":
        raise BadImage(f"{name} has no VHD footer at its end", hint="the file is truncated, or of another format")
    if found != checksum(raw, 64):
        raise BadImage(f"the footer of {name} is damaged (checksum)", hint="copy the file again")
    if version >> 16 != 1:
        raise Unsupported(f"{name} is a VHD of the unknown version {version:#x}")
    if kind == DIFFERENCING:
        raise UnsafeImage(
            f"{name} is a differencing disk: it needs its parent", hint="merge the checkpoints where it was made"
        )
    if kind not in {FIXED, DYNAMIC}:
        raise Unsupported(f"{name} is a VHD of the unknown type {kind}")
    if size > MAX_BYTES or size % 512:
        raise BadImage(f"{name} claims {size:,} bytes; whole sectors up to 2,040 GiB are possible")
    if kind == FIXED:
        require_inside(source, 0, size + FOOTER_BYTES, "the data")
        return ImageFacts(format=DiskFormat.VHD, size_bytes=size, variant="fixed")
    if field_bytes(source, 0, FOOTER_BYTES, "the footer's copy") != raw:
        raise BadImage(f"the footer of {name} and its copy differ", hint="copy the file again")
    _check_dynamic(source, header_offset, size)
    return ImageFacts(format=DiskFormat.VHD, size_bytes=size, variant="dynamic")


def _check_dynamic(source: ByteSource, offset: int, size: int) -> None:
    name = source.name
    raw = field_bytes(source, offset, HEADER_BYTES, "the header")
    cookie, _, table, version, entries, block_bytes, found = _HEADER.unpack_from(raw)
    if cookie != b"cxsparse" or found != checksum(raw, 36):
        raise BadImage(f"the header of {name} is damaged", hint="copy the file again")
    if version >> 16 != 1:
        raise Unsupported(f"{name} has a VHD header of the unknown version {version:#x}")
    if block_bytes < 4096 or block_bytes > 256 << 20 or block_bytes & (block_bytes - 1):
        raise BadImage(f"{name} has an impossible block size of {block_bytes:,} bytes")
    blocks = -(-size // block_bytes)
    if entries < blocks:
        raise BadImage(f"the block table of {name} has {entries:,} entries for {blocks:,} blocks")
    require_inside(source, table, entries * 4, "the block table")
    bitmap_bytes = -(-(block_bytes // 512 // 8) // 512) * 512
    for first in range(0, blocks, _PAGE_ENTRIES):
        count = min(_PAGE_ENTRIES, blocks - first)
        page = array("I", field_bytes(source, table + first * 4, count * 4, "the block table"))
        if sys.byteorder == "little":
            page.byteswap()
        last = max((entry for entry in page if entry != UNUSED), default=None)
        if last is not None:
            # Writers may leave out the end of the last block beyond the disk's size; a sector at least must be there.
            require_inside(source, last * 512, bitmap_bytes + 512, "a block")
