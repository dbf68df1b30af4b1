# SPDX-License-Identifier: Apache-2.0
"""Records a guest before its outage, and looks after its start whether what was recorded is back."""

from dataclasses import replace

from v2x.errors import V2xError
from v2x.migrate.comparing import Answer, checks_of, told_by_nobody
from v2x.migrate.power import state_now
from v2x.migrate.reach import is_reachable
from v2x.migrate.work import Work
from v2x.model.health import Check, GuestBefore, GuestNow, Health, Port, Verdict
from v2x.model.machine import Guest, PowerState
from v2x.target.interface import TellsGuest

STEP_SECONDS = 2.0
AGENT_SECONDS = 60.0
"""How long an agent is waited for that nothing says should be there."""


def record(work: Work) -> None:
    """What the source tells of the guest now, and which of the row's ports answer. Nothing else is ever asked."""
    if work.already:
        return
    running = state_now(work) is PowerState.ON
    guest = _guest(work) if running else work.machine.guest
    work.before = GuestBefore(
        taken_at=work.now(),
        running=running,
        addresses=guest.addresses,
        volumes=guest.volumes,
        tools=guest.tools,
        tools_version=guest.tools_version,
        ports=tuple(_recorded(work, port, guest) for port in work.care.ports) if running else work.care.ports,
    )


def _guest(work: Work) -> Guest:
    """The guest as the source has it now, or a minute ago; as it was listed, where it tells no more."""
    try:
        now = work.listings.machine(work.source_name, work.source, work.machine.id)
    except V2xError as problem:
        work.observer.warning(f"its guest could not be looked at before the shutdown: {problem.message}")
        return work.machine.guest
    found = now.guest if now is not None else None
    return found if found is not None and (found.addresses or found.volumes) else work.machine.guest


def _recorded(work: Work, port: Port, guest: Guest) -> Port:
    own = [address.partition("/")[0] for one in guest.addresses for address in one.addresses]
    places = [port.address] if port.address else list(dict.fromkeys(one for one in own if is_reachable(one)))
    return replace(port, answered=tuple(one for one in places if work.reach(one, port.number) is not None))


def check(work: Work) -> None:
    """Polls until all that was recorded is back, or the time is over; the verdicts are then as they are.

    Nothing here fails the machine: it is whole and was started.
    """
    limit = work.care.health_seconds
    if not work.started or limit <= 0 or not isinstance(work.target, TellsGuest):
        return
    watch = _Watch(work, work.before or GuestBefore(taken_at=work.now(), running=False, ports=work.care.ports))
    settled = watch.look(work.target)
    while not settled and watch.seconds < min(limit, watch.patience) and not work.stopping():
        work.sleep(min(STEP_SECONDS, max(0.05, limit / 20)))
        settled = watch.look(work.target)
    in_time = settled or watch.seconds >= min(limit, watch.patience)
    work.health = watch.health() if in_time else _cut_short(watch.health())
    for failed in work.health.failed:
        work.observer.warning(f"health check failed: {failed.label}: {failed.text}")


def _cut_short(health: Health) -> Health:
    """What had not come back when v2x was stopped might have: nothing has failed, so nothing goes back for it."""
    checks = tuple(
        replace(
            one, verdict=Verdict.NOT_CHECKED, text=f"v2x was stopped before its time was over; until then: {one.text}"
        )
        if one.verdict is Verdict.FAIL
        else one
        for one in health.checks
    )
    return replace(health, checks=checks)


class _Watch:
    """What has been seen of a guest since its start."""

    def __init__(self, work: Work, before: GuestBefore) -> None:
        self._work, self._before = work, before
        self._began = work.clock()
        self._now: GuestNow | None = None
        self._answers = {port.word: Answer(port=port) for port in work.care.ports}
        self._trouble = ""
        self._first = ""
        self._reboots: set[str] = set()
        self._rebooted_at = 0.0

    @property
    def seconds(self) -> float:
        return self._work.clock() - self._began

    @property
    def patience(self) -> float:
        """An agent is waited for as long as something that it could confirm has not come back."""
        silent = self._now is not None and self._now.agent is None
        return AGENT_SECONDS if silent and told_by_nobody(self._before) and not self._failing() else float("inf")

    def look(self, target: TellsGuest) -> bool:
        """One look; True when nothing is left that time could change."""
        try:
            self._now = target.guest(self._work.held_claim())
            self._trouble = ""
        except V2xError as problem:
            self._trouble = problem.message
            return False
        if self._now.started and self._now.started != (self._first or self._now.started):
            self._reboots.add(self._now.started)
            self._first, self._rebooted_at = self._now.started, self.seconds
        self._first = self._first or self._now.started
        for word, answer in self._answers.items():
            if not answer.address:
                self._answers[word] = self._asked(answer.port)
        return self._now.agent is not None and not self._failing()

    def _asked(self, port: Port) -> Answer:
        for place in self._places(port):
            local = self._work.reach(place, port.number)
            if local is not None:
                return Answer(port=port, address=place, local=local)
        return Answer(port=port)

    def _places(self, port: Port) -> list[str]:
        """Where it answered before, then where the guest is now."""
        if port.address:
            return [port.address]
        was = next((one.answered for one in self._before.ports if one.word == port.word), ())
        adapters = self._now.adapters if self._now is not None else ()
        now = [address for one in adapters for address in one.addresses if is_reachable(address)]
        return list(dict.fromkeys((*was, *now)))

    def _failing(self) -> bool:
        return any(one.verdict is Verdict.FAIL for one in self._checks())

    def _checks(self) -> tuple[Check, ...]:
        if self._now is None or self._trouble:
            return (Check(name="power", verdict=Verdict.NOT_CHECKED, text=f"the pool did not tell: {self._trouble}"),)
        answers = tuple(self._answers.values())
        return checks_of(self._before, self._now, self._work.machine, self._work.spec, answers)

    def health(self) -> Health:
        return Health(
            before=self._before,
            checks=self._checks(),
            seconds=self.seconds,
            reboots=len(self._reboots),
            reboot_seconds=self._rebooted_at,
        )
