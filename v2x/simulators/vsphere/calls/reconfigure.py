# SPDX-License-Identifier: Apache-2.0
"""Changing a machine: name, annotation, change tracking, devices; and custom attributes."""

from typing import Any

from pyVmomi import vim, vmodl

from v2x.simulators.vsphere import tasks
from v2x.simulators.vsphere.calls.power import refuse_unreachable
from v2x.simulators.vsphere.disks.guest import GuestDisk
from v2x.simulators.vsphere.dispatch import method, require
from v2x.simulators.vsphere.estate.devices import list_children
from v2x.simulators.vsphere.estate.files import bus_of, disk_of_path, disks_of, make_disk, show_backings
from v2x.simulators.vsphere.estate.inventory import entered
from v2x.simulators.vsphere.snapshots import has_snapshots
from v2x.simulators.vsphere.state import Context, State
from v2x.simulators.vsphere.store import ABSENT, Entity

_PLAIN = {
    "annotation": "VirtualMachine.Config.Annotation",
    "guestId": "VirtualMachine.Config.Settings",
    "firmware": "VirtualMachine.Config.Settings",
    "bootOptions": "VirtualMachine.Config.Settings",
    "memoryHotAddEnabled": "VirtualMachine.Config.Memory",
    "cpuHotAddEnabled": "VirtualMachine.Config.CPUCount",
}
"""Fields of a spec that are taken over as they are, with the privilege that each asks for."""
_OLDEST_TRACKING = 7
_Disk = vim.vm.device.VirtualDisk


@method("VirtualMachine", "ReconfigVM_Task")
def reconfigure(context: Context, machine: Entity, spec: Any) -> Any:
    state = context.state
    refuse_unreachable(state, machine)
    require(context, machine, *_privileges(spec))
    config = state.store.own(machine, "config")
    if spec.changeVersion and spec.changeVersion != config.changeVersion:
        raise vim.fault.ConcurrentAccess(msg="The virtual machine was changed by another user.")
    if spec.changeTrackingEnabled is not None:
        _check_tracking(state, machine, config, spec.changeTrackingEnabled)
    for change in spec.deviceChange:
        _check_device(state, machine, config, change)

    def work(_running: tasks.Running) -> None:
        _apply(state, machine, config, spec)

    return tasks.start(context, machine, "ReconfigVM_Task", work)


def _privileges(spec: Any) -> list[str]:
    needed = [privilege for name, privilege in _PLAIN.items() if getattr(spec, name) is not None]
    if spec.name is not None:
        needed.append("VirtualMachine.Config.Rename")
    if spec.changeTrackingEnabled is not None:
        needed.append("VirtualMachine.Config.ChangeTracking")
    if spec.numCPUs is not None:
        needed.append("VirtualMachine.Config.CPUCount")
    if spec.memoryMB is not None:
        needed.append("VirtualMachine.Config.Memory")
    if spec.extraConfig:
        needed.append("VirtualMachine.Config.AdvancedConfig")
    for change in spec.deviceChange:
        disk = isinstance(change.device, _Disk)
        kinds = {
            "edit": "VirtualMachine.Config.DiskExtend" if disk else "VirtualMachine.Config.EditDevice",
            "add": "VirtualMachine.Config.AddNewDisk" if disk else "VirtualMachine.Config.AddRemoveDevice",
            "remove": "VirtualMachine.Config.RemoveDisk" if disk else "VirtualMachine.Config.AddRemoveDevice",
        }
        needed.append(kinds[change.operation or "edit"])
    return needed


def _check_tracking(state: State, machine: Entity, config: Any, wanted: bool) -> None:
    if wanted and int(config.version.removeprefix("vmx-")) < _OLDEST_TRACKING:
        raise vmodl.fault.NotSupported(msg="Change tracking is not supported by this hardware version.")
    if wanted and not config.changeTrackingEnabled and has_snapshots(state, machine):
        raise vim.fault.InvalidState(msg="Change tracking cannot be enabled while the machine has snapshots.")


def _check_device(state: State, machine: Entity, config: Any, change: Any) -> None:
    found = _device(config, change.device.key)
    if change.operation in ("edit", "remove") and found is None:
        raise vim.fault.InvalidDeviceSpec(
            deviceIndex=0, property="virtualDeviceSpec.device.key", msg="Invalid configuration for device '0'."
        )
    if change.operation == "edit" and isinstance(found, _Disk):
        wanted = change.device.capacityInBytes or (change.device.capacityInKB or 0) * 1024
        if wanted < found.capacityInBytes:
            raise vim.fault.InvalidDeviceSpec(deviceIndex=0, property="capacityInKB", msg="A disk cannot shrink.")
        if wanted > found.capacityInBytes and has_snapshots(state, machine):
            raise vim.fault.InvalidDeviceOperation(
                deviceIndex=0, badOp="edit", msg="A disk with snapshots cannot be extended."
            )


def _device(config: Any, key: int) -> Any:
    return next((d for d in config.hardware.device if d.key == key), None)


