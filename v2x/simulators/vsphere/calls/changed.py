# SPDX-License-Identifier: Apache-2.0
"""Changed areas of a disk since a change id, in pages."""

from collections.abc import Iterable
from typing import Any

from pyVmomi import vim, vmodl

from v2x.simulators.vsphere.calls.power import refuse_unreachable
from v2x.simulators.vsphere.disks.guest import GuestDisk
from v2x.simulators.vsphere.disks.tracking import UnknownChange
from v2x.simulators.vsphere.dispatch import method
from v2x.simulators.vsphere.estate.files import disks_of
from v2x.simulators.vsphere.state import Context, State
from v2x.simulators.vsphere.store import Entity

_Change = vim.VirtualMachine.DiskChangeInfo


@method("VirtualMachine", "QueryChangedDiskAreas")
def query(context: Context, machine: Entity, snapshot: Any, deviceKey: int, startOffset: int, changeId: str) -> Any:
    state = context.state
    refuse_unreachable(state, machine)
    kept = _snapshot(state, machine, snapshot)
    disk = disks_of(state, machine).get(deviceKey)
    holder = kept if kept is not None else machine
    device = next((d for d in holder.values["config"].hardware.device if d.key == deviceKey), None)
    if disk is None or device is None or (kept is not None and deviceKey not in kept.values["_layers"]):
        raise _wrong("deviceKey")
    if not 0 <= startOffset < device.capacityInBytes:
        raise _wrong("startOffset")
    until = kept.values["_points"][deviceKey] if kept is not None else disk.tracker.change_id
    file = device.backing.fileName
    if not until or state.faults.take("changes_unknown", machine.moid, machine.values["config"].name):
        raise _file_fault(file)
    with disk.lock:
        try:
            areas = _areas(state, machine, disk, kept, deviceKey, changeId, until)
        except UnknownChange:
            raise _file_fault(file) from None
    return _page(state, areas, startOffset, device.capacityInBytes)


def _wrong(name: str) -> Any:
    return vmodl.fault.InvalidArgument(invalidProperty=name, msg=f"A specified parameter was not correct: {name}")


def _file_fault(file: str) -> Any:
    return vim.fault.FileFault(file=file, msg=f"Error caused by file {file}")


def _snapshot(state: State, machine: Entity, snapshot: Any) -> Entity | None:
    if snapshot is None:
        return None
    kept = state.store.get(snapshot)
    if kept.values["_machine"] is not machine:
        raise _wrong("snapshot")
    return kept


def _areas(
    state: State, machine: Entity, disk: GuestDisk, kept: Entity | None, key: int, change_id: str, until: str
) -> list[tuple[int, int]]:
    if change_id != "*":
        return list(disk.tracker.since(change_id, until))
    if not until.startswith(disk.tracker.uuid):
        raise UnknownChange(change_id)
    layer = kept.values["_layers"][key] if kept is not None else None
    areas = disk.allocated(layer)
    if state.faults.take("changes_lie", machine.moid, machine.values["config"].name):
        return areas[::2]
    return areas


def _page(state: State, areas: Iterable[tuple[int, int]], start: int, capacity: int) -> Any:
    """The areas from `start` on, as far as one call looks; `length` says how far that was."""
    end = min(capacity, start + max(1, state.settings.changes_span))
    most = max(1, state.settings.changes_areas)
    found: list[Any] = []
    for offset, length in areas:
        low, high = max(offset, start), min(offset + length, end)
        if low >= high:
            continue
        if len(found) == most:
            end = found[-1].start + found[-1].length
            break
        found.append(_Change.DiskChangeExtent(start=low, length=high - low))
    return _Change(startOffset=start, length=end - start, changedArea=found)
