# SPDX-License-Identifier: Apache-2.0
"""Runs the itinerary of one machine, step by step, for any engine.

An engine hands in a `journal`: it runs a step, or gives back what the step answered in an earlier life of the program.
Then the steps that only look up what is there (checkpoint, claim) are done once more before the next one, since all of
them create or adopt. What a step answers is small JSON: nothing secret, and no truth that does not stand on the target.
"""

import json
import logging
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace

from v2x.engine.attempt import Answer, Hooks, Journal, Kept, Patience, Wish
from v2x.engine.hooks import run_hook
from v2x.engine.memory import BROUGHT_BACK, LABEL, STOPPED, TRACKED, WAS, WAS_ON, fact, recall, remember, saved_of
from v2x.engine.retreat import failure_of, retreat, unhealthy, wish_to_retreat
from v2x.errors import Blocked, InputRefused, Interrupted, Retry, Stopped, V2xError
from v2x.migrate import backup_wait, outage, watch
from v2x.migrate.crash import crash_point
from v2x.migrate.integrity import IntegrityCheck
from v2x.migrate.itinerary import COLD, Step
from v2x.migrate.power import bring_back, state_now, will_be_brought_down
from v2x.migrate.rehearsal import end_rehearsals
from v2x.migrate.tracking import end_tracking
from v2x.migrate.work import Next, Work
from v2x.model.health import Mark
from v2x.model.hook import Hook
from v2x.model.machine import PowerState
from v2x.model.migration import Failure, Outcome, Phase
from v2x.sources.interface import Checkpoint, GivesBack, Integrity, Marks, PowerControl
from v2x.waiting import heeding

_log = logging.getLogger("v2x.engine")
SOURCE_DIFFERS = "SOURCE-DIFFERS"
_GIVEN_BACK = {Outcome.FAILED, Outcome.CANCELLED, Outcome.MISSED_WINDOW, Outcome.BLOCKED}
"""Outcomes after which a machine that was brought down goes on at its source."""
_AFTER_SEAL = {Phase.START, Phase.RELEASE, Phase.HEALTH, Phase.MARK}
WAITED_FOR = frozenset({backup_wait.CODE, backup_wait.BUSY, watch.CODE})
"""Codes of a row that stopped by itself, having waited in vain: it starts again when a person wants it to."""
_SNAPSHOT_LEFT = "its snapshot may still be at the source: {}; v2x cleanup --source removes it"
_CANCELLED = "it stays cancelled; v2x migrate moves it by itself"


