# SPDX-License-Identifier: Apache-2.0
"""The gate for VHD: only what is complete in itself passes; qemu reads a differencing disk as if it had no parent.

A fixed disk begins with what its guest wrote there. Tools look for a footer's copy at the beginning first, and would
take the guest's word for what the file is.
"""

from v2x.disks.interface import ByteSource
from v2x.disks.probe import ImageFacts
from v2x.disks.probe.fields import field_bytes
from v2x.disks.vhd.layer import BlockTable
from v2x.disks.vhd.structure import COOKIE, DIFFERENCING, DYNAMIC, FIXED, VARIANTS, read_footer, read_header
from v2x.errors import UnsafeImage
from v2x.model.machine import DiskFormat


def check_vhd(source: ByteSource) -> ImageFacts:
    footer = read_footer(source)
    if footer.kind == DIFFERENCING:
        raise UnsafeImage(
            f"{source.name} is a differencing disk: it needs its parent",
            hint="let v2x read it itself, or merge the checkpoints where it was made",
        )
    if footer.kind == FIXED and field_bytes(source, 0, len(COOKIE), "the data") == COOKIE:
        raise UnsafeImage(
            f"{source.name} is a fixed disk that begins like a dynamic one, for which tools would take it",
            hint="let v2x read it itself, which goes by the footer at its end",
        )
    if footer.kind == DYNAMIC:
        BlockTable(source, footer, read_header(source, footer))
    return ImageFacts(format=DiskFormat.VHD, size_bytes=footer.size_bytes, variant=VARIANTS[footer.kind])
