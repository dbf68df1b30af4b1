# SPDX-License-Identifier: Apache-2.0
"""How long each phase of a machine took, from the events of its way."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from v2x.engine.interface import Event
from v2x.model.migration import Migration, Phase, PhaseTime

_PHASE, _OUTCOME = "phase", "outcome"


def phases_of(events: Iterable[Event]) -> dict[str, tuple[PhaseTime, ...]]:
    """The phases of each migration; one that is not over yet, or whose program was killed, counts up to what came next.

    Events are in their order; those of other kinds, and between attempts, count for nothing.
    """
    found: dict[str, dict[Phase, PhaseTime]] = {}
    at: dict[str, tuple[Phase, datetime]] = {}
    for event in events:
        if event.kind not in {_PHASE, _OUTCOME} or not event.migration:
            continue
        known = found.setdefault(event.migration, {})
        phase, began = at.pop(event.migration, (None, event.time))
        if phase is not None:
            seconds = max(0.0, (event.time - began).total_seconds())
            known[phase] = replace(known[phase], seconds=known[phase].seconds + seconds)
        if event.kind == _PHASE and event.text in set(Phase):
            now = Phase(event.text)
            at[event.migration] = (now, event.time)
            before = known.get(now)
            again = replace(before, times=before.times + 1) if before else None
            known[now] = again or PhaseTime(phase=now, began=event.time, seconds=0.0)
    return {migration: tuple(known.values()) for migration, known in found.items()}


def timed(migrations: Iterable[Migration], events: Iterable[Event]) -> Sequence[Migration]:
    """The migrations with their phases."""
    phases = phases_of(events)
    return tuple(replace(one, phases=phases.get(one.id, ())) for one in migrations)
