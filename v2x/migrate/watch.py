# SPDX-License-Identifier: Apache-2.0
"""Watches what an open snapshot costs its source: the room left on its datastores, and its age.

Looked at by time while blocks go by. A limit that is crossed ends the pass; its snapshot is let go of like that of any
other, and the pass goes on from a new one, which resends what changed of what was sent before.
"""

import math

from v2x.errors import AccessError, Blocked, SourceError
from v2x.migrate.backup_wait import let_go
from v2x.migrate.work import Work
from v2x.model.units import show_bytes
from v2x.sources.interface import Strain, WatchesSnapshots

CODE = "SNAPSHOT-ROOM"
LEAST_PROGRESS = 3
"""So many snapshots of one pass may be let go of in a row without a disk having come further."""


class LimitCrossed(SourceError):
    """The snapshot has to go before the pass is done."""

    code = "SNAPSHOT-LIMIT"


class Watch:
    """Called for each block; true where the copy is to stop. LimitCrossed where the snapshot has to go."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._due = -math.inf
        self._blind = False

    def __call__(self) -> bool:
        if self._work.clock() >= self._due:
            self._look()
            self._due = self._work.clock() + self._work.look_seconds
        return self._work.stopping()

    def _look(self) -> None:
        work, limits = self._work, self._work.limits
        found = self._strain()
        if found is None:
            return
        if is_short(work, found):
            raise LimitCrossed(f"{room(found)}, less than {limits.least_free_percent:g} %")
        if limits.snapshot_seconds and found.age_seconds > limits.snapshot_seconds:
            hours = limits.snapshot_seconds / 3600
            raise LimitCrossed(f"the snapshot of {work.machine.name} is older than {hours:g} hours")

    def _strain(self) -> Strain | None:
        found, why = strain_of(self._work)
        if why and not self._blind:
            self._work.observer.warning(why)
            self._blind = True
        return found


def strain_of(work: Work) -> tuple[Strain | None, str]:
    """What the source tells, or why it does not. A look that fails breaks no copy: what it reads from may be well."""
    if not isinstance(work.source, WatchesSnapshots):
        return None, ""
    try:
        return work.source.strain(work.machine, work.tag), ""
    except (AccessError, SourceError) as problem:
        return None, f"{work.machine.name}: the room on its datastores cannot be watched: {problem.message}"


def is_short(work: Work, found: Strain) -> bool:
    return found.free_bytes * 100 < work.limits.least_free_percent * found.capacity_bytes


def room(found: Strain) -> str:
    share = 100 * found.free_bytes / found.capacity_bytes
    return f"the datastore {found.datastore} has {show_bytes(found.free_bytes)} ({share:.3g} %) free"


def refuse_full(work: Work) -> None:
    """Blocked where a datastore has no room for a snapshot of a machine that runs; none is left there then."""
    found, _ = strain_of(work)
    if found is None or not is_short(work, found):
        return
    # One that a killed run left is part of the trouble.
    let_go(work)
    found, _ = strain_of(work)
    if found is not None and is_short(work, found):
        raise Blocked(
            f"{work.machine.name}: {room(found)}, and a snapshot takes more; {work.limits.least_free_percent:g} % have "
            "to be free",
            code=CODE,
            hint="make room there, or lower --datastore-floor; the same command continues",
        )


class Crossings:
    """Tells a pass that comes further with each snapshot from one that never will."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._reached = -1
        self._idle = 0

    def crossed(self, problem: LimitCrossed) -> None:
        """Tells of it, and raises Blocked where no snapshot has helped."""
        found = self._work.target.find(self._work.tag)
        reached = sum(disk.mark_bytes for disk in found.disks) if found is not None else 0
        self._idle = 0 if reached > self._reached else self._idle + 1
        self._reached = max(reached, self._reached)
        if self._idle >= LEAST_PROGRESS:
            raise Blocked(
                f"{self._work.machine.name}: {problem.message}, {self._idle + 1} times in one pass without getting on",
                code=CODE,
                hint="allow more (--snapshot-hours, --datastore-floor) or make room; the same command continues",
            )
        self._work.observer.warning(f"{problem.message}; it is removed, and the pass goes on from a new one")
