# SPDX-License-Identifier: Apache-2.0
"""Itineraries: the order of steps, as data."""

from collections.abc import Callable
from typing import NamedTuple

from v2x.migrate import health, marking, steps, warm
from v2x.migrate.work import Next, Work
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
    Step(Phase.RECORD, health.record),
    Step(Phase.CHECKPOINT, steps.checkpoint, steps.checkpoint),
    Step(Phase.CLAIM, steps.claim, steps.claim),
    Step(Phase.COPY, steps.copy),
    Step(Phase.INTEGRITY, steps.integrity),
    Step(Phase.SEAL, steps.seal),
    Step(Phase.START, steps.start),
    Step(Phase.RELEASE, steps.release),
    Step(Phase.HEALTH, health.check),
    Step(Phase.MARK, marking.mark),
)

WARM: tuple[Step, ...] = (
    Step(Phase.PREFLIGHT, steps.preflight),
    Step(Phase.TRACK, warm.track),
    Step(Phase.SYNC, warm.sync, warm.look_up, warm.next_pass),
    Step(Phase.RECORD, health.record),
    Step(Phase.SHUTDOWN, warm.shut_down),
    Step(Phase.LAST_SYNC, warm.last_sync),
    Step(Phase.VERIFY, warm.verify),
    Step(Phase.SEAL, steps.seal),
    Step(Phase.START, steps.start),
    Step(Phase.RELEASE, warm.finish),
    Step(Phase.HEALTH, health.check),
    Step(Phase.MARK, marking.mark),
)
