# SPDX-License-Identifier: Apache-2.0
"""The gate for VHDX: only what is complete in itself passes, since tools look for parents and write logs back."""

from v2x.disks.interface import ByteSource
from v2x.disks.probe import ImageFacts
from v2x.disks.vhdx.metadata import read_metadata
from v2x.disks.vhdx.structure import BAT, METADATA, Region, read_header, read_regions
from v2x.disks.vhdx.table import BlockTable
from v2x.errors import UnsafeImage, Unsupported
from v2x.model.machine import DiskFormat


def check_vhdx(source: ByteSource) -> ImageFacts:
    header = read_header(source)
    if header.is_dirty:
        raise Unsupported(
            f"{source.name} was not closed cleanly: its log holds changes",
            hint="let v2x read it itself, or mount the disk at the source once",
        )
    regions = read_regions(source, header)
    metadata = read_metadata(source, regions[METADATA])
    if metadata.has_parent or metadata.locator is not None:
        raise UnsafeImage(
            f"{source.name} is a differencing disk: it needs its parent",
            hint="let v2x read it itself, or merge the checkpoints where it was made",
        )
    table = BlockTable(source.name, regions[BAT], metadata)
    table.check(source, [Region(header.log_offset, header.log_bytes), *regions.values()])
    return ImageFacts(
        format=DiskFormat.VHDX,
        size_bytes=metadata.size_bytes,
        variant="fixed" if metadata.fixed else "dynamic",
        logical_sector_bytes=metadata.sector_bytes,
    )
