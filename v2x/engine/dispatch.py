# SPDX-License-Identifier: Apache-2.0
"""Which rows of a state database are worked on, by whom, and what is wanted of them meanwhile."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from v2x.engine import gates, holds, slots, strain, tables
from v2x.engine.batches import Cancel, State, update
from v2x.engine.interface import Order
from v2x.model.codec import from_json
from v2x.model.migration import Outcome

_rows = tables.rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A row that this worker is to run now."""

    batch: str
    id: str
    attempt: int


def claim(connection: sa.Connection, worker: str, room: int, now: datetime, only: str = "") -> list[Claimed]:
    """Takes up to `room` rows that may start now, with their slots, for `worker`; in one exclusive transaction.

    With `only`, those of that batch.

    Rows of a wave and turn start when those of the ones before have ended, or are ready for their cutover, whatever
    came of them; the largest first. One that waits for its next pass starts when that is due by `now` (UTC).
    """
    if room <= 0:
        return []
    used, limits = slots.used_slots(connection), strain.lowered(connection, slots.read_limits(connection), now)
    # A machine that stands in two batches runs in one of them at a time.
    busy = set(connection.execute(sa.select(_rows.c.id).where(_rows.c.state == State.RUNNING)).scalars())
    busy |= holds.held(connection, now)
    claimed = _ending(connection, worker, room, busy, only)
    for batch in _going_on(connection, only):
        for row in _next(connection, batch, now):
            keys = tuple(from_json(row.keys_json, list[str]))
            if len(claimed) == room or row.id in busy or not slots.fits(keys, row.weight, used, limits):
                continue
            busy.add(row.id)
            slots.take(connection, keys, row.id, row.weight)
            used.update(dict.fromkeys(keys, row.weight))
            attempt = row.attempt + 1
            update(connection, batch, row.id, state=State.RUNNING, worker=worker, attempt=attempt)
            claimed.append(Claimed(batch=batch, id=row.id, attempt=attempt))
    return claimed


def skip(connection: sa.Connection, now: datetime, only: str = "") -> list[gates.Skipped]:
    """Ends rows of batches that go on whose wait cannot end any more."""
    return [one for batch in _going_on(connection, only) for one in gates.skip(connection, batch, now)]


def _going_on(connection: sa.Connection, only: str) -> Sequence[str]:
    """The batches that are not paused, the oldest first; with `only` none but that one."""
    wanted = sa.select(tables.batches.c.id).where(~tables.batches.c.paused).order_by(tables.batches.c.created)
    return connection.execute(wanted.where(tables.batches.c.id == only) if only else wanted).scalars().all()


def _ending(connection: sa.Connection, worker: str, room: int, busy: set[str], only: str) -> list[Claimed]:
    """Rows that were cancelled while they waited: they only clear away, so no limit and no turn keeps them."""
    wanted = sa.select(_rows.c.batch, _rows.c.id, _rows.c.keys_json, _rows.c.attempt).where(
        _rows.c.state == State.WAITING, _rows.c.cancel != Cancel.NO
    )
    wanted = wanted.where(_rows.c.batch == only) if only else wanted
    claimed = []
    for row in connection.execute(wanted.limit(room)).all():
        if row.id in busy:
            continue
        busy.add(row.id)
        update(connection, row.batch, row.id, state=State.RUNNING, worker=worker, attempt=row.attempt + 1)
        claimed.append(Claimed(batch=row.batch, id=row.id, attempt=row.attempt + 1))
    return claimed


def _next(connection: sa.Connection, batch: str, moment: datetime) -> Sequence[Any]:
    now = moment.isoformat()
    is_ready = (_rows.c.outcome == Outcome.READY) | (_rows.c.due != "")
    open_rows = (_rows.c.batch == batch) & (_rows.c.state != State.ENDED) & ~is_ready
    first = connection.execute(
        sa.select(_rows.c.wave, _rows.c.turn).where(open_rows).order_by(_rows.c.wave, _rows.c.turn).limit(1)
    ).first()
    startable = is_ready & ((_rows.c.due <= now) | _rows.c.cutover)
    if first is not None:
        startable |= ~is_ready & (_rows.c.wave == first.wave) & (_rows.c.turn == first.turn)
    of = _rows.c
    wanted = sa.select(of.id, of.keys_json, of.weight, of.attempt, of.outcome, of.due, of.cutover).where(
        _rows.c.batch == batch, _rows.c.state == State.WAITING, _rows.c.cancel == Cancel.NO, startable
    )
    ordered = wanted.order_by(of.cutover.desc(), of.size_bytes.desc(), of.seq)
    held = gates.held(connection, batch, moment)

    def is_free(row: Any) -> bool:
        waits = row.outcome == Outcome.READY or row.due
        return row.id not in held.start and not (waits and row.id in held.cutover and row.due > now)

    return [row for row in connection.execute(ordered) if is_free(row)]


