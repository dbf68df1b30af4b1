# SPDX-License-Identifier: Apache-2.0
"""Batches and their rows in the state database: what was submitted, where each row is, what came of it.

A row is `waiting`, `running` or `ended`. It runs under a slot for each of its keys and belongs to one worker; `attempt`
counts its starts. An ended row that failed or was stopped goes back to `waiting` when the batch is resumed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from v2x.engine import copies, gates, slots, tables, windows
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


def _time(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def document(value: object) -> str:
    """One JSON document as text."""
    return to_json(value).decode()
