# SPDX-License-Identifier: Apache-2.0
"""The gate for VMDK: only a sparse file that carries its own descriptor passes, and only if it names nothing else.

A descriptor of its own never reaches a tool, since tools open whatever path it names. The embedded one must lie at
sector 1, because tools look for a parent there whatever the header says, and they look for the key by its bytes
alone, comments included; so neither place may hold the word. For the same reason the descriptor must be one that no two
programs read differently: ASCII, nothing but comments, plain settings and extents. Where a footer takes the place of
the header, it must be the same but for what only a footer knows.
"""

import re
from typing import Final

from v2x.disks.interface import ByteSource
from v2x.disks.listing import plain_name
from v2x.disks.probe import ImageFacts
from v2x.disks.probe.fields import field_bytes
from v2x.disks.vmdk.descriptor import SECTOR_BYTES, parse_descriptor
from v2x.disks.vmdk.header import IN_FOOTER, is_sparse, read_descriptor_text, read_header
from v2x.errors import BadImage, UnsafeImage
from v2x.model.machine import DiskFormat

_LOOKED_AT_BYTES: Final = 20 * SECTOR_BYTES
_KINDS: Final = frozenset({"monolithicsparse", "streamoptimized"})
_PARENT_KEY: Final = b"parentfilenamehint"
_DIRECTORY_AT: Final = slice(56, 64)
_AFTER_MARKER: Final = 16
_PLAIN_LINE: Final = re.compile(rb"\s*(#.*|ddb.*|[^\s=]+=.*|(rw|rdonly|noaccess) [^/]*)?", re.IGNORECASE)


def check_vmdk(source: ByteSource) -> ImageFacts:
    name = source.name
    if not is_sparse(source):
        raise UnsafeImage(
            f"{name} is a descriptor that names other files, or no VMDK",
            hint="such disks are read by v2x itself, not by other tools",
        )
    header = read_header(source)
    text = read_descriptor_text(source, header)
    if not text or header.descriptor_offset != SECTOR_BYTES:
        raise UnsafeImage(f"{name} has no descriptor of its own at its beginning", hint="export the disk again")
    looked_at = field_bytes(source, SECTOR_BYTES, min(_LOOKED_AT_BYTES, source.size - SECTOR_BYTES), "the descriptor")
    if _PARENT_KEY in looked_at.lower() or _PARENT_KEY in text.lower():
        raise UnsafeImage(f"{name} names a parent disk", hint="export the machine without snapshots")
    if not text.isascii() or not all(_PLAIN_LINE.fullmatch(line) for line in text.split(b"\n")):
        raise UnsafeImage(
            f"the descriptor of {name} holds lines that tools could take for something else",
            hint="such disks are read by v2x itself, not by other tools",
        )
    _check_footer(source)
    descriptor = parse_descriptor(text, name)
    descriptor.require_readable(name)
    if descriptor.parent_cid is not None:
        raise UnsafeImage(f"{name} is a delta on another disk", hint="export the machine without snapshots")
    if descriptor.create_type.lower() not in _KINDS:
        raise UnsafeImage(f"{name} is not a self-contained kind of VMDK", hint="such disks are read by v2x itself")
    if [extent.type for extent in descriptor.extents] != ["SPARSE"]:
        raise UnsafeImage(f"{name} names extents besides itself", hint="such disks are read by v2x itself")
    plain_name(descriptor.extents[0].file)
    if not header.capacity_bytes or not 0 <= header.capacity_bytes - descriptor.capacity_bytes < header.grain_bytes:
        raise BadImage(f"header and descriptor of {name} give different sizes", hint="copy the file again")
    return ImageFacts(format=DiskFormat.VMDK, size_bytes=descriptor.capacity_bytes, variant=descriptor.create_type)


def _check_footer(source: ByteSource) -> None:
    """A footer is the header again with the place of the directory, between markers that hold nothing else.

    Tools take all of it for the header: it must not lead to another descriptor. BadImage where it is none.
    """
    header = field_bytes(source, 0, SECTOR_BYTES, "the header")
    if int.from_bytes(header[_DIRECTORY_AT], "little") != IN_FOOTER:
        return
    tail = field_bytes(source, source.size - 3 * SECTOR_BYTES, 3 * SECTOR_BYTES, "the footer")
    marker, footer, end = (tail[at : at + SECTOR_BYTES] for at in range(0, len(tail), SECTOR_BYTES))
    # Version and flags, capacity, grain and the place of the descriptor.
    if header[4:44] != footer[4:44] or any(marker[_AFTER_MARKER:]) or any(end):
        raise BadImage(f"header and footer of {source.name} contradict each other", hint="export the disk again")
