# SPDX-License-Identifier: Apache-2.0
"""What becomes of a machine that runs: refused, read through a snapshot, or brought down first, as its row says.

Nothing here happens without being asked for, and everything is told before it is done. A machine that was brought
down is switched on again where its migration fails; one that is stopped half-way stays down, for the next run goes on.
"""

from typing import TYPE_CHECKING

from v2x.errors import SourceError, Unsupported, V2xError
from v2x.model.machine import PowerState
from v2x.model.plan import Running
from v2x.sources.interface import HardPowerOff, Notes, PowerControl, Rehearses, Snapshots, StaysOff
from v2x.waiting import heeding

if TYPE_CHECKING:
    from v2x.migrate.work import Work

_CHOICES = (
    "choose: --running shutdown (the guest shuts down, then its disks are copied),{} or shut it down yourself; in a "
    "plan it is the column running"
)
_SNAPSHOT = " --running snapshot (a copy of this moment, it goes on running),"


def state_now(work: "Work") -> PowerState:
    """The power state, from the source itself where it can tell."""
    if isinstance(work.source, PowerControl):
        return work.source.state(work.machine)
    return work.machine.power_state


def refuse_running(work: "Work") -> None:
    """SourceError for a machine that is not off, unless its row says what to do with it.

    Unsupported where the row wants a snapshot and the source takes none.
    """
    state, name = state_now(work), work.machine.name
    if state is PowerState.SUSPENDED:
        raise SourceError(
            f"{name} is suspended",
            code="SUSPENDED",
            hint="resume it and shut it down: what its memory holds is not on its disks",
        )
    if state is not PowerState.ON:
        return
    if not isinstance(work.source, PowerControl):
        raise SourceError(f"{name} is on", code="POWERED-ON", hint="shut it down, or its disks change")
    if work.running is Running.REFUSE:
        hint = _CHOICES.format(_SNAPSHOT if isinstance(work.source, Snapshots) else "")
        raise SourceError(f"{name} is running, and its disks change while it does", code="POWERED-ON", hint=hint)
    if work.running is Running.SNAPSHOT and not isinstance(work.source, Snapshots):
        raise Unsupported(
            f"{name} is running, and this source copies no snapshots",
            hint="choose --running shutdown, or shut it down yourself; in a plan it is the column running",
        )


def rehearse(work: "Work") -> None:
    """Before a running machine is brought down: its disks must be where they will be read from."""
    if will_be_brought_down(work) and isinstance(work.source, Rehearses):
        work.source.rehearse(work.machine)


def will_be_brought_down(work: "Work") -> bool:
    """Whether the machine runs now and its row has it shut down."""
    brings_down = work.running in {Running.SHUTDOWN, Running.POWER_OFF}
    return brings_down and not work.already and state_now(work) is PowerState.ON


def bring_down(work: "Work") -> None:
    """Before the checkpoint: does with a running machine what its row says."""
    if state_now(work) is not PowerState.ON or not isinstance(work.source, PowerControl):
        return
    name = work.machine.name
    if work.running is Running.SNAPSHOT:
        if not isinstance(work.source, Snapshots):
            return
        work.observer.warning(
            f"{name} runs: its disks are copied as they are now, through a snapshot named "
            f"“{work.source.snapshot_name(work.tag)}”; "
            "what it writes from now on stays at the source"
        )
        return
    shut_down_guest(work, work.source)


def shut_down_guest(work: "Work", source: PowerControl) -> None:
    """Asks the guest to shut down and waits; switches the machine off where its row allows that."""
    name = work.machine.name
    work.observer.warning(f"{name} is asked to shut down, and waited for up to {work.shutdown_seconds / 60:g} minutes")
    with heeding(None):  # a guest that was asked goes down by itself: whoever stops must know whether it is off
        try:
            source.shutdown(work.machine, work.shutdown_seconds)
        except SourceError as problem:
            if work.running is not Running.POWER_OFF or not isinstance(source, HardPowerOff):
                raise
            work.observer.warning(f"{problem.message}; {name} is switched off")
            source.power_off(work.machine)
    work.brought_down = True


def stay_off(work: "Work") -> None:
    """Before the machine is sealed: it does not start by itself at the source any more."""
    if isinstance(work.source, StaysOff):
        work.source.stay_off(work.machine)
    else:
        work.observer.warning("this source has no automatic start that could be turned off")


def bring_back(work: "Work") -> bool:
    """After a failure: switches on again what was brought down for nothing. Whether that is done."""
    if not work.brought_down or not isinstance(work.source, PowerControl):
        return False
    name, is_back = work.machine.name, False
    try:
        found = work.target.find(work.tag)
        if found is not None and found.sealed:
            return False  # the machine is on the target, and two of it must not run
        work.source.power_on(work.machine)
    except V2xError as problem:
        work.observer.warning(f"{name} is off at the source and could not be switched on again: {problem.message}")
    else:
        is_back = True
        work.observer.warning(f"{name} was switched on again at the source")
    if isinstance(work.source, Notes):
        for note in work.source.notes(work.machine):
            work.observer.warning(note)
    work.brought_down = False
    return is_back
