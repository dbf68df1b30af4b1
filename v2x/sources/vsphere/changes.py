# SPDX-License-Identifier: Apache-2.0
"""Change tracking: turned on where it may be, and asked what changed between two points in time.

It takes effect at the next stun, so a snapshot is made and removed after it is turned on; it cannot be turned on while
there are snapshots. A change id is `UUID/number`; another UUID means that tracking began anew in between. That an id
outlives its snapshot is how backup products work (public issue threads); it was not proven here on a real vCenter.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pyVmomi import vim

from v2x.disks.extent import Extent
from v2x.errors import PermissionRefused, SourceError, V2xError
from v2x.model.machine import Disk, Machine
from v2x.sources.interface import Checkpoint, TrackingLost
from v2x.sources.vsphere import snapshots
from v2x.sources.vsphere.failures import fault_name
from v2x.sources.vsphere.present import Present, present, virtual_disks
from v2x.sources.vsphere.session import VsphereSession
from v2x.sources.vsphere.transports.place import parse_point, place_of
from v2x.sources.vsphere.transports.tracking import areas

_ENABLED: Final = "config.changeTrackingEnabled"
_SUPPORTED: Final = "capability.changeTrackingSupported"
_LOST: Final = frozenset({"FileFault", "InvalidArgument", "NotFound"})
STUN_TAG: Final = "tracking"
_MARK: Final = "v2x.tracking"
MARKED: Final = f'config.extraConfig["{_MARK}"]'
"""There where v2x turned tracking on, whichever run did: set and taken away together with it."""


def track(session: VsphereSession, machine: Machine, *, allowed: bool, note: snapshots.Note) -> bool:
    """As ChangeTracking.track."""
    now = present(session, machine, [_ENABLED, _SUPPORTED, "snapshot", "config.hardware.device", MARKED])
    if now.values.get(_ENABLED) is True:
        _track_new(session, machine, now, allowed=allowed, note=note)
        return is_marked(now.values)
    if now.values.get(_SUPPORTED) is False:
        raise _untracked(machine, "its hardware version knows no change tracking", "migrate it cold")
    if next(snapshots.walk(now.values.get("snapshot")), None) is not None:
        raise _untracked(
            machine,
            "it has snapshots, and change tracking cannot be turned on while there are any",
            "remove its snapshots first, or migrate it cold",
        )
    if not allowed:
        raise _untracked(machine, "its changes are not tracked", "allow it with --enable-cbt, or migrate it cold")
    note(f"{machine.name}: change tracking is turned on at the source; v2x turns it off again when it is done")
    _turn_on(session, machine, now, note, marked=True)
    return True


def is_marked(values: Mapping[str, Any]) -> bool:
    return getattr(values.get(MARKED), "value", None) not in (None, "")


def turned_on(session: VsphereSession, machine: Machine) -> bool:
    """As ChangeTracking.turned_on."""
    return is_marked(present(session, machine, [MARKED]).values)


def _track_new(session: VsphereSession, machine: Machine, now: Present, *, allowed: bool, note: snapshots.Note) -> None:
    """Disks that were added since tracking was turned on have no change id until it is turned on once more.

    Where that may not be done, each pass copies such a disk whole, and says so.
    """
    held = virtual_disks(now)
    own = [disk for disk in machine.disks if not disk.lent_by and disk.id in held]
    untracked = [disk.label for disk in own if not getattr(held[disk.id].backing, "changeId", None)]
    if not allowed or not untracked or next(snapshots.walk(now.values.get("snapshot")), None) is not None:
        return
    note(
        f"{machine.name}: change tracking is turned on for {', '.join(untracked)} too; it was on for the machine before"
    )
    _turn_on(session, machine, now, note)


def _turn_on(
    session: VsphereSession, machine: Machine, now: Present, note: snapshots.Note, *, marked: bool = False
) -> None:
    try:
        _set(session, now.reference, machine.name, on=True, mark="on" if marked else None)
    except PermissionRefused:
        # A role for warm migration alone may not set extraConfig; only a run that is killed is missed then.
        _set(session, now.reference, machine.name, on=True)
    snapshots.ensure(session, now.reference, STUN_TAG, quiesce=False, subject=machine.name, note=note)
    try:
        snapshots.remove(session, now.reference, STUN_TAG, subject=machine.name, note=note)
    except V2xError as problem:
        # Tracking is on, which has to be remembered; letting go of the next snapshot removes this one as well.
        note(f"{problem.message}; it goes with the snapshot of the first pass")


def untrack(session: VsphereSession, machine: Machine) -> None:
    now = present(session, machine, [MARKED])
    turn_off(session, now.reference, machine.name, marked=is_marked(now.values))


def turn_off(session: VsphereSession, reference: Any, subject: str, *, marked: bool) -> None:
    _set(session, reference, subject, on=False, mark="" if marked else None)


def changed(session: VsphereSession, machine: Machine, disk: Disk, since: str, at: Checkpoint) -> Iterator[Extent]:
    """As ChangeTracking.changed; the answer is gathered before the first area is given, so that it is whole."""
    place = place_of(session, machine, disk, at)
    before = parse_point(since)
    old, new = before.state.rpartition("/")[0], place.change_id.rpartition("/")[0]
    if before.key != place.key or not old or not place.tracked:
        raise TrackingLost(
            f"{place.title}: it has no change id for both points (a disk that is new gets one with --enable-cbt)",
            hint="it is copied whole",
        )
    if old != new:
        raise TrackingLost(f"{place.title}: change tracking began anew since the last pass", hint="it is copied whole")
    try:
        found = list(areas(session, place, before.state))
    except V2xError as problem:
        if fault_name(problem.__cause__) not in _LOST:
            raise
        raise TrackingLost(f"{place.title}: {problem.message}", hint="it is copied whole") from None
    for start, length in found:
        yield Extent(start, length, True)


def _set(session: VsphereSession, reference: Any, subject: str, *, on: bool, mark: str | None = None) -> None:
    """A key of extraConfig whose value is empty is removed (vSphere API: ConfigSpec.extraConfig)."""
    spec = vim.vm.ConfigSpec(changeTrackingEnabled=on)
    if mark is not None:
        spec.extraConfig = [vim.option.OptionValue(key=_MARK, value=mark)]
    doing = "turn change tracking " + ("on" if on else "off")
    task = session.call(reference.ReconfigVM_Task, spec, doing=doing, subject=subject)
    session.wait_task(task, doing=doing, subject=subject, timeout=600.0)


def _untracked(machine: Machine, why: str, remedy: str) -> SourceError:
    return SourceError(f"{machine.name}: {why}", code="NOT-TRACKED", hint=remedy)
