# SPDX-License-Identifier: Apache-2.0
"""The power state of a machine: asked for, changed through its guest, and switched off hard only by its own call."""

from v2x.errors import SourceError, V2xError
from v2x.model.machine import Machine, PowerState
from v2x.sources.vsphere.failures import fault_name
from v2x.sources.vsphere.present import Present, present
from v2x.sources.vsphere.session import VsphereSession

_POLL_SECONDS = 2.0
_TOOLS = "guest.toolsRunningStatus"
_TASK_SECONDS = 600.0


def state(session: VsphereSession, machine: Machine) -> PowerState:
    return present(session, machine).power


def shutdown(session: VsphereSession, machine: Machine, deadline_seconds: float) -> None:
    """Asks the guest to shut down, and waits until the machine is off.

    SourceError TOOLS where nobody in the guest listens, GUEST-STILL-ON where it is not off in time; the machine is
    then as it was, or still on its way down.
    """
    now = present(session, machine, [_TOOLS])
    if now.power is PowerState.OFF:
        return
    _require_on(machine, now)
    if str(now.values.get(_TOOLS, "")) != "guestToolsRunning":
        raise SourceError(
            f"VMware Tools do not run in {machine.name}, so nobody there hears that it shall shut down",
            code="TOOLS",
            hint="shut it down from inside, or allow --running power-off",
        )
    try:
        session.call(now.reference.ShutdownGuest, doing="shut it down", subject=machine.name)
    except V2xError as problem:
        if fault_name(problem.__cause__) != "InvalidPowerState":
            raise
    if not _is_off_within(session, machine, deadline_seconds):
        raise SourceError(
            f"{machine.name} was asked to shut down and is not off after {deadline_seconds:g} s",
            code="GUEST-STILL-ON",
            hint="look at its console; wait longer (--shutdown-minutes), or allow --running power-off",
        )


def power_off(session: VsphereSession, machine: Machine) -> None:
    """Switches the machine off as if its power was cut."""
    now = present(session, machine)
    if now.power is PowerState.OFF:
        return
    task = session.call(now.reference.PowerOffVM_Task, doing="switch it off", subject=machine.name)
    session.wait_task(task, doing="switch it off", subject=machine.name, timeout=_TASK_SECONDS)


def power_on(session: VsphereSession, machine: Machine) -> None:
    now = present(session, machine)
    if now.power is PowerState.ON:
        return
    task = session.call(now.reference.PowerOnVM_Task, None, doing="switch it on", subject=machine.name)
    session.wait_task(task, doing="switch it on", subject=machine.name, timeout=_TASK_SECONDS)


def _require_on(machine: Machine, now: Present) -> None:
    if now.power is not PowerState.ON:
        raise SourceError(
            f"{machine.name} is {now.power}, and only a running guest can shut down",
            code="POWER-STATE",
            hint="resume it first: what its memory holds would be lost otherwise",
        )


def _is_off_within(session: VsphereSession, machine: Machine, seconds: float) -> bool:
    begun = session.now()
    while True:
        if state(session, machine) is PowerState.OFF:
            return True
        if session.now() - begun >= seconds:
            return False
        session.sleep(min(_POLL_SECONDS, max(seconds / 20, 0.02)))
