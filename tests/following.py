# SPDX-License-Identifier: Apache-2.0
"""Follows one machine's itinerary as the engines do, and raises what ended it."""

from v2x.engine.attempt import Patience
from v2x.engine.row import RowRun
from v2x.errors import Stopped, V2xError
from v2x.migrate.itinerary import COLD
from v2x.migrate.work import Work
from v2x.model.migration import Outcome


class Kept:
    """Keeps nothing beyond the run; what is shown goes to the work's observer."""

    def __init__(self, work: Work) -> None:
        self._work, self._facts = work, []

    def __getattr__(self, name):
        return getattr(self._work.observer, name)

    def event(self, kind, text): ...

    def has(self, uuid, results): ...

    def results(self):
        return ()

    def forget(self, fact):
        self._facts[:] = [one for one in self._facts if one != fact]

    def remember(self, fact, instead_of=""):
        self._facts[:] = [one for one in self._facts if not instead_of or not one.startswith(instead_of)]
        self._facts.append(fact)

    def facts(self):
        return self._facts


class Wish:
    def __init__(self, work: Work) -> None:
        self._work = work

    def stopping(self):
        return False  # the copy asks by itself

    def missed(self):
        return None

    def cancelled(self):
        return False

    def discards(self):
        return False


def follow(work: Work, itinerary=COLD) -> None:
    """Runs the steps in order, each once."""
    raised: list[BaseException] = []

    def recorded(step):
        def run(given):
            try:
                step.run(given)
            except BaseException as problem:
                raised.append(problem)
                raise

        return step._replace(run=run)

    steps = tuple(recorded(step) for step in itinerary)
    run = RowRun(lambda: work, lambda *_: None, Kept(work), Wish(work), patience=Patience(attempts=1), itinerary=steps)
    outcome, failure = run.follow(lambda _name, step: step())
    if raised:
        raise raised[0]
    if outcome is Outcome.STOPPED:
        raise Stopped(failure.message)
    if failure is not None:
        raise V2xError(failure.message, code=failure.code)
