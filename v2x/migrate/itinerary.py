# SPDX-License-Identifier: Apache-2.0
"""Itineraries: the order of steps, as data."""

from collections.abc import Callable
from typing import NamedTuple

from v2x.errors import InputRefused, Interrupted, Stopped
from v2x.migrate import power, steps, warm
from v2x.migrate.steps import Next, Work
from v2x.model.migration import Phase


class Step(NamedTuple):
    """One step and the phase that is shown while it runs.

    `look_up` is what a program that comes in after this step has to do first, to know what it made; it changes nothing
    that was not made before. `then` is asked after each run of a step that may be repeated.
    """

    phase: Phase
    run: Callable[[Work], None]
    look_up: Callable[[Work], None] | None = None
    then: Callable[[Work], Next] | None = None


COLD: tuple[Step, ...] = (
    Step(Phase.PREFLIGHT, steps.preflight),
    Step(Phase.CHECKPOINT, steps.checkpoint, steps.checkpoint),
    Step(Phase.CLAIM, steps.claim, steps.claim),
    Step(Phase.COPY, steps.copy),
    Step(Phase.INTEGRITY, steps.integrity),
    Step(Phase.SEAL, steps.seal),
    Step(Phase.RELEASE, steps.release),
)

WARM: tuple[Step, ...] = (
    Step(Phase.PREFLIGHT, steps.preflight),
    Step(Phase.TRACK, warm.track),
    Step(Phase.SYNC, warm.sync, warm.look_up, warm.next_pass),
    Step(Phase.SHUTDOWN, warm.shut_down),
    Step(Phase.LAST_SYNC, warm.last_sync),
    Step(Phase.VERIFY, warm.verify),
    Step(Phase.SEAL, steps.seal),
    Step(Phase.RELEASE, warm.finish),
)


def follow(work: Work, itinerary: tuple[Step, ...] = COLD) -> None:
    """Runs the steps in order; a machine that was sealed by an earlier run is only released.

    Input that is refused half-way (a damaged grain, a digest that does not hold) leaves nothing on the target. A
    machine that was brought down for a migration that then failed is switched on again.
    """
    try:
        _followed(work, itinerary)
    except (Stopped, Interrupted):
        raise
    except Exception:
        power.bring_back(work)
        raise


def _followed(work: Work, itinerary: tuple[Step, ...]) -> None:
    try:
        for step in itinerary:
            if work.already and step.phase is not Phase.RELEASE:
                continue
            work.observer.phase(step.phase)
            step.run(work)
    except InputRefused:
        if work.claim is not None and not work.claim.sealed:
            work.target.discard(work.claim)
            work.claim = None
        raise
