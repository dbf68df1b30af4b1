# SPDX-License-Identifier: Apache-2.0
"""The four ways to the bytes of vSphere's disks: https, nfc, vddk, ssh. `open_disk` takes the one that fits."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from v2x.disks.interface import DiskReader
    from v2x.model.machine import Disk, Machine
    from v2x.sources.interface import Checkpoint
    from v2x.sources.vsphere.session import VsphereSession
    from v2x.sources.vsphere.transports.options import TransportOptions

__all__ = ["open_disk"]


def open_disk(
    session: "VsphereSession", machine: "Machine", disk: "Disk", at: "Checkpoint", options: "TransportOptions"
) -> "DiskReader":
    """Opens one disk at its checkpoint. See `opening.open_disk`; nothing heavy is imported before."""
    from v2x.sources.vsphere.transports import opening

    return opening.open_disk(session, machine, disk, at, options)
