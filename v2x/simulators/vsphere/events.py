# SPDX-License-Identifier: Apache-2.0
"""What happens to machines and hosts without a call: guests that shut down, vMotion, hosts that fall away."""

from datetime import UTC, datetime
from typing import Any

from pyVmomi import vim

from v2x.errors import UsageError
from v2x.simulators.vsphere.estate.files import disks_of, show_backings
from v2x.simulators.vsphere.state import State
from v2x.simulators.vsphere.store import ABSENT, Entity


def set_power(state: State, machine: Entity, power: str, why: str) -> None:
    """The machine is off, on or suspended from now on: its guest, cards and files follow."""
    with state.store.lock:
        disks = disks_of(state, machine)
        runtime, guest, config = (state.store.own(machine, n) for n in ("runtime", "guest", "config"))
        on = power == "poweredOn"
        runtime.powerState = power
        runtime.bootTime = datetime.now(UTC) if on else None
        runtime.suspendTime = datetime.now(UTC) if power == "suspended" else None
        runtime.cleanPowerOff = None if on else True
        speaks = on and guest.toolsVersionStatus2 != "guestToolsNotInstalled"
        guest.guestState = "running" if speaks else "notRunning"
        guest.toolsRunningStatus = "guestToolsRunning" if speaks else "guestToolsNotRunning"
        guest.guestOperationsReady = guest.guestStateChangeSupported = speaks
        if guest.toolsVersionStatus2 != "guestToolsNotInstalled":
            guest.toolsStatus = "toolsOk" if speaks else "toolsNotRunning"
        for device in config.hardware.device:
            if device.connectable is not None and isinstance(device, vim.vm.device.VirtualEthernetCard):
                device.connectable.connected = on and device.connectable.startConnected
        for disk in disks.values():
            state.places.run(disk, machine.moid, on)
            if on:
                with disk.lock:
                    disk.tracker.stun()
        show_backings(state, machine, disks)
        state.ledger.record_effect("power", machine.moid, to=power, why=why)


def vmotion(state: State, machine: Entity, to: Entity | None = None) -> Entity:
    """The machine runs on another host that sees its datastores. UsageError when there is none."""
    store = state.store
    with store.lock:
        runtime = store.own(machine, "runtime")
        here = store.get(runtime.host)
        needed = {d._moId for d in store.value(machine, "datastore")}
        for each in [to] if to is not None else list(store.all(vim.HostSystem)):
            seen = {d._moId for d in each.values["datastore"]}
            ready = (
                each.values["runtime"].connectionState == "connected" and not each.values["runtime"].inMaintenanceMode
            )
            if each is not here and ready and needed <= seen:
                _take(here, machine)
                runtime.host = each.ref
                each.values["vm"].append(machine.ref)
                for touched in (machine, here, each):
                    store.touch(touched)
                state.ledger.record_effect("vmotion", machine.moid, source=here.moid, target=each.moid)
                return each
    raise UsageError(f"The simulated vSphere has no other host for {machine.moid}")


def _take(host: Entity, machine: Entity) -> None:
    host.values["vm"] = vim.VirtualMachine.Array([r for r in host.values["vm"] if r._moId != machine.moid])


def delete(state: State, machine: Entity) -> None:
    """A person deletes the machine: it is in no folder, host, pool, datastore or network any more."""
    store = state.store
    with store.lock:
        values = machine.values
        holders = [store.value(machine, "runtime").host, values.get("resourcePool"), values.get("parent")]
        for ref in (*holders, *values.get("datastore", ()), *values.get("network", ())):
            holder = store.find(ref._moId) if ref is not None else None
            for name in ("vm", "childEntity"):
                held = holder.values.get(name) if holder is not None else None
                if holder is not None and held:
                    holder.values[name] = type(held)([one for one in held if one._moId != machine.moid])
                    store.touch(holder)
        store.remove(machine)
        state.ledger.record_effect("deleted", machine.moid)


def _machines_on(state: State, host: Entity) -> list[Entity]:
    return [state.store.get(ref) for ref in host.values["vm"]]


def host_down(state: State, host: Entity) -> None:
    """The host falls away: its port refuses, transfers from it end, its machines are shown as disconnected."""
    with state.store.lock:
        state.closed_hosts.add(host.moid)
        host.values["runtime"].connectionState = "notResponding"
        for machine in _machines_on(state, host):
            state.store.own(machine, "runtime").connectionState = "disconnected"
            state.store.touch(machine)
        state.store.touch(host)
        state.ledger.record_effect("host down", host.moid)


def host_up(state: State, host: Entity) -> None:
    """The host is back. What ran on it is off, and the history of changes of those disks is lost."""
    with state.store.lock:
        state.closed_hosts.discard(host.moid)
        host.values["runtime"].connectionState = "connected"
        host.values["runtime"].bootTime = datetime.now(UTC)
        for machine in _machines_on(state, host):
            runtime = state.store.own(machine, "runtime")
            runtime.connectionState = "connected"
            if runtime.powerState == "poweredOn":
                reset_tracking(state, machine)
                set_power(state, machine, "poweredOff", "host reboot")
        state.store.touch(host)
        state.ledger.record_effect("host up", host.moid)


def grow(state: State, machine: Entity, key: int, size_bytes: int) -> None:
    """Somebody extends a disk. ValueError for one that has a snapshot, or would shrink."""
    with state.store.lock:
        disks = disks_of(state, machine)
        disks[key].grow(size_bytes)
        show_backings(state, machine, disks)
        state.ledger.record_effect("disk grown", machine.moid, key=key, size_bytes=size_bytes)


def reset_tracking(state: State, machine: Entity) -> None:
    """The history of changes begins anew, with other UUIDs: every id handed out before is unknown from now on."""
    disks = disks_of(state, machine)
    for disk in disks.values():
        with disk.lock:
            disk.tracker.reset()
    show_backings(state, machine, disks)
    state.ledger.record_effect("change tracking reset", machine.moid)


def remove(state: State, machine: Entity) -> None:
    """The machine is gone from the inventory, as when somebody deletes it."""
    store = state.store
    with store.lock:
        for name in ("parent", "resourcePool", "parentVApp"):
            holder = store.value(machine, name)
            if holder is not ABSENT and holder is not None:
                _forget(state, store.get(holder), machine)
        for ref in [
            store.value(machine, "runtime").host,
            *store.value(machine, "datastore"),
            *store.value(machine, "network"),
        ]:
            _forget(state, store.get(ref), machine)
        store.remove(machine)
        for disk in state.disks.pop(machine.moid, {}).values():
            state.places.run(disk, machine.moid, False)
        state.ledger.record_effect("machine removed", machine.moid)


def _forget(state: State, holder: Entity, machine: Entity) -> None:
    for name in ("childEntity", "vm"):
        array: Any = holder.values.get(name)
        if array is not None:
            holder.values[name] = type(array)([r for r in array if r._moId != machine.moid])
    state.store.touch(holder)


def fill(state: State, datastore: Entity, free_percent: float) -> None:
    """So much of the datastore is free from now on, whoever took the rest."""
    summary = datastore.values["summary"]
    summary.freeSpace = int(summary.capacity * free_percent / 100)
    state.store.touch(datastore)
    state.ledger.record_effect("datastore filled", datastore.moid, free_bytes=summary.freeSpace)
