# SPDX-License-Identifier: Apache-2.0
"""A guest's conversion from its disks: what would be changed, found on disks that nothing can write to."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from v2x.convert.apply import apply
from v2x.convert.guestfs import GuestDisk, MountedGuest, mounted
from v2x.convert.interface import Adapter, Conversion, GuestWishes, Inspection, Proposal, Remark
from v2x.convert.linux import joined, plan_linux
from v2x.convert.locked import locked_disks, nothing_found
from v2x.convert.room import refuse_shortage, shortages
from v2x.convert.windows.hibernation import hibernated
from v2x.convert.windows.plan import plan_windows, protected
from v2x.convert.windows.view import Hives
from v2x.convert.windows.volumes import protected_volumes
from v2x.disks import extent, qemu_img
from v2x.disks.bytesource import FileSource
from v2x.disks.extent import Extent
from v2x.disks.interface import DiskReader
from v2x.disks.nbd import open_overlay
from v2x.disks.probe.qcow2 import written_areas
from v2x.disks.serve import DiskExport
from v2x.errors import InputRefused, TargetError
from v2x.scratch import scratch_folder

Turn = Callable[[], contextlib.AbstractContextManager[object]]
"""Lets one wait until a virtual machine may be started here."""
NOTHING_MORE = GuestWishes()

_NEEDED = frozenset({"/boot", "/boot/efi", "/efi", "/etc", "/usr", "/var"})
"""Without one of these, an edit or a rebuilt image would land in the empty folder below a mount point."""


@dataclass(frozen=True, slots=True)
class ConvertedDisk:
    """A disk as the guest sees it after its conversion. It differs from what it was in `areas` only."""

    reader: DiskReader
    areas: tuple[Extent, ...] = ()


def plan_guest(
    disks: Sequence[DiskReader],
    *,
    adapters: Sequence[Adapter] = (),
    clock_offset_seconds: int | None = None,
    wishes: GuestWishes = NOTHING_MORE,
) -> Conversion:
    """What is intended for the guest in `disks`, in the order of its hardware; they are only read, and stay open.

    Raises the error of a disk that could not be read, before any that comes of it; UsageError MISSING-TOOL without
    libguestfs; TargetError if it cannot mount the guest; InputRefused BITLOCKER-KEY or GUEST-LOCKED if keys were given
    in vain.
    """
    with _looked_into(disks, wishes) as guest:
        found, _ = _planned(guest, adapters, clock_offset_seconds, wishes)
        short = [one.remark for one in shortages(guest, found.proposal)]
    return replace(found, proposal=replace(found.proposal, remarks=(*short, *found.proposal.remarks)))


def _planned(
    guest: MountedGuest, adapters: Sequence[Adapter], clock_offset_seconds: int | None, wishes: GuestWishes
) -> tuple[Conversion, Hives | None]:
    """What is intended, and the registry of a Windows."""
    volumes = protected_volumes(guest, wishes.bitlocker_keys)
    if wishes.keys and guest.locked and not guest.unlocked:
        raise InputRefused(
            f"no key that was given opens {', '.join(guest.locked)}",
            hint="give the passphrase of the guest's disk, or leave the key out: it is copied as it is then",
            code="GUEST-LOCKED",
        )
    if guest.systems == 0:
        told = joined((protected(volumes, wishes), Proposal(remarks=tuple(nothing_found(guest)))))
        return Conversion(inspection=Inspection(), proposal=told), None
    cleaned = _cleaned(guest) if wishes.clean_hibernation else None
    windows = plan_windows(
        guest,
        adapters=adapters,
        wishes=wishes,
        clock_offset_seconds=clock_offset_seconds,
        volumes=volumes,
        dynamic_disks=len(guest.dynamic),
        unclean_volume=guest.unclean,
        cleaned=cleaned,
    )
    if windows is not None:
        found, hives = windows
    else:
        hives = None
        found = plan_linux(
            guest,
            stable_names=guest.stable_names,
            adapters=adapters,
            clock_offset_seconds=clock_offset_seconds,
            wishes=wishes,
        )
    remarks = (*_remarks(guest), *_in_vain(found.inspection, wishes), *found.proposal.remarks)
    return replace(found, proposal=replace(found.proposal, remarks=remarks)), hives


def _in_vain(inspection: Inspection, wishes: GuestWishes) -> Iterator[Remark]:
    if wishes.windows_drivers is not None and inspection.os != "windows":
        yield Remark(
            text=f"{wishes.windows_drivers} was not put into this guest, which is no Windows",
            remedy="Linux has its drivers for Xen in its kernel",
        )


def _cleaned(guest: MountedGuest) -> str | None:
    """The file with a hibernated Windows's state, removed: only then can its overlay be written to."""
    path = hibernated(guest) if guest.ntfs else None
    if path is not None and not guest.readonly:
        guest.clean_hibernation()
    return path


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
    turn: Turn = contextlib.nullcontext,
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[Conversion, list[ConvertedDisk]]]:
    """The guest in `disks` put right: what was done, and its disks as they are then, to be copied within the block.

    Edits go to overlays in `folder`, which are removed at the end; they take as much room as was written, a few hundred
    MiB for a rebuilt initial RAM disk. The disks themselves are only read. Where nothing is to be done, they are what
    is given. The virtual machine runs within `turn()`, and is ended when `stopping()` becomes true. Raises as
    `plan_guest`; InputRefused, with the code of the reason, for a guest that must not be converted or has no room for
    it; TargetError or ToolFailed where an edit or a program of the guest fails, and then nothing has happened; Stopped.
    """
    with contextlib.ExitStack() as stack:
        exports = [stack.enter_context(DiskExport(disk)) for disk in disks]
        place = stack.enter_context(scratch_folder("overlay", folder))
        overlays = [place / f"{number}.qcow2" for number in range(len(exports))]
        for overlay, export in zip(overlays, exports, strict=True):
            qemu_img.create_overlay(overlay, export.path)
        drives = [GuestDisk(overlay=one) for one in overlays]
        opening = mounted(drives, readonly=False, keys=wishes.keys, stopping=stopping)
        with turn(), _problems_first(exports), opening as guest:
            conversion, hives = _planned(guest, adapters, clock_offset_seconds, wishes)
            _refuse_unmounted(guest, conversion)
            refuse_shortage(guest, conversion.proposal)
            conversion = replace(conversion, proposal=apply(guest, conversion.proposal, registry=hives))
        if conversion.changes_nothing:
            yield conversion, [ConvertedDisk(disk) for disk in disks]
            return
        converted: list[ConvertedDisk] = []
        for overlay, export in zip(overlays, exports, strict=True):
            reader = stack.enter_context(contextlib.closing(open_overlay(overlay, export.path)))
            converted.append(ConvertedDisk(reader, _areas(overlay)))
        with _problems_first(exports):
            yield conversion, converted


def _refuse_unmounted(guest: MountedGuest, conversion: Conversion) -> None:
    missing = [point for point in guest.unmounted if point in _NEEDED]
    if missing and not conversion.changes_nothing:
        raise TargetError(
            f"{', '.join(missing)} of the guest could not be mounted, so it cannot be converted",
            hint="check these file systems in the guest, or migrate without conversion",
        )


def _areas(overlay: Path) -> tuple[Extent, ...]:
    with contextlib.closing(FileSource.open(overlay)) as source:
        return tuple(extent.joined(written_areas(source)))


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
