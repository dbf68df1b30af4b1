# SPDX-License-Identifier: Apache-2.0
"""Changes of power state and automatic start at the source, each with what was there before.

There are no others: a machine is asked to shut down, never turned off, and its cluster role is taken offline only once
it is off.
"""

import time
from collections.abc import Callable

from v2x.errors import SourceError
from v2x.model.machine import Machine, PowerState
from v2x.model.migration import SourceChange
from v2x.sources.hyperv.hosts import Answer, Hosts
from v2x.sources.hyperv.machine import locks_of, power_state
from v2x.sources.hyperv.words import STATES, STATUSES

_STEP_SECONDS = 5.0


class Power:
    """Power control of the machines of some hosts; `changes` are in the order they were made."""

    def __init__(
        self,
        hosts: Hosts,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hosts = hosts
        self._sleep = sleep
        self._clock = clock
        self.changes: list[SourceChange] = []

    def state(self, machine: Machine) -> PowerState:
        return power_state(_state(self._hosts.power(machine, "state")))

    def wait_until_free(self, machine: Machine, deadline_seconds: float) -> None:
        """Waits for the end of backups, merges and moves of the machine. SourceError when they do not end."""
        until = self._clock() + deadline_seconds
        while True:
            answer = self._hosts.power(machine, "state").fields
            locks = locks_of(answer.words("operationalStatus", STATUSES), answer.texts("recoveryCheckpoints"))
            if not locks:
                return
            if self._clock() >= until:
                raise SourceError(
                    f"{machine.name} is busy: {'; '.join(locks)}",
                    code="SOURCE-BUSY",
                    hint="wait for it to end, or end it there, then run the same command again",
                )
            self._sleep(_STEP_SECONDS)

    def shutdown(self, machine: Machine, deadline_seconds: float) -> None:
        """Asks the guest to shut down and waits until it is off; its cluster role then stays offline.

        SourceError when it does not: the machine is left running, and its role may start by itself again.
        """
        found = _state(self._hosts.power(machine, "state"))
        if found == "Off":
            self._hold(machine)
            return
        if found != "Running":
            raise SourceError(
                f"{machine.name} is {found}: only a running machine can be asked to shut down",
                code="SHUTDOWN-FAILED",
                hint="resume or start it, then shut it down",
            )
        self._hold(machine)
        try:
            self._hosts.power(machine, "shutdown", deadline_seconds=deadline_seconds)
            self._until_off(machine, deadline_seconds)
        except SourceError as problem:
            self._put_back(machine, "priority")
            raise SourceError(
                f"{machine.name} did not shut down: {problem.message}",
                code="SHUTDOWN-FAILED",
                hint="shut it down from inside; it was not turned off, for that may lose its last writes",
            ) from None
        self._note(machine, "power", "Running", "Off")
        self._hold(machine)

    def _until_off(self, machine: Machine, deadline_seconds: float) -> None:
        until = self._clock() + deadline_seconds
        while (now := _state(self._hosts.power(machine, "state"))) != "Off":
            if self._clock() >= until:
                raise SourceError(f"it is {now} after {deadline_seconds:g} seconds")
            self._sleep(_STEP_SECONDS)

    def _hold(self, machine: Machine) -> None:
        """Keeps a cluster role from starting the machine again, and takes it offline once the machine is off."""
        before = self._hosts.power(machine, "hold").fields.row("before")
        priority = before.text("priority")
        if priority and priority != "0":
            self._note(machine, "priority", priority, "0")

    def power_on(self, machine: Machine) -> None:
        self._put_back(machine, "priority")
        before = self._hosts.power(machine, "start", deadline_seconds=600.0).fields.row("before").word("state", STATES)
        self._note(machine, "power", before, "Running")

    def stay_off(self, machine: Machine) -> None:
        """Turns its automatic start off, so that it does not come back with the addresses of the new one."""
        answer = self._hosts.power(machine, "autostart", "Nothing").fields
        before = answer.row("before").text("startAction")
        if before and before != "Nothing":
            self._note(machine, "start_action", before, "Nothing")
        self._hold(machine)

    def undo(self, machine: Machine) -> None:
        """Gives the machine back what was changed by this run: priority, automatic start, and power at last."""
        self._put_back(machine, "priority")
        self._put_back(machine, "start_action")
        ran = [one for one in self.changes if one.machine_id == machine.id and one.what == "power"]
        if ran and ran[0].before == "Running" and self.state(machine) is PowerState.OFF:
            self.power_on(machine)

    def _put_back(self, machine: Machine, what: str) -> None:
        mine = [one for one in self.changes if one.machine_id == machine.id and one.what == what]
        if mine and mine[-1].after != mine[0].before:
            self._hosts.power(machine, {"priority": "priority", "start_action": "autostart"}[what], mine[0].before)
            self._note(machine, what, mine[-1].after, mine[0].before)

    def _note(self, machine: Machine, what: str, before: str, after: str) -> None:
        self.changes.append(
            SourceChange(machine_id=machine.id, machine_name=machine.name, what=what, before=before, after=after)
        )


def _state(answer: Answer) -> str:
    return answer.fields.word("state", STATES)
