# SPDX-License-Identifier: Apache-2.0
"""The gate for VHD: only what is complete in itself passes; qemu reads a differencing disk as if it had no parent."""

from v2x.disks.interface import ByteSource
from v2x.disks.probe import ImageFacts
from v2x.disks.vhd.layer import BlockTable
from v2x.disks.vhd.structure import DIFFERENCING, DYNAMIC, VARIANTS, read_footer, read_header
from v2x.errors import UnsafeImage
from v2x.model.machine import DiskFormat


def check_vhd(source: ByteSource) -> ImageFacts:
    footer = read_footer(source)
    if footer.kind == DIFFERENCING:
        raise UnsafeImage(
            f"{source.name} is a differencing disk: it needs its parent",
            hint="let v2x read it itself, or merge the checkpoints where it was made",
        )
    if footer.kind == DYNAMIC:
        BlockTable(source, footer, read_header(source, footer))
    return ImageFacts(format=DiskFormat.VHD, size_bytes=footer.size_bytes, variant=VARIANTS[footer.kind])
