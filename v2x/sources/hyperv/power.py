# SPDX-License-Identifier: Apache-2.0
"""Changes of power state and automatic start at the source, each told with what was there before.

There are no others: a machine is asked to shut down, never turned off, and its cluster role is taken offline only once
it is off. A role that was taken offline stays so until somebody starts it.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from v2x.errors import Retry, SourceError
from v2x.model.machine import Machine, PowerState
from v2x.sources.hyperv.hosts import Answer, Hosts
from v2x.sources.hyperv.machine import locks_of, power_state
from v2x.sources.hyperv.words import START_ACTIONS, STATES, STATUSES
from v2x.waiting import nap

_STEP_SECONDS = 5.0
_ACTION = "start action"
_PRIORITY = "priority of its cluster role"
_START_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that was changed, in Hyper-V's own words; `undo` is what puts it back."""

    machine_id: str
    what: str
    before: str
    after: str
    undo: str = ""

    def __str__(self) -> str:
        back = f"; to put it back: {self.undo}" if self.undo else ""
        return f"changed at the source: {self.what}, {self.before} → {self.after}{back}"


class Power:
    """Power control of the machines of some hosts."""

    def __init__(
        self,
        hosts: Hosts,
        *,
        sleep: Callable[[float], None] = nap,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hosts = hosts
        self._sleep = sleep
        self._clock = clock
        self._changes: list[Change] = []

    def state(self, machine: Machine) -> PowerState:
        return power_state(_state(self._hosts.state(machine)))

    def told(self, machine: Machine) -> tuple[Change, ...]:
        """What was changed for a machine since this was last asked for."""
        mine = tuple(one for one in self._changes if one.machine_id == machine.id)
        self._changes = [one for one in self._changes if one.machine_id != machine.id]
        return mine

    def wait_until_free(self, machine: Machine, deadline_seconds: float) -> None:
        """Waits for the end of backups, merges and moves of the machine. SourceError when they do not end."""
        until = self._clock() + deadline_seconds
        while True:
            answer = self._hosts.state(machine).fields
            locks = locks_of(answer.words("operationalStatus", STATUSES), answer.texts("recoveryCheckpoints"))
            if not locks:
                return
            if self._clock() >= until:
                raise SourceError(
                    f"{machine.name} is busy: {'; '.join(locks)}",
                    code="BUSY",
                    hint="wait for it to end, or end it there, then run the same command again",
                    retry=Retry.LATER,
                )
            self._sleep(_STEP_SECONDS)

    def shutdown(self, machine: Machine, deadline_seconds: float) -> None:
        """Asks the guest to shut down and waits until it is off; its cluster role is taken offline then.

        SourceError when it does not: the machine is left as it is.
        """
        found = _state(self._hosts.state(machine))
        if found not in {"Off", "Running"}:
            raise SourceError(
                f"{machine.name} is {found}: only a running machine can be asked to shut down",
                code="SHUTDOWN-FAILED",
                hint="resume or start it, then shut it down",
            )
        if found == "Running":
            try:
                self._hosts.change(machine, "shutdown", deadline_seconds=deadline_seconds)
                self._until_off(machine, deadline_seconds)
            except SourceError as problem:
                raise SourceError(
                    f"{machine.name} did not shut down: {problem.message}",
                    code="SHUTDOWN-FAILED",
                    hint="shut it down from inside; it was not turned off, for that may lose its last writes",
                ) from None
            self.note(machine, "power", "Running", "Off")
        self._take_offline(machine)

    def _until_off(self, machine: Machine, deadline_seconds: float) -> None:
        until = self._clock() + deadline_seconds
        while (now := _state(self._hosts.state(machine))) != "Off":
            if self._clock() >= until:
                raise SourceError(f"it is {now} after {deadline_seconds:g} seconds")
            self._sleep(_STEP_SECONDS)

    def _take_offline(self, machine: Machine) -> None:
        before = self._hosts.change(machine, "offline").fields.row("before").text("roleState")
        if before and before != "Offline":
            self.note(machine, "cluster role", before, "Offline")

    def power_on(self, machine: Machine) -> None:
        """Starts the machine, or its cluster role."""
        answer = self._hosts.change(machine, "start", deadline_seconds=_START_SECONDS)
        self.note(machine, "power", answer.fields.row("before").word("state", STATES), "Running")

    def stay_off(self, machine: Machine) -> None:
        """Turns its automatic start off, so that it does not come back with the addresses of the new one."""
        before = self._hosts.change(machine, "autostart", "Nothing").fields.row("before")
        action = before.word("startAction", START_ACTIONS)
        if action and action != "Nothing":
            undo = f"Get-VM -Id {machine.id} | Set-VM -AutomaticStartAction {action}"
            self.note(machine, "AutomaticStartAction", action, "Nothing", undo)
        answer = self._hosts.change(machine, "priority", "0").fields
        priority, role = answer.row("before").text("priority"), answer.row("role").text("name")
        if priority and priority != "0":
            undo = f"(Get-ClusterGroup -Name '{role.replace(chr(39), chr(39) * 2)}').Priority = {priority}"
            self.note(machine, _PRIORITY, priority, "0 (no automatic start)", undo)

    def was(self, machine: Machine) -> dict[str, str]:
        """What `stay_off` would change, as it is now: its start action, and the priority of its role if it has one."""
        now = self._hosts.state(machine).fields
        found = {_ACTION: now.word("startAction", START_ACTIONS), _PRIORITY: now.row("role").text("priority")}
        return {what: value for what, value in found.items() if value}

    def give_back(self, machine: Machine, old: Mapping[str, str]) -> None:
        """Sets what `was` told, and nothing where it is so already."""
        now = self.was(machine)
        for what, change in ((_ACTION, "autostart"), (_PRIORITY, "priority")):
            if what in old and what in now and old[what] != now[what]:
                self._hosts.change(machine, change, old[what])
                self.note(machine, what, now[what], old[what])

    def label(self, machine: Machine) -> dict[str, str]:
        """`name` and `notes` as they are now."""
        now = self._hosts.state(machine).fields
        return {"name": now.text("name"), "notes": now.text("notes")}

    def relabel(self, machine: Machine, wanted: Mapping[str, str]) -> None:
        """Sets those that are named. The name of a cluster role is another one and stays."""
        for what, action in (("name", "rename"), ("notes", "notes")):
            if what in wanted:
                answer = self._hosts.change(machine, action, wanted[what])
                self.note(machine, what, answer.fields.row("before").text(what), wanted[what])

    def note(self, machine: Machine, what: str, before: str, after: str, undo: str = "") -> None:
        """Keeps a change for `told`."""
        self._changes.append(Change(machine_id=machine.id, what=what, before=before, after=after, undo=undo))


def _state(answer: Answer) -> str:
    return answer.fields.word("state", STATES)
