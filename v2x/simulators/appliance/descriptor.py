# SPDX-License-Identifier: Apache-2.0
"""The text descriptor of a VMDK, as VMware's products write it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

NO_PARENT = 0xFFFFFFFF


class CreateType(StrEnum):
    """The layouts of a VMDK; the last group keeps its data on a device and cannot be copied as files."""

    MONOLITHIC_SPARSE = "monolithicSparse"
    MONOLITHIC_FLAT = "monolithicFlat"
    TWO_GB_SPARSE = "twoGbMaxExtentSparse"
    TWO_GB_FLAT = "twoGbMaxExtentFlat"
    STREAM_OPTIMIZED = "streamOptimized"
    VMFS = "vmfs"
    VMFS_SPARSE = "vmfsSparse"
    SE_SPARSE = "seSparse"

    CUSTOM = "custom"
    FULL_DEVICE = "fullDevice"
    PARTITIONED_DEVICE = "partitionedDevice"
    VMFS_RAW = "vmfsRaw"
    VMFS_RDM = "vmfsRawDeviceMap"
    VMFS_RDM_PHYSICAL = "vmfsPassthroughRawDeviceMap"


@dataclass(frozen=True, slots=True)
class ExtentLine:
    """One line of the extent description; `offset` in sectors is written for flat extents only."""

    sectors: int
    kind: str
    file: str = ""
    offset: int | None = None
    access: str = "RW"

    def __str__(self) -> str:
        words = [self.access, str(self.sectors), self.kind]
        if self.file:
            words.append(f'"{self.file}"')
        if self.offset is not None:
            words.append(str(self.offset))
        return " ".join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskIdentity:
    """What a descriptor says beside its extents.

    `cid` is the content id; a delta names its parent's as `parent_cid` and its file as `parent_hint`.
    """

    cid: int = 0xFFFFFFFE
    parent_cid: int = NO_PARENT
    parent_hint: str = ""
    adapter: str = "lsilogic"
    hardware_version: str = "19"
    encoding: str = "UTF-8"
    ddb: Mapping[str, str] = field(default_factory=dict)


def descriptor(create_type: CreateType, extents: Sequence[ExtentLine], identity: DiskIdentity) -> str:
    """The descriptor's text, with line feeds as VMware writes them."""
    sectors = sum(extent.sectors for extent in extents)
    lines = [
        "# Disk DescriptorFile",
        "version=1",
        f'encoding="{identity.encoding}"',
        f"CID={identity.cid:08x}",
        f"parentCID={identity.parent_cid:08x}",
        f'createType="{create_type.value}"',
    ]
    if identity.parent_hint:
        lines.append(f'parentFileNameHint="{identity.parent_hint}"')
    lines += ["# Extent description", *map(str, extents), "", "# The Disk Data Base ", "#DDB", ""]
    facts = {
        "adapterType": identity.adapter,
        "geometry.cylinders": str(min(65535, sectors // (255 * 63))),
        "geometry.heads": "255",
        "geometry.sectors": "63",
        "virtualHWVersion": identity.hardware_version,
    }
    if identity.parent_hint:
        facts = {}
    lines += [f'ddb.{name} = "{value}"' for name, value in {**facts, **identity.ddb}.items()]
    return "\n".join(lines) + "\n"
