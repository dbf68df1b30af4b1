# SPDX-License-Identifier: Apache-2.0
"""A guest's conversion from its disks: what would be changed, found on disks that nothing can write to."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from v2x.convert.guestfs import GuestDisk, MountedGuest, mounted
from v2x.convert.interface import Adapter, Conversion, Inspection, Proposal, Remark
from v2x.convert.linux import plan_linux
from v2x.disks.interface import DiskReader
from v2x.disks.serve import DiskExport


def plan_guest(disks: Sequence[DiskReader], *, adapters: Sequence[Adapter] = ()) -> Conversion:
    """What is intended for the guest in `disks`, in the order of its hardware; they are only read, and stay open.

    Raises the error of a disk that could not be read, before any that comes of it; UsageError MISSING-TOOL without
    libguestfs; TargetError if it cannot mount the guest.
    """
    with _looked_into(disks) as guest:
        if guest.systems == 0:
            remark = Remark(
                text="no operating system was found on the disks",
                remedy="if they are encrypted, see to its drivers and names in the guest; it is copied as it is",
            )
            return Conversion(inspection=Inspection(), proposal=Proposal(remarks=(remark,)))
        found = plan_linux(guest, stable_names=guest.stable_names, adapters=adapters)
        remarks = tuple(_remarks(guest))
    return replace(found, proposal=replace(found.proposal, remarks=(*remarks, *found.proposal.remarks)))


def _remarks(guest: MountedGuest) -> Iterator[Remark]:
    if guest.systems > 1:
        yield Remark(
            text=f"the disks hold {guest.systems} operating systems; only the first was looked into",
            remedy="see to the others in the guest",
        )
    if guest.unmounted:
        yield Remark(
            text=f"{', '.join(guest.unmounted)} could not be mounted, so nothing there was looked at",
            remedy="check these file systems in the guest",
        )


@contextlib.contextmanager
def _looked_into(disks: Sequence[DiskReader]) -> Iterator[MountedGuest]:
    with contextlib.ExitStack() as stack:
        exports = [stack.enter_context(DiskExport(disk)) for disk in disks]
        try:
            with mounted([GuestDisk(socket=one.path) for one in exports], readonly=True) as guest:
                yield guest
        finally:
            for export in exports:
                if export.problem is not None:
                    raise export.problem