def again(
    connection: sa.Connection,
    batch: str,
    outcomes: Iterable[Outcome],
    ids: Sequence[str] = (),
    besides: Iterable[str] = (),
) -> int:
    """Lets ended rows with one of these outcomes wait for another attempt, `besides` those; returns how many."""
    wanted = (_rows.c.batch == batch) & (_rows.c.state == State.ENDED) & _rows.c.outcome.in_(list(outcomes))
    if ids:
        wanted &= _rows.c.id.in_(ids)
    wanted &= _rows.c.id.not_in(list(besides))
    fresh = {"state": State.WAITING, "outcome": Outcome.PENDING, "failure_json": "", "finished": "", "cancel": ""}
    return connection.execute(_rows.update().where(wanted).values(**fresh)).rowcount


def unfinished(connection: sa.Connection, batch: str = "") -> dict[str, int]:
    """How many rows are waiting and running, of one batch or of all that are not paused."""
    wanted = sa.select(_rows.c.state, sa.func.count()).where(_rows.c.state != State.ENDED).group_by(_rows.c.state)
    if batch:
        wanted = wanted.where(_rows.c.batch == batch)
    else:
        paused = sa.select(tables.batches.c.id).where(tables.batches.c.paused)
        wanted = wanted.where(_rows.c.batch.not_in(paused) | (_rows.c.cancel != Cancel.NO))
    return {state: int(count) for state, count in connection.execute(wanted)}


def running(connection: sa.Connection, worker: str) -> dict[tuple[str, str], int]:
    """The rows that belong to `worker`, with their attempt."""
    wanted = sa.select(_rows.c.batch, _rows.c.id, _rows.c.attempt).where(
        _rows.c.worker == worker, _rows.c.state == State.RUNNING
    )
    return {(batch, row): attempt for batch, row, attempt in connection.execute(wanted)}


def running_orders(connection: sa.Connection, target: str) -> list[Order]:
    """What goes to `target` now, of all batches and workers."""
    wanted = sa.select(_rows.c.order_json).where(_rows.c.state == State.RUNNING)
    orders = [from_json(text, Order) for text in connection.execute(wanted).scalars()]
    return [one for one in orders if one.target == target]


def machines_to_come(connection: sa.Connection, batch: str, source: str) -> set[str]:
    """The ids, as `source` knows them, of the machines of a batch that are not through."""
    wanted = sa.select(_rows.c.order_json).where(_rows.c.batch == batch, _rows.c.state != State.ENDED)
    orders = (from_json(text, Order) for text in connection.execute(wanted).scalars())
    return {one.machine.id for one in orders if one.source == source}


def wishes(connection: sa.Connection, worker: str) -> Mapping[tuple[str, str], Cancel]:
    """Rows of `worker` that were cancelled, and those of paused batches (as Cancel.NO)."""
    joined = _rows.join(tables.batches, tables.batches.c.id == _rows.c.batch)
    wanted = sa.select(_rows.c.batch, _rows.c.id, _rows.c.cancel).select_from(joined)
    wanted = wanted.where(
        _rows.c.worker == worker, _rows.c.state == State.RUNNING, (_rows.c.cancel != "") | tables.batches.c.paused
    )
    return {(batch, row): Cancel(cancel) for batch, row, cancel in connection.execute(wanted)}


def cutovers(connection: sa.Connection, worker: str, now: datetime) -> set[tuple[str, str]]:
    """Rows of `worker` that are to be cut over, as far as nothing holds that at `now`."""
    wanted = sa.select(_rows.c.batch, _rows.c.id).where(
        _rows.c.worker == worker, _rows.c.state == State.RUNNING, _rows.c.cutover
    )
    found = {(batch, row) for batch, row in connection.execute(wanted)}
    held = {batch: gates.held(connection, batch, now).cutover for batch in {batch for batch, _ in found}}
    return {(batch, row) for batch, row in found if row not in held[batch]}
