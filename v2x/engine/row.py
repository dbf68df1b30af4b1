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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol

from v2x.engine.hooks import run_hook
from v2x.errors import InputRefused, Interrupted, Retry, Stopped, V2xError
from v2x.migrate import backup_wait, watch
from v2x.migrate.crash import crash_point
from v2x.migrate.integrity import IntegrityCheck
from v2x.migrate.itinerary import COLD, Step
from v2x.migrate.power import bring_back, state_now, will_be_brought_down
from v2x.migrate.work import Next, Work
from v2x.model.hook import Hook
from v2x.model.machine import PowerState
from v2x.model.migration import DiskResult, Failure, Outcome, Phase
from v2x.sources.interface import ChangeTracking, Checkpoint, GivesBack, Integrity

_log = logging.getLogger("v2x.engine")
Answer = dict[str, object]
Journal = Callable[[str, Callable[[], Answer]], Answer]
WAS_ON = "was on"
TRACKED = "tracking was turned on"
WAS = "was "
"""Begins the fact that holds, as JSON, what the source was like before it was kept off."""
FINALIZED = "finalized"
WAITED_FOR = frozenset({backup_wait.CODE, watch.CODE})
"""Codes of a row that stopped by itself, having waited in vain: it starts again when a person wants it to."""
_CANCELLED = "it stays cancelled; v2x migrate moves it by itself"


class Kept(Protocol):
    """Where a row's state is kept and shown."""

    def phase(self, phase: Phase) -> None: ...

    def remember(self, fact: str) -> None:
        """Keeps a fact of this machine for all attempts at it, in whatever process; written before this returns."""
        ...

    def facts(self) -> Sequence[str]:
        """What was remembered, the oldest first."""
        ...

    def results(self) -> Sequence[DiskResult]:
        """What `has` was told last of the disks, by this attempt or one before it."""
        ...

    def has(self, uuid: str, results: Sequence[DiskResult]) -> None:
        """The machine on the target, and what is known of its disks; empty when there is nothing any more."""
        ...

    def warning(self, text: str) -> None: ...

    def event(self, kind: str, text: str) -> None:
        """Something that belongs in the log and is no warning."""
        ...