def _apply(state: State, machine: Entity, config: Any, spec: Any) -> None:
    for name in _PLAIN:
        value = getattr(spec, name)
        if value is not None:
            setattr(config, name, value)
    if spec.name is not None:
        rename_to(state, machine, spec.name)
    if spec.numCPUs is not None:
        config.hardware.numCPU = spec.numCPUs
    if spec.memoryMB is not None:
        config.hardware.memoryMB = spec.memoryMB
    for option in spec.extraConfig:
        config.extraConfig = [o for o in config.extraConfig if o.key != option.key] + ([option] if option.value else [])
    disks = disks_of(state, machine)
    if spec.changeTrackingEnabled is not None:
        config.changeTrackingEnabled = spec.changeTrackingEnabled
        state.ledger.record_effect("tracking", machine.moid, wanted=spec.changeTrackingEnabled)
        running = machine.values["runtime"].powerState == "poweredOn"
        for disk in disks.values():
            disk.tracker.wanted = spec.changeTrackingEnabled
            if not running:
                disk.tracker.stun()  # nothing runs that had to be stunned
    for change in spec.deviceChange:
        _change_device(state, machine, config, disks, change)
    config.changeVersion = f"2026-01-05T06:00:00.{state.store.count:06d}Z"
    list_children(list(config.hardware.device))
    show_backings(state, machine, disks)
    state.ledger.record_effect("reconfigured", machine.moid)


def _change_device(state: State, machine: Entity, config: Any, disks: dict[int, GuestDisk], change: Any) -> None:
    found = _device(config, change.device.key)
    if change.operation == "remove":
        config.hardware.device = [d for d in config.hardware.device if d.key != change.device.key]
        disks.pop(change.device.key, None)
    elif change.operation == "edit" and isinstance(found, _Disk):
        wanted = change.device.capacityInBytes or (change.device.capacityInKB or 0) * 1024
        if wanted > found.capacityInBytes and found.key in disks:
            disks[found.key].grow(wanted)
        if change.device.backing is not None:
            found.backing.diskMode = change.device.backing.diskMode
    elif change.operation == "edit":
        if change.device.connectable is not None:
            found.connectable = change.device.connectable
        if change.device.backing is not None:
            found.backing = change.device.backing
    else:
        _add_device(state, machine, config, disks, change.device)


def _add_device(state: State, machine: Entity, config: Any, disks: dict[int, GuestDisk], device: Any) -> None:
    if isinstance(device, _Disk):
        base = {1000: 2000, 200: 3000, 15000: 16000, 31000: 32000}
        controller = max(k for k in base if k <= device.controllerKey)
        device.key = base[controller] + (device.controllerKey - controller) * 16 + device.unitNumber
        device.capacityInBytes = device.capacityInBytes or device.capacityInKB * 1024
        device.backing.uuid = device.backing.uuid or f"6000C29{machine.moid.rjust(25, '0')}"
        disk = disk_of_path(state, device.backing.fileName)
        disks[device.key] = disk if disk is not None else make_disk(state, device, bus_of(device), machine.moid)
    else:
        device.key = max(4000, *(d.key for d in config.hardware.device if d.key < 4100)) + 1
    config.hardware.device.append(device)


# names and attributes


def rename_to(state: State, entity: Entity, name: str) -> None:
    """Raises DuplicateName where the folder has another child of this name, InvalidName for an empty one."""
    wanted = entered(name)
    if not wanted or len(wanted) > 80:
        raise vim.fault.InvalidName(name=name, msg=f"The name '{name}' is not valid.")
    parent = state.store.value(entity, "parent")
    siblings = state.store.get(parent).values["childEntity"] if parent is not ABSENT else []
    for ref in siblings:
        if ref._moId != entity.moid and state.store.value(state.store.get(ref), "name") == wanted:
            raise vim.fault.DuplicateName(name=wanted, object=ref, msg=f"The name '{wanted}' already exists.")
    if issubclass(entity.kind, vim.VirtualMachine):
        state.store.own(entity, "config").name = wanted
    state.store.set(entity, name=wanted)
    state.ledger.record_effect("renamed", entity.moid, to=wanted)


@method("ManagedEntity", "Rename_Task")
def rename(context: Context, entity: Entity, newName: str) -> Any:
    machine = issubclass(entity.kind, vim.VirtualMachine)
    require(context, entity, "VirtualMachine.Config.Rename" if machine else "Folder.Rename")
    return tasks.start(context, entity, "Rename_Task", lambda _running: rename_to(context.state, entity, newName))


@method("CustomFieldsManager", "SetField")
def set_field(context: Context, manager: Entity, entity: Any, key: int, value: str) -> None:
    target = context.store.get(entity)
    require(context, target, "Global.SetCustomField")
    if all(f.key != key for f in manager.values["field"]):
        raise vmodl.fault.InvalidArgument(invalidProperty="key", msg="A specified parameter was not correct: key")
    target.values.setdefault("_fields", {})[key] = value
    context.store.touch(target)


@method("ExtensibleManagedObject", "setCustomValue")
def set_custom_value(context: Context, entity: Entity, key: str, value: str) -> None:
    require(context, entity, "Global.SetCustomField")
    manager = context.store.find("CustomFieldsManager")
    found = next((f for f in manager.values["field"] if f.name == key), None) if manager is not None else None
    if found is None:
        raise vmodl.fault.InvalidArgument(invalidProperty="key", msg="A specified parameter was not correct: key")
    entity.values.setdefault("_fields", {})[found.key] = value
    context.store.touch(entity)


@method("CustomFieldsManager", "AddCustomFieldDef")
def add_field(context: Context, manager: Entity, name: str, moType: Any, **_policies: Any) -> Any:
    if any(f.name == name for f in manager.values["field"]):
        raise vim.fault.DuplicateName(name=name, object=manager.ref, msg=f"The name '{name}' already exists.")
    key = max((f.key for f in manager.values["field"]), default=100) + 1
    made = vim.CustomFieldsManager.FieldDef(key=key, name=name, type=str, managedObjectType=moType)
    manager.values["field"].append(made)
    context.store.touch(manager)
    return made
