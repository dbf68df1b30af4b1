# SPDX-License-Identifier: Apache-2.0
"""The gate for VMDK: only a sparse file that carries its own descriptor passes, and only if it names nothing else.

A descriptor of its own never reaches a tool, since tools open whatever path it names. The embedded one must lie at
sector 1, because tools look for a parent there whatever the header says, and they look for the key by its bytes
alone, comments included; so neither place may hold the word.
"""

from typing import Final

from v2x.disks.interface import ByteSource
from v2x.disks.listing import plain_name
from v2x.disks.probe import ImageFacts
from v2x.disks.probe.fields import field_bytes
from v2x.disks.vmdk.descriptor import SECTOR_BYTES, parse_descriptor
from v2x.disks.vmdk.header import is_sparse, read_descriptor_text, read_header
from v2x.errors import BadImage, UnsafeImage
from v2x.model.machine import DiskFormat

_LOOKED_AT_BYTES: Final = 20 * SECTOR_BYTES
_KINDS: Final = frozenset({"monolithicsparse", "streamoptimized"})
_PARENT_KEY: Final = b"parentfilenamehint"


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