class Wish(Protocol):
    """What the operator wants of a row while it runs."""

    def stopping(self) -> bool:
        """It is to come to a mark and stop: cancelled, paused, or the program ends."""
        ...

    def cancelled(self) -> bool: ...

    def discards(self) -> bool:
        """Whether what a cancelled row has on the target is to be removed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often a step that may heal is tried, and how long is waited: doubled each time, with jitter, capped."""

    attempts: int = 4
    first_seconds: float = 2.0
    most_seconds: float = 60.0

    def delay(self, attempt: int, chance: Callable[[], float]) -> float:
        return min(self.most_seconds, self.first_seconds * 2.0**attempt) * (0.5 + chance() / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """The hooks of a row by moment, and what they are told of it."""

    due: Callable[[str], Sequence[Hook]] = lambda _moment: ()
    about: Mapping[str, object] = field(default_factory=dict)


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
        self._work: Work | None = None
        self._held: Checkpoint | None = None

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
                already = already or bool(answer.get("already"))
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
        sealed = phase is Phase.RELEASE or (phase is Phase.SEAL and when == "after")
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
        if outcome is Outcome.CANCELLED and self._wish.discards():
            undone = journal("discard", self._discarded)
            failure = _failure_from(undone.get("failure")) or failure
        if outcome in {Outcome.FAILED, Outcome.CANCELLED} and WAS_ON in self._kept.facts():
            journal("bring back", self._brought_back)
        self._tell_what_stays()
        return outcome, failure

    def _tell_what_stays(self) -> None:
        """A snapshot of a machine in use grows; whoever stops here must know of it."""
        held = self._work.checkpoint if self._work is not None and self._work.checkpoint else self._held
        if held is not None and held.left:
            self._kept.warning(
                f"{held.left} stays at the source so that the next run can go on; v2x cleanup --source removes it"
            )

    def _performed(self, step: Step) -> Answer:
        """The answer of a step: empty, or an `outcome` that ends the row."""
        for attempt in range(self._patience.attempts):
            try:
                # Once the machine is whole, what is left is to let go of the source.
                if self._wish.stopping() and step.phase is not Phase.RELEASE:
                    raise Stopped("stopped before the next step", hint="resume the batch; it continues")
                work = self._ready(step)
                self._kept.phase(step.phase)
                if step.phase is Phase.SHUTDOWN and state_now(work) is PowerState.ON:
                    self._kept.remember(WAS_ON)
                if step.phase is Phase.SEAL and work.keep_off and isinstance(work.source, GivesBack):
                    self._kept.remember(WAS + json.dumps(work.source.was(work.machine)))
                crash_point(step.phase, "before")
                step.run(work)
                crash_point(step.phase, "after")
                if step.phase is Phase.PREFLIGHT and will_be_brought_down(work):
                    self._kept.remember(WAS_ON)
                if work.turned_on_tracking:
                    self._kept.remember(TRACKED)
                self._keep(work)
                return self._said(step, work)
            except (Stopped, Interrupted) as problem:
                self._keep(self._work)
                if self._wish.cancelled():
                    return _answer(Outcome.CANCELLED, replace(failure_of(problem), hint=_CANCELLED))
                return _answer(Outcome.STOPPED, failure_of(problem))
            except InputRefused as problem:
                return _answer(Outcome.FAILED, self._refused(problem))
            except V2xError as problem:
                self._keep(self._work)
                self._hand_back(whole=False)
                if problem.retry is Retry.NEVER or attempt + 1 == self._patience.attempts:
                    return _answer(Outcome.FAILED, failure_of(problem))
                self._kept.warning(f"{problem.message}; trying again")
                self._wait(self._patience.delay(attempt, self._chance))
            except Exception as problem:
                _log.debug("unexpected failure", exc_info=True)
                text = f"{problem.__class__.__name__}: {problem}"
                hint = "this is a bug of v2x: please report it with the --verbose output"
                return _answer(Outcome.FAILED, Failure(code="V2X-BUG", message=text, hint=hint))
        raise AssertionError("the last attempt returns")

    def _said(self, step: Step, work: Work) -> Answer:
        if work.already:
            return {"already": True}
        follows = step.then(work) if step.then is not None else Next.GO_ON
        if follows is Next.WAIT:
            return {"outcome": str(Outcome.READY)}
        return {"next": follows.value} if follows is Next.AGAIN else {}

    def _ready(self, step: Step) -> Work:
        """The work, brought to where `step` begins, if this is not the program that came there."""
        if self._work is not None:
            return self._work
        work = self._work = self._build()
        work.results[:] = self._kept.results()
        work.turned_on_tracking = TRACKED in self._kept.facts()
        for earlier in self._itinerary[: self._itinerary.index(step)]:
            if earlier.look_up is not None:
                earlier.look_up(work)
        if step.phase is Phase.RELEASE:
            work.claim = work.target.find(work.tag) or work.claim
            work.already = work.claim is not None and work.claim.sealed
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
            claim = work.target.find(work.tag)
            if claim is not None and not claim.sealed:
                work.target.discard(claim)
            work.source.release(work.machine, work.tag)
            if TRACKED in self._kept.facts() and isinstance(work.source, ChangeTracking):
                work.source.untrack(work.machine)
            work.claim = work.checkpoint = self._held = None
            self._kept.has("", ())
        except V2xError as problem:
            return {"failure": asdict(failure_of(problem))}
        return {}

    def _brought_back(self) -> Answer:
        """Switches on again at the source what some attempt brought down."""
        try:
            work = self._work or self._build()
            self._work = work
            work.claim = work.claim or work.target.find(work.tag)
            was = saved_of(self._kept.facts())
            if was and isinstance(work.source, GivesBack):
                work.source.give_back(work.machine, was)
            work.brought_down = True
            bring_back(work)
        except V2xError as problem:
            self._kept.warning(f"the machine is off at the source and could not be switched on: {problem.message}")
        return {}

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


def saved_of(facts: Sequence[str]) -> dict[str, str]:
    """What the source was like before anything kept it off; empty where nothing did."""
    saved = next((fact.removeprefix(WAS) for fact in facts if fact.startswith(WAS + "{")), "{}")
    found: dict[str, str] = json.loads(saved)
    return found


def failure_of(problem: V2xError) -> Failure:
    return Failure(code=problem.code, message=problem.message, hint=problem.hint, exit_code=problem.exit_code)


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
