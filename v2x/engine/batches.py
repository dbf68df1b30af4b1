# SPDX-License-Identifier: Apache-2.0
"""Batches and their rows in the state database: what was submitted, where each row is, what came of it.

A row is `waiting`, `running` or `ended`. It runs under a slot for each of its keys and belongs to one worker; `attempt`
counts its starts. An ended row that failed or was stopped goes back to `waiting` when the batch is resumed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from v2x.engine import copies, gates, holds, slots, strain, tables, windows
from v2x.engine.interface import Order
from v2x.engine.memory import told_of
from v2x.errors import UsageError
from v2x.model.codec import from_json, to_json
from v2x.model.finding import Finding
from v2x.model.migration import DiskResult, Failure, GuestChange, Migration, Outcome, Phase
from v2x.model.plan import Endpoint

_rows = tables.rows


class State(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"


class Cancel(StrEnum):
    """What is wanted of a row: nothing, to end it, or to end it and leave what it has on the target.

    MISSED is no operator's wish: its window is over, and it is to let go of its source.
    """

    NO = ""
    DISCARD = "discard"
    KEEP = "keep"
    MISSED = gates.GIVEN_UP


@dataclass(frozen=True, slots=True, kw_only=True)
class Doorways:
    """The addresses that a batch's aliases stand for; secrets are referred to, never held."""

    sources: tuple[Endpoint, ...] = ()
    targets: tuple[Endpoint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One frozen plan that runs, or ran. `id` is the beginning of the plan's."""

    id: str
    plan_id: str
    plan_path: str
    created: datetime
    created_by: str
    doors: Doorways
    findings: tuple[Finding, ...] = ()
    tables: dict[str, str]
    paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A row that this worker is to run now."""

    batch: str
    id: str
    attempt: int


def id_of(plan_id: str) -> str:
    """The id that the batch of a plan has, or will have."""
    return plan_id[:12]


def add(connection: sa.Connection, batch: Batch, orders: Sequence[Order], weight: int = 1) -> int:
    """Stores a batch and those of its rows that are not there yet; what is there stays. Returns how many were new."""
    values = {
        "plan_path": batch.plan_path,
        "doors_json": document(batch.doors),
        "findings_json": document(batch.findings),
        "tables_json": document(batch.tables),
    }
    of = tables.batches
    if not connection.execute(of.update().where(of.c.id == batch.id).values(**values)).rowcount:
        made = {"plan_id": batch.plan_id, "created": batch.created.isoformat(), "created_by": batch.created_by}
        connection.execute(of.insert().values(id=batch.id, paused=batch.paused, **made, **values))
    known = set(connection.execute(sa.select(_rows.c.id).where(_rows.c.batch == batch.id)).scalars())
    new = [one for one in orders if one.id not in known]
    if new:
        fresh = [_fresh(batch.id, len(known) + seq, order, weight) for seq, order in enumerate(new)]
        connection.execute(_rows.insert(), fresh)
        gates.add(connection, batch.id, new)
    return len(new)


def _fresh(batch: str, seq: int, order: Order, weight: int) -> dict[str, Any]:
    return {
        "batch": batch,
        "id": order.id,
        "seq": seq,
        "wave": order.wave,
        "turn": order.turn,
        "size_bytes": order.size_bytes,
        "weight": weight,
        "keys_json": document(slots.keys_of(order)),
        "order_json": document(order),
        "state": State.WAITING,
        "attempt": 0,
        "worker": "",
        "cancel": Cancel.NO,
        "cutover": False,
        "due": "",
        "phase": Phase.WAITING,
        "outcome": Outcome.PENDING,
        "started": "",
        "finished": "",
        "vm_uuid": "",
        "failure_json": "",
        "warnings_json": "[]",
        "facts_json": "[]",
    }


def listed(connection: sa.Connection) -> tuple[Batch, ...]:
    """All batches, the newest first."""
    found = connection.execute(sa.select(tables.batches).order_by(tables.batches.c.created.desc()))
    return tuple(_batch(row) for row in found)


def get(connection: sa.Connection, batch: str) -> Batch:
    """The batch with exactly this id, which must be there."""
    return _batch(connection.execute(sa.select(tables.batches).where(tables.batches.c.id == batch)).one())


def _batch(row: Any) -> Batch:
    return Batch(
        id=row.id,
        plan_id=row.plan_id,
        plan_path=row.plan_path,
        created=datetime.fromisoformat(row.created),
        created_by=row.created_by,
        paused=row.paused,
        doors=from_json(row.doors_json, Doorways),
        findings=from_json(row.findings_json, tuple[Finding, ...]),
        tables=from_json(row.tables_json, dict[str, str]),
    )


def named(connection: sa.Connection, text: str = "") -> Batch:
    """The batch whose id begins with `text`, or that of a plan file; without a text, the newest. UsageError else."""
    known = listed(connection)
    if not known:
        raise UsageError("no batch has been run with this state", hint="v2x batch run PLAN.CSV begins one; see --state")
    path = str(Path(text).resolve())
    found = [one for one in known if one.id.startswith(text) or one.plan_path == path] if text else known[:1]
    if not found:
        ids = ", ".join(one.id for one in known[:10])
        raise UsageError(f"no batch {text}", hint=f"there are: {ids}")
    if len(found) > 1 and not any(one.plan_path == path for one in found):
        raise UsageError(f"{text} may be any of {', '.join(one.id for one in found[:10])}", hint="give more of the id")
    return found[0]


def order(connection: sa.Connection, batch: str, row: str) -> Order:
    wanted = sa.select(_rows.c.order_json).where(_rows.c.batch == batch, _rows.c.id == row)
    return from_json(connection.execute(wanted).scalar_one(), Order)


def migrations(connection: sa.Connection, batch: str, ids: Sequence[str] = ()) -> tuple[Migration, ...]:
    """The rows of a batch as migrations, in the order of the plan."""
    wanted = sa.select(_rows).where(_rows.c.batch == batch).order_by(_rows.c.seq)
    if ids:
        wanted = wanted.where(_rows.c.id.in_(ids))
    of = tables.disks
    results: dict[str, list[DiskResult]] = {}
    found = sa.select(of.c.row, of.c.result_json).where(of.c.batch == batch).order_by(of.c.row, of.c.position)
    for row, text in connection.execute(found):
        results.setdefault(row, []).append(from_json(text, DiskResult))
    tests, made = copies.of_batch(connection, batch), changes(connection, batch)
    return tuple(
        replace(
            _migration(row, tuple(results.get(row.id, ()))), tests=tests.get(row.id, ()), changes=made.get(row.id, ())
        )
        for row in connection.execute(wanted)
    )


def _migration(row: Any, results: tuple[DiskResult, ...]) -> Migration:
    ordered = from_json(row.order_json, Order)
    begun = begin(ordered)
    return replace(
        begun,
        phase=Phase(row.phase),
        outcome=Outcome(row.outcome),
        started=_time(row.started),
        finished=_time(row.finished),
        vm_uuid=row.vm_uuid,
        disks=results,
        failure=failure(row.failure_json),
        warnings=from_json(row.warnings_json, tuple[str, ...]),
        **told_of(from_json(row.facts_json, tuple[str, ...])),
    )


def failure(text: str) -> Failure | None:
    """As it is kept; None for an empty text."""
    return from_json(text, Failure) if text else None


def begin(ordered: Order) -> Migration:
    """The migration of an order before anything was done."""
    return Migration(
        id=ordered.id,
        machine_id=ordered.machine.id,
        machine_name=ordered.machine.name,
        target_name=ordered.spec.name,
        source=ordered.source,
        target=ordered.target,
        machine=ordered.spec,
        change=ordered.row.change if ordered.row else "",
        approved_by=ordered.row.approved_by if ordered.row else "",
        checks=ordered.row.checks if ordered.row else "",
    )


def update(connection: sa.Connection, batch: str, row: str, **values: Any) -> None:
    connection.execute(_rows.update().where(_rows.c.batch == batch, _rows.c.id == row).values(**values))


def warn(connection: sa.Connection, batch: str, row: str, text: str) -> None:
    wanted = sa.select(_rows.c.warnings_json).where(_rows.c.batch == batch, _rows.c.id == row)
    known = from_json(connection.execute(wanted).scalar_one(), tuple[str, ...])
    if text not in known:
        update(connection, batch, row, warnings_json=document((*known, text)))


def disk_results(connection: sa.Connection, batch: str, row: str) -> tuple[DiskResult, ...]:
    """What is kept of a row's disks."""
    of = tables.disks
    wanted = sa.select(of.c.result_json).where(of.c.batch == batch, of.c.row == row).order_by(of.c.position)
    return tuple(from_json(text, DiskResult) for text in connection.execute(wanted).scalars())


def facts(connection: sa.Connection, batch: str, row: str) -> tuple[str, ...]:
    """What attempts at a row have to remember."""
    wanted = sa.select(_rows.c.facts_json).where(_rows.c.batch == batch, _rows.c.id == row)
    return from_json(connection.execute(wanted).scalar_one(), tuple[str, ...])


def remember(connection: sa.Connection, batch: str, row: str, fact: str, instead_of: str = "") -> None:
    """Adds a fact, in the place of those that begin with `instead_of`."""
    known = facts(connection, batch, row)
    kept = tuple(one for one in known if not instead_of or not one.startswith(instead_of))
    if fact and fact not in kept:
        kept = (*kept, fact)
    if kept != known:
        update(connection, batch, row, facts_json=document(kept))


def keep_disks(connection: sa.Connection, batch: str, row: str, results: Iterable[DiskResult]) -> None:
    """The results of a row's disks in place of those that were kept before."""
    of = tables.disks
    results = tuple(results)
    windows.measured(connection, batch, row, results)
    connection.execute(of.delete().where(of.c.batch == batch, of.c.row == row))
    fresh = [
        {"batch": batch, "row": row, "position": position, "result_json": document(result)}
        for position, result in enumerate(results)
    ]
    if fresh:
        connection.execute(of.insert(), fresh)


def changes(connection: sa.Connection, batch: str) -> dict[str, tuple[GuestChange, ...]]:
    """What was changed inside the guests of a batch, by row."""
    of = tables.changes
    found = connection.execute(sa.select(of.c.row, of.c.changes_json).where(of.c.batch == batch))
    return {row: from_json(text, tuple[GuestChange, ...]) for row, text in found}


def keep_changes(connection: sa.Connection, batch: str, row: str, made: tuple[GuestChange, ...]) -> None:
    """What the last conversion of a row's guest changed, in place of what one before it did."""
    of = tables.changes
    connection.execute(of.delete().where(of.c.batch == batch, of.c.row == row))
    if made:
        connection.execute(of.insert().values(batch=batch, row=row, changes_json=document(made)))


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


def _time(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def document(value: object) -> str:
    """One JSON document as text."""
    return to_json(value).decode()
