# SPDX-License-Identifier: Apache-2.0
"""Creating, renaming, removing and going back to snapshots, and consolidating disks."""

from datetime import UTC, datetime, timedelta
from typing import Any

from pyVmomi import vim

from v2x.simulators.vsphere import snapshots, tasks
from v2x.simulators.vsphere.dispatch import method
from v2x.simulators.vsphere.estate.specs import SnapshotSpec
from v2x.simulators.vsphere.state import Context, State
from v2x.simulators.vsphere.store import ABSENT, Entity

_DEEPEST = 32


def take_seeded(state: State, machine: Entity, spec: SnapshotSpec) -> None:
    """A snapshot that is there from the start, and those below it."""
    at = datetime.now(UTC) - timedelta(days=spec.age_days)
    ref = snapshots.take(state, machine, spec.name, spec.description, quiesced=spec.quiesced, at=at)
    for child in spec.children:
        machine.values["snapshot"].currentSnapshot = ref
        take_seeded(state, machine, child)


@method("VirtualMachine", "CreateSnapshot_Task")
def create(context: Context, machine: Entity, name: str, description: str | None, memory: bool, quiesce: bool) -> Any:
    return _create(context, machine, "CreateSnapshot_Task", name, description or "", memory, quiesce)


@method("VirtualMachine", "CreateSnapshotEx_Task")
def create_ex(
    context: Context, machine: Entity, name: str, description: str | None, memory: bool, quiesceSpec: Any
) -> Any:
    return _create(context, machine, "CreateSnapshotEx_Task", name, description or "", memory, quiesceSpec is not None)


def _create(
    context: Context, machine: Entity, call: str, name: str, description: str, memory: bool, quiesce: bool
) -> Any:
    state = context.state
    config, runtime = (state.store.own(machine, n) for n in ("config", "runtime"))
    if not name or len(name) > 80:
        raise vim.fault.InvalidName(name=name, msg=f"The name '{name}' is not valid.")
    if runtime.connectionState != "connected" or config.template:
        raise vim.fault.InvalidState(msg="The operation is not allowed in the current state.")
    _refuse_shared(config)
    on = runtime.powerState == "poweredOn"

    def work(_running: tasks.Running) -> Any:
        if quiesce and on and (state.faults.take("quiesce", machine.moid, config.name) or not _tools_run(machine)):
            raise vim.fault.ApplicationQuiesceFault(msg="An error occurred while quiescing the virtual machine.")
        if _depth(state, machine) >= _DEEPEST:
            raise vim.fault.TooManySnapshotLevels(levels=_DEEPEST, msg="")
        return snapshots.take(state, machine, name, description, quiesced=quiesce and on)

    return tasks.start(context, machine, call, work)


def _refuse_shared(config: Any) -> None:
    """A machine whose disks others write to as well has no snapshots."""
    for device in config.hardware.device:
        shared_bus = getattr(device, "sharedBus", None) not in (None, "noSharing")
        shared_disk = getattr(getattr(device, "backing", None), "sharing", None) == "sharingMultiWriter"
        if shared_bus or shared_disk:
            raise vim.fault.SnapshotIncompatibleDeviceInVm(
                fault=vim.fault.SnapshotFault(msg=""),
                msg="Snapshot operation cannot be performed: the virtual machine has a device shared with others.",
            )


def _tools_run(machine: Entity) -> bool:
    return bool(machine.values["guest"].toolsRunningStatus == "guestToolsRunning")


def _depth(state: State, machine: Entity) -> int:
    info = state.store.value(machine, "snapshot")
    level, nodes = 0, list(info.rootSnapshotList) if info is not ABSENT else []
    while nodes:
        level, nodes = level + 1, [c for n in nodes for c in n.childSnapshotList]
    return level


@method("VirtualMachineSnapshot", "RemoveSnapshot_Task")
def remove(context: Context, snapshot: Entity, removeChildren: bool, consolidate: bool | None) -> Any:
    state = context.state
    machine = snapshot.values["_machine"]
    _refuse_leased(state, machine)

    def work(_running: tasks.Running) -> None:
        state.store.get(snapshot.ref)
        snapshots.remove(state, snapshot, removeChildren)
        _consolidate(state, machine, wanted=consolidate is not False)

    return tasks.start(context, machine, "RemoveSnapshot_Task", work, seconds=_seconds(state))


@method("VirtualMachine", "RemoveAllSnapshots_Task")
def remove_all(context: Context, machine: Entity, consolidate: bool | None, spec: Any = None) -> Any:
    state = context.state
    _refuse_leased(state, machine)

    def work(_running: tasks.Running) -> None:
        while (info := state.store.value(machine, "snapshot")) is not ABSENT:
            snapshots.remove(state, state.store.get(info.rootSnapshotList[0].snapshot), True)
        _consolidate(state, machine, wanted=consolidate is not False)

    return tasks.start(context, machine, "RemoveAllSnapshots_Task", work, seconds=_seconds(state))


@method("VirtualMachine", "ConsolidateVMDisks_Task")
def consolidate_disks(context: Context, machine: Entity) -> Any:
    state = context.state
    _refuse_leased(state, machine)
    return tasks.start(
        context,
        machine,
        "ConsolidateVMDisks_Task",
        lambda _running: _consolidate(state, machine, wanted=True),
        seconds=_seconds(state),
    )


def _seconds(state: State) -> float:
    return state.settings.consolidate_delay or state.settings.task_delay


def _refuse_leased(state: State, machine: Entity) -> None:
    if any(lease.machine is machine for lease in list(state.leases.values())):
        raise vim.fault.TaskInProgress(
            task=vim.Task("task-0"), msg="The operation is not allowed while the machine is being exported."
        )


def _consolidate(state: State, machine: Entity, *, wanted: bool) -> None:
    fault = state.faults.take("consolidate", machine.moid, machine.values["config"].name)
    if fault is None and wanted:
        snapshots.consolidate(state, machine)
        return
    machine.values["runtime"].consolidationNeeded = True
    state.store.touch(machine)
    if fault is not None:
        file = machine.values["config"].files.vmPathName.replace(".vmx", "-flat.vmdk")
        raise vim.fault.FileLocked(file=file, msg=f"Unable to access file {file} since it is locked")


@method("VirtualMachineSnapshot", "RenameSnapshot")
def rename(context: Context, snapshot: Entity, name: str | None, description: str | None) -> None:
    machine = snapshot.values["_machine"]
    for node in snapshots.tree_nodes(machine.values["snapshot"]):
        if node.snapshot._moId == snapshot.moid:
            node.name = name if name is not None else node.name
            node.description = description if description is not None else node.description
    context.store.touch(machine)


@method("VirtualMachineSnapshot", "RevertToSnapshot_Task")
def revert(context: Context, snapshot: Entity, host: Any, suppressPowerOn: bool | None) -> Any:
    machine = snapshot.values["_machine"]
    return tasks.start(
        context, machine, "RevertToSnapshot_Task", lambda _running: snapshots.revert(context.state, snapshot)
    )