class RowRun:
    """One attempt at one machine. `build` opens source and target and makes the work; `give` takes both back."""

    def __init__(
        self,
        build: Callable[[], Work],
        give: Callable[[Work, bool], None],
        kept: Kept,
        wish: Wish,
        *,
        patience: Patience | None = None,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
        hooks: "Hooks | None" = None,
        itinerary: tuple[Step, ...] = COLD,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._build = build
        self._give = give
        self._kept = kept
        self._wish = wish
        self._patience = patience or Patience()
        self._sleep = sleep
        self._chance = chance
        self._hooks = hooks or Hooks()
        self._itinerary = itinerary
        self._clock = clock
        self._work: Work | None = None
        self._held: Checkpoint | None = None
        self._conversion = ""

    def follow(self, journal: Journal) -> tuple[Outcome, Failure | None]:
        """Runs what is left of the itinerary. Whatever fails is an outcome; only what ends the program is raised."""
        already = False
        try:
            for step in self._itinerary:
                if already and step.phase is not Phase.RELEASE:
                    continue
                answer = self._hooked("before", step.phase, journal)
                if "outcome" not in answer:
                    answer = self._repeated(step, journal)
                if "roll back" in answer:
                    return self._went_back(answer, journal)
                already = already or bool(answer.get("already"))
                # What was copied is of this conversion, whichever life of the program goes on from here.
                self._conversion = str(answer.get("conversion") or self._conversion)
                if "outcome" not in answer and not already:
                    answer = self._hooked("after", step.phase, journal)
                if "outcome" in answer:
                    return self._ended(answer, journal)
            return (Outcome.ALREADY if already else Outcome.MIGRATED), None
        finally:
            self._hand_back(whole=True)

    def _repeated(self, step: Step, journal: Journal) -> Answer:
        """The step's last answer, after as many runs as it asks for."""
        number = 1
        while True:
            name = str(step.phase) if number == 1 else f"{step.phase} {number}"
            answer = journal(name, lambda: self._performed(step))
            if answer.get("next") != Next.AGAIN.value:
                return answer
            number += 1

    def _hooked(self, when: str, phase: Phase, journal: Journal) -> Answer:
        """Runs the hooks of a moment. Nothing that fails once the machine is sealed makes it a failed one."""
        moment = f"{when} {phase}"
        sealed = phase in _AFTER_SEAL or (phase is Phase.SEAL and when == "after")
        for hook in self._hooks.due(moment):
            answer = journal(f"{moment}: {hook.name}", lambda hook=hook: self._ran(hook, moment))  # type: ignore[misc]
            if "failure" not in answer:
                continue
            failure = _failure_from(answer["failure"])
            if hook.stops and not sealed and failure is not None:
                return _answer(Outcome.FAILED, failure)
        return {}

    def _ran(self, hook: Hook, moment: str) -> Answer:
        try:
            said = run_hook(hook, {"moment": moment, **self._hooks.about})
        except V2xError as problem:
            self._kept.warning(problem.message)
            return {"failure": asdict(failure_of(problem))}
        self._kept.event("hook", f"{moment}: {hook.name}: {said}")
        return {}

    def _ended(self, answer: Mapping[str, object], journal: Journal) -> tuple[Outcome, Failure | None]:
        outcome, failure = Outcome(str(answer["outcome"])), _failure_from(answer.get("failure"))
        if outcome is Outcome.CANCELLED:
            undone = (
                journal("discard", self._discarded) if self._wish.discards() else journal("end test", self._untested)
            )
            failure = _failure_from(undone.get("failure")) or failure
        if outcome is Outcome.MISSED_WINDOW:
            journal("let go", self._let_go)
        if outcome in _GIVEN_BACK and WAS_ON in self._kept.facts():
            journal("bring back", self._brought_back)
        self._tell_what_stays()
        return outcome, failure

    def _went_back(self, answer: Mapping[str, object], journal: Journal) -> tuple[Outcome, Failure | None]:
        """The row says that a machine which does not start, or not well, goes back by itself."""
        failure = _failure_from(answer.get("failure"))
        undone = journal("roll back", self._retreated)
        if "failure" in undone:
            return Outcome(str(answer.get("outcome", Outcome.MIGRATED))), failure
        return Outcome.ROLLED_BACK, failure

    def _retreated(self) -> Answer:
        try:
            work = self._work or self._ready(self._itinerary[-1])
            retreat(work, self._kept)
        except V2xError as problem:
            self._kept.warning(f"it could not be rolled back by itself: {problem.message}; see v2x batch rollback")
            return {"failure": asdict(failure_of(problem))}
        return {}

    def _tell_what_stays(self) -> None:
        """A snapshot of a machine in use grows; whoever stops here must know of it."""
        held = self._work.checkpoint if self._work is not None and self._work.checkpoint else self._held
        if held is not None and held.left:
            self._kept.warning(
                f"{held.left} stays at the source so that the next run can go on; v2x cleanup --source removes it"
            )

    def _performed(self, step: Step) -> Answer:
        """The answer of a step: empty, or an `outcome` that ends the row."""
        began = self._clock()
        for attempt in range(self._patience.attempts):
            try:
                # Once the machine is sealed, nothing stops it half-way.
                if self._wish.stopping() and step.phase not in _AFTER_SEAL:
                    raise Stopped("stopped before the next step", hint="resume the batch; it continues")
                with heeding(None if step.phase in _AFTER_SEAL else self._wish.stopping):
                    work = self._ready(step)
                    self._kept.phase(step.phase)
                    self._remember_before(step, work)
                    crash_point(step.phase, "before")
                    step.run(work)
                    crash_point(step.phase, "after")
                    self._learned(step, work)
                    self._timed(step, work, self._clock() - began)
                    self._keep(work)
                    return self._said(step, work)
            except (Stopped, Interrupted) as problem:
                return self._stopped(step, problem)
            except InputRefused as problem:
                if problem.code == SOURCE_DIFFERS:
                    return _answer(Outcome.BLOCKED, self._refused(problem))
                return self._gave_up(step, self._refused(problem))
            except V2xError as problem:
                self._keep(self._work)
                self._hand_back(whole=False)
                if problem.retry is Retry.NEVER or attempt + 1 == self._patience.attempts:
                    return self._gave_up(step, failure_of(problem))
                self._kept.warning(f"{problem.message}; trying again")
                self._wait(self._patience.delay(attempt, self._chance))
            except Exception as problem:
                _log.debug("unexpected failure", exc_info=True)
                text = f"{problem.__class__.__name__}: {problem}"
                hint = "this is a bug of v2x: please report it with the --verbose output"
                return _answer(Outcome.FAILED, Failure(code="V2X-BUG", message=text, hint=hint))
        raise AssertionError("the last attempt returns")

    def _stopped(self, step: Step, problem: V2xError) -> Answer:
        if step.phase is Phase.RELEASE and isinstance(problem, Blocked):
            return self._gave_up(step, failure_of(problem))
        self._keep(self._work)
        self._forget_if_on()
        missed = self._wish.missed()
        if missed is not None:
            return _answer(Outcome.MISSED_WINDOW, missed)
        if self._wish.cancelled():
            return _answer(Outcome.CANCELLED, replace(failure_of(problem), hint=_CANCELLED))
        return _answer(Outcome.STOPPED, failure_of(problem))

    def _remember_before(self, step: Step, work: Work) -> None:
        """What a step is about to change, as it is now."""
        if step.phase is Phase.SHUTDOWN and state_now(work) is PowerState.ON:
            self._kept.remember(WAS_ON)
        if step.phase is Phase.SEAL:
            if work.keep_off and isinstance(work.source, GivesBack):
                self._kept.remember(WAS + json.dumps(work.source.was(work.machine)))
            if isinstance(work.source, PowerControl) and state_now(work) is PowerState.OFF:
                self._kept.remember(STOPPED)
        wanted = step.phase is Phase.MARK and work.care.mark is not Mark.NO and not work.already
        if wanted and isinstance(work.source, Marks) and not any(one.startswith(LABEL) for one in self._kept.facts()):
            self._kept.remember(fact(LABEL, work.source.label(work.machine)))

    def _timed(self, step: Step, work: Work, seconds: float) -> None:
        if work.outage is not None:
            rebooting = work.health.reboot_seconds if step.phase is Phase.HEALTH and work.health else 0.0
            work.outage = outage.passed(work.outage, step.phase, seconds, rebooting)

    def _gave_up(self, step: Step, failure: Failure) -> Answer:
        """What a sealed machine's start lacks may send it back; what comes after that does not make it a failed one."""
        if step.phase in {Phase.HEALTH, Phase.MARK}:
            self._kept.warning(f"{step.phase}: {failure.message}")
            return {}
        if step.phase is Phase.RELEASE:
            self._kept.warning(_SNAPSHOT_LEFT.format(failure.message))
            return {}
        answer = _answer(Outcome.FAILED, failure)
        if step.phase is Phase.START:
            with suppress(V2xError):
                answer |= wish_to_retreat(self._ready(step), self._kept)
        return answer

    def _learned(self, step: Step, work: Work) -> None:
        """Keeps what other attempts at this machine must know of this one."""
        if step.phase is Phase.PREFLIGHT and will_be_brought_down(work):
            self._kept.remember(WAS_ON)

    def _said(self, step: Step, work: Work) -> Answer:
        if work.already:
            return {"already": True}
        follows = step.then(work) if step.then is not None else Next.GO_ON
        remember(work, self._kept)
        if step.phase is Phase.HEALTH and work.health is not None and work.health.failed:
            return unhealthy(work, self._kept)
        if follows is Next.WAIT:
            return {"outcome": str(Outcome.READY)}
        if step.phase is Phase.COPY and work.convert:
            return {"conversion": work.conversion_id}
        return {"next": follows.value} if follows is Next.AGAIN else {}

    def _ready(self, step: Step) -> Work:
        """The work, brought to where `step` begins, if this is not the program that came there."""
        if self._work is not None:
            return self._work
        work = self._work = self._build()
        work.results[:] = self._kept.results()
        recall(work, self._kept.facts())
        work.conversion_id = self._conversion or work.conversion_id
        if step.phase in _AFTER_SEAL:
            work.claim = work.target.find(work.tag)
            return work
        for earlier in self._itinerary[: self._itinerary.index(step)]:
            if earlier.look_up is not None:
                earlier.look_up(work)
        if step.phase is Phase.INTEGRITY and isinstance(work.source, Integrity):
            work.integrity = IntegrityCheck(work.source, work.machine)
        return work

    def _refused(self, problem: InputRefused) -> Failure:
        """Input that is refused half-way (a damaged grain, a wrong digest) leaves nothing on the target."""
        work = self._work
        if work is not None and work.claim is not None and not work.claim.sealed:
            try:
                work.target.discard(work.claim)
                work.source.release(work.machine, work.tag)
                work.claim = work.checkpoint = self._held = None
                self._kept.has("", ())
            except V2xError as second:
                self._kept.warning(f"what was begun could not be removed: {second.message}")
        return failure_of(problem)

    def _discarded(self) -> Answer:
        """Removes what a cancelled machine has on the target, and its checkpoint at the source."""
        try:
            work = self._work or self._build()
            self._work = work
            end_rehearsals(work)
            claim = work.target.find(work.tag)
            if claim is not None and not claim.sealed:
                work.target.discard(claim)
            work.source.release(work.machine, work.tag)
            end_tracking(work.source, work.machine, TRACKED in self._kept.facts())
            work.claim = work.checkpoint = self._held = None
            self._kept.has("", ())
        except V2xError as problem:
            return {"failure": asdict(failure_of(problem))}
        return {}

    def _untested(self) -> Answer:
        """Removes the test copy of a cancelled machine that keeps what it has on the target."""
        try:
            self._work = self._work or self._build()
            end_rehearsals(self._work)
        except V2xError as problem:
            return {"failure": asdict(failure_of(problem))}
        return {}

    def _brought_back(self) -> Answer:
        """Switches on again at the source what some attempt brought down."""
        try:
            work = self._work or self._build()
            self._work = work
            work.claim = work.claim or work.target.find(work.tag)
            if work.claim is not None and work.claim.sealed:
                return {}  # it is on the target, and its source stays as it is
            was = saved_of(self._kept.facts())
            if was and isinstance(work.source, GivesBack):
                work.source.give_back(work.machine, was)
            work.brought_down = True
            if bring_back(work):
                self._kept.remember(BROUGHT_BACK)
                self._kept.forget(WAS_ON)
        except V2xError as problem:
            self._kept.warning(f"the machine is off at the source and could not be switched on: {problem.message}")
        return {}

    def _let_go(self) -> Answer:
        """No snapshot of ours grows at the source while nobody knows when the machine is moved."""
        try:
            work = self._work or self._build()
            self._work = work
            work.source.release(work.machine, work.tag)
            work.checkpoint = self._held = None
        except V2xError as problem:
            self._kept.warning(_SNAPSHOT_LEFT.format(problem.message))
        return {}

    def _forget_if_on(self) -> None:
        """A stop that came before the machine was brought down has begun no outage."""
        work = self._work
        if work is None or work.brought_down or WAS_ON not in self._kept.facts():
            return
        try:
            if state_now(work) is PowerState.ON:
                self._kept.forget(WAS_ON)
        except V2xError:
            _log.debug("its state cannot be asked", exc_info=True)

    def _keep(self, work: Work | None) -> None:
        if work is not None and work.claim is not None and work.claim.id:
            self._kept.has(work.claim.id, work.results)

    def _hand_back(self, *, whole: bool) -> None:
        work, self._work = self._work, None
        if work is not None:
            self._held = work.checkpoint or self._held
            self._give(work, whole)

    def _wait(self, seconds: float) -> None:
        until = seconds
        while until > 0 and not self._wish.stopping():
            self._sleep(min(until, 0.5))
            until -= 0.5


def _answer(outcome: Outcome, failure: Failure) -> Answer:
    return {"outcome": str(outcome), "failure": asdict(failure)}


def _failure_from(value: object) -> Failure | None:
    if not isinstance(value, dict):
        return None
    return Failure(
        code=str(value.get("code")),
        message=str(value.get("message")),
        hint=str(value.get("hint") or ""),
        exit_code=int(value.get("exit_code") or 1),
    )
