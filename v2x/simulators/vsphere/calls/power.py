# SPDX-License-Identifier: Apache-2.0
"""Power of machines, guest shutdown, maintenance of hosts, moving between hosts, starting with the host."""

import threading
from typing import Any

from pyVmomi import vim, vmodl

from v2x.errors import UsageError
from v2x.simulators.vsphere import events, tasks
from v2x.simulators.vsphere.dispatch import method
from v2x.simulators.vsphere.state import Context, State
from v2x.simulators.vsphere.store import Entity

_SHOWN = {"poweredOn": "Powered on", "poweredOff": "Powered off", "suspended": "Suspended"}


def wrong_power(wanted: str, found: str) -> Any:
    """The fault for a machine whose power is not as the operation needs it."""
    return vim.fault.InvalidPowerState(
        requestedState=wanted,
        existingState=found,
        msg=f"The attempted operation cannot be performed in the current state ({_SHOWN[found]}).",
    )


def refuse_unreachable(state: State, machine: Entity) -> None:
    """A machine on a host that does not answer can be asked nothing."""
    runtime = state.store.value(machine, "runtime")
    if runtime.connectionState == "disconnected":
        raise vmodl.fault.HostNotReachable(msg="Unable to communicate with the remote host, since it is disconnected.")
    if runtime.connectionState != "connected":
        raise vim.fault.InvalidState(
            msg=f"The operation is not allowed in the current connection state ({runtime.connectionState})."
        )


def _change(context: Context, machine: Entity, call: str, wanted: str, allowed: tuple[str, ...]) -> Any:
    state = context.state
    refuse_unreachable(state, machine)
    found = state.store.value(machine, "runtime").powerState
    if found not in allowed:
        raise wrong_power(wanted, found)
    return tasks.start(context, machine, call, lambda _running: events.set_power(state, machine, wanted, call))


@method("VirtualMachine", "PowerOnVM_Task")
def power_on(context: Context, machine: Entity, host: Any) -> Any:
    state = context.state
    config = state.store.value(machine, "config")
    if config.template:
        raise vmodl.fault.NotSupported(msg="A template cannot be powered on.")
    home = state.store.get(state.store.value(machine, "runtime").host)
    if home.values["runtime"].inMaintenanceMode:
        raise vim.fault.InvalidHostState(host=home.ref, msg="The host is in maintenance mode.")
    return _change(context, machine, "PowerOnVM_Task", "poweredOn", ("poweredOff", "suspended"))


@method("VirtualMachine", "PowerOffVM_Task")
def power_off(context: Context, machine: Entity) -> Any:
    return _change(context, machine, "PowerOffVM_Task", "poweredOff", ("poweredOn", "suspended"))


@method("VirtualMachine", "SuspendVM_Task")
def suspend(context: Context, machine: Entity) -> Any:
    return _change(context, machine, "SuspendVM_Task", "suspended", ("poweredOn",))


@method("VirtualMachine", "ResetVM_Task")
def reset(context: Context, machine: Entity) -> Any:
    return _change(context, machine, "ResetVM_Task", "poweredOn", ("poweredOn",))


@method("VirtualMachine", "ShutdownGuest")
def shutdown_guest(context: Context, machine: Entity) -> None:
    """Returns at once; the guest needs `shutdown_delay`, or never does it."""
    state = context.state
    refuse_unreachable(state, machine)
    found = state.store.value(machine, "runtime").powerState
    if found != "poweredOn":
        raise wrong_power("poweredOn", found)
    if state.store.value(machine, "guest").toolsRunningStatus != "guestToolsRunning":
        raise vim.fault.ToolsUnavailable(
            msg="Cannot complete operation because VMware Tools is not running in this virtual machine."
        )
    if not state.settings.guests_ignore_shutdown:
        threading.Thread(target=_shut_down, args=(state, machine), name="guest", daemon=True).start()


def _shut_down(state: State, machine: Entity) -> None:
    state.stopping.wait(state.settings.shutdown_delay)
    if state.store.find(machine.moid) is not machine or state.stopping.is_set():
        return
    if state.store.value(machine, "runtime").powerState == "poweredOn":
        events.set_power(state, machine, "poweredOff", "guest shutdown")


@method("VirtualMachine", "RebootGuest")
def reboot_guest(context: Context, machine: Entity) -> None:
    found = context.store.value(machine, "runtime").powerState
    if found != "poweredOn":
        raise wrong_power("poweredOn", found)


@method("VirtualMachine", "MigrateVM_Task", "RelocateVM_Task")
def migrate(context: Context, machine: Entity, **arguments: Any) -> Any:
    state = context.state
    wanted = arguments.get("host") or getattr(arguments.get("spec"), "host", None)
    target = state.store.get(wanted) if wanted is not None else None

    def work(_running: tasks.Running) -> None:
        try:
            events.vmotion(state, machine, target)
        except UsageError as error:
            raise vim.fault.NoCompatibleHost(msg=str(error)) from None

    return tasks.start(context, machine, "MigrateVM_Task", work)


@method("HostSystem", "EnterMaintenanceMode_Task")
def enter_maintenance(context: Context, host: Entity, timeout: int, **_more: Any) -> Any:
    return tasks.start(
        context, host, "EnterMaintenanceMode_Task", lambda _running: _maintain(context.state, host, True)
    )


@method("HostSystem", "ExitMaintenanceMode_Task")
def exit_maintenance(context: Context, host: Entity, timeout: int) -> Any:
    return tasks.start(
        context, host, "ExitMaintenanceMode_Task", lambda _running: _maintain(context.state, host, False)
    )


def _maintain(state: State, host: Entity, on: bool) -> None:
    running = [
        m for m in host.values["vm"] if state.store.value(state.store.get(m), "runtime").powerState == "poweredOn"
    ]
    if on and running:
        raise vim.fault.Timedout(msg="Operation timed out: machines are still running on the host.")
    host.values["runtime"].inMaintenanceMode = on
    state.store.touch(host)


@method("HostAutoStartManager", "ReconfigureAutostart")
def reconfigure_autostart(context: Context, manager: Entity, spec: Any) -> None:
    """Merges: what the spec does not name stays; a start action of none takes a machine out of the order."""
    kept = manager.values["config"]
    if spec.defaults is not None:
        for name in ("enabled", "startDelay", "stopDelay", "waitForHeartbeat", "stopAction"):
            value = getattr(spec.defaults, name)
            if value is not None:
                setattr(kept.defaults, name, value)
    by_machine = {p.key._moId: p for p in kept.powerInfo}
    for each in spec.powerInfo:
        context.store.get(each.key)
        by_machine[each.key._moId] = each
    kept.powerInfo = [p for p in by_machine.values() if p.startAction.lower() != "none"]
    host = context.store.find(manager.values["_host"])
    for touched in (manager, host):
        if touched is not None:
            context.store.touch(touched)
