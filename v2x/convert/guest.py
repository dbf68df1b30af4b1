# SPDX-License-Identifier: Apache-2.0
"""A guest's conversion from its disks: what would be changed, found on disks that nothing can write to."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from v2x.convert.apply import apply
from v2x.convert.guestfs import GuestDisk, MountedGuest, mounted
from v2x.convert.interface import Adapter, Conversion, GuestWishes, Inspection, Proposal, Remark
from v2x.convert.linux import plan_linux
from v2x.convert.locked import locked_disks, nothing_found
from v2x.convert.room import refuse_shortage, shortages
from v2x.disks import qemu_img
from v2x.disks.interface import DiskReader
from v2x.disks.nbd import open_overlay
from v2x.disks.serve import DiskExport
from v2x.errors import InputRefused, TargetError

NOTHING_MORE = GuestWishes()

_NEEDED = frozenset({"/boot", "/boot/efi", "/efi", "/etc", "/usr", "/var"})
"""Without one of these, an edit or a rebuilt image would land in the empty folder below a mount point."""


def plan_guest(
    disks: Sequence[DiskReader],
    *,
    adapters: Sequence[Adapter] = (),
    clock_offset_seconds: int | None = None,
    wishes: GuestWishes = NOTHING_MORE,
) -> Conversion:
    """What is intended for the guest in `disks`, in the order of its hardware; they are only read, and stay open.

    Raises the error of a disk that could not be read, before any that comes of it; UsageError MISSING-TOOL without
    libguestfs; TargetError if it cannot mount the guest; InputRefused GUEST-LOCKED if keys were given in vain.
    """
    with _looked_into(disks, wishes) as guest:
        found = _planned(guest, adapters, clock_offset_seconds, wishes)
        short = [one.remark for one in shortages(guest, found.proposal)]
    return replace(found, proposal=replace(found.proposal, remarks=(*short, *found.proposal.remarks)))


def _planned(
    guest: MountedGuest, adapters: Sequence[Adapter], clock_offset_seconds: int | None, wishes: GuestWishes
) -> Conversion:
    if wishes.keys and guest.locked and not guest.unlocked:
        raise InputRefused(
            f"no key that was given opens {', '.join(guest.locked)}",
            hint="give the passphrase of the guest's disk, or leave the key out: it is copied as it is then",
            code="GUEST-LOCKED",
        )
    if guest.systems == 0:
        return Conversion(inspection=Inspection(), proposal=Proposal(remarks=tuple(nothing_found(guest))))
    found = plan_linux(
        guest,
        stable_names=guest.stable_names,
        adapters=adapters,
        clock_offset_seconds=clock_offset_seconds,
        wishes=wishes,
    )
    return replace(found, proposal=replace(found.proposal, remarks=(*_remarks(guest), *found.proposal.remarks)))


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
    yield from locked_disks(guest)


@contextlib.contextmanager
def converted_guest(
    disks: Sequence[DiskReader],
    folder: Path,
    *,
    adapters: Sequence[Adapter] = (),
    clock_offset_seconds: int | None = None,
    wishes: GuestWishes = NOTHING_MORE,
) -> Iterator[tuple[Conversion, list[DiskReader]]]:
    """The guest in `disks` put right: what was done, and its disks as they are then, to be copied within the block.

    Edits go to overlays in `folder`, which are removed at the end; they take as much room as was written, a few hundred
    MiB for a rebuilt initial RAM disk. The disks themselves are only read. Where nothing is to be done, they are what
    is given. Raises as `plan_guest`; InputRefused GUEST-ROOM where a file system of the guest is too full; TargetError
    or ToolFailed where an edit or a program of the guest fails, and then nothing has happened.
    """
    with contextlib.ExitStack() as stack:
        exports = [stack.enter_context(DiskExport(disk)) for disk in disks]
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="v2x-overlay-", dir=folder)))
        overlays = [place / f"{number}.qcow2" for number in range(len(exports))]
        for overlay, export in zip(overlays, exports, strict=True):
            qemu_img.create_overlay(overlay, export.path)
        drives = [GuestDisk(overlay=one) for one in overlays]
        with _problems_first(exports), mounted(drives, readonly=False, keys=wishes.keys) as guest:
            conversion = _planned(guest, adapters, clock_offset_seconds, wishes)
            missing = [point for point in guest.unmounted if point in _NEEDED]
            if missing and not conversion.changes_nothing:
                raise TargetError(
                    f"{', '.join(missing)} of the guest could not be mounted, so it cannot be converted",
                    hint="check these file systems in the guest, or migrate without conversion",
                )
            refuse_shortage(guest, conversion.proposal)
            conversion = replace(conversion, proposal=apply(guest, conversion.proposal))
        if conversion.changes_nothing:
            yield conversion, list(disks)
            return
        readers: list[DiskReader] = []
        for overlay, export in zip(overlays, exports, strict=True):
            readers.append(stack.enter_context(contextlib.closing(open_overlay(overlay, export.path))))
        with _problems_first(exports):
            yield conversion, readers


@contextlib.contextmanager
def _problems_first(exports: Sequence[DiskExport]) -> Iterator[None]:
    """A disk that could not be read is the error, whatever came of it."""
    try:
        yield
    finally:
        for export in exports:
            if export.problem is not None:
                raise export.problem


@contextlib.contextmanager
def _looked_into(disks: Sequence[DiskReader], wishes: GuestWishes) -> Iterator[MountedGuest]:
    with contextlib.ExitStack() as stack:
        exports = [stack.enter_context(DiskExport(disk)) for disk in disks]
        drives = [GuestDisk(socket=one.path) for one in exports]
        with _problems_first(exports), mounted(drives, readonly=True, keys=wishes.keys) as guest:
            yield guest
