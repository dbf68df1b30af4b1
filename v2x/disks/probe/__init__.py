# SPDX-License-Identifier: Apache-2.0
"""The safety gate in front of every external tool: an image is looked at here before anything else opens it.

The format is given by the hypervisor or the user, never guessed: a raw disk may well begin with the header of another
format that its guest wrote there. What passes is self-contained: no backing file, no data file, no parent, no extents
elsewhere, no encryption, no feature that is not known here, and headers and tables that lie within the file.
"""

from dataclasses import dataclass
from pathlib import Path

from v2x.disks.bytesource import FileSource
from v2x.disks.interface import ByteSource
from v2x.errors import UnsafeImage
from v2x.model.machine import DiskFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What a passed image says of itself. `size_bytes` is the guest's view, `variant` the format's own word."""

    format: DiskFormat
    size_bytes: int
    variant: str = ""
    logical_sector_bytes: int = 512


def check_image(source: ByteSource, format: DiskFormat) -> ImageFacts:
    """Looks at `source` as `format`. BadImage for damage, UnsafeImage for references, Unsupported for features."""
    match format:
        case DiskFormat.RAW:
            return ImageFacts(format=format, size_bytes=source.size, variant="raw")
        case DiskFormat.VMDK:
            from v2x.disks.probe.vmdk import check_vmdk

            return check_vmdk(source)
        case DiskFormat.VHD:
            from v2x.disks.probe.vhd import check_vhd

            return check_vhd(source)
        case DiskFormat.VHDX:
            from v2x.disks.probe.vhdx import check_vhdx

            return check_vhdx(source)
        case DiskFormat.QCOW2:
            from v2x.disks.probe.qcow2 import check_qcow2

            return check_qcow2(source)


def check_overlay(path: str | Path, nbd_socket: str | Path) -> ImageFacts:
    """Passes exactly a QCOW2 file on top of the NBD export that v2x itself serves on the Unix socket `nbd_socket`.

    The backing string must be `nbd+unix:///?socket=<nbd_socket>` and its format raw; anything else is UnsafeImage.
    """
    from v2x.disks.probe.qcow2 import check_qcow2

    socket = str(nbd_socket)
    if not socket.startswith("/") or any(sign in socket for sign in "?#&%+;\n\0 "):
        raise UnsafeImage(f"{socket!r} is no plain absolute path of a socket")
    source = FileSource.open(path)
    try:
        return check_qcow2(source, backing=f"nbd+unix:///?socket={socket}".encode())
    finally:
        source.close()
