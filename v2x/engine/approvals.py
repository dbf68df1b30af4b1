# SPDX-License-Identifier: Apache-2.0
"""Approvals in the state database, and which rows of a batch still wait for one.

An approval names a plan by its whole id and may be there before the batch is: an edited plan has another id, so that
nothing that was said of the old one counts for it. Each stands in the chained log too, under the same number.
"""

import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from v2x.engine import tables
from v2x.engine.begun import has_begun
from v2x.engine.interface import Order
from v2x.model.approval import Approval, in_force
from v2x.model.codec import from_json, to_json

_rows, _unapproved, _terms = tables.rows, tables.unapproved, tables.terms


def require(connection: sa.Connection, batch: str, *, wanted: bool) -> None:
    """Keeps with the batch that its rows need an approval, if that is `wanted` or was so before; it is never lifted.

    All rows that the batch has by now are meant.
    """
    if not is_required(connection, batch):
        if not wanted:
            return
        changed = connection.execute(_terms.update().where(_terms.c.batch == batch).values(approval=True)).rowcount
        if not changed:
            connection.execute(_terms.insert().values(batch=batch, approval=True, pace_bytes=0))
    known = sa.select(_unapproved.c.row).where(_unapproved.c.batch == batch)
    fresh = sa.select(_rows.c.order_json).where(_rows.c.batch == batch, _rows.c.id.not_in(known))
    new = [_values(batch, from_json(text, Order)) for text in connection.execute(fresh).scalars()]
    if new:
        connection.execute(_unapproved.insert(), new)


def _values(batch: str, order: Order) -> dict[str, object]:
    return {
        "batch": batch,
        "row": order.id,
        "wave": order.wave,
        "source": order.source,
        "machine_id": order.machine.id,
        "machine_name": order.machine.name,
        "for_cutover": order.warm,
    }


def is_required(connection: sa.Connection, batch: str) -> bool:
    found = connection.execute(sa.select(_terms.c.approval).where(_terms.c.batch == batch)).scalar_one_or_none()
    return bool(found)


def add(connection: sa.Connection, approval: Approval) -> None:
    values = {"number": approval.number, "plan_id": approval.plan_id, "approval_json": to_json(approval).decode()}
    connection.execute(tables.approvals.insert().values(**values))


def said(connection: sa.Connection, plan_id: str) -> tuple[Approval, ...]:
    """What was said of a plan, the oldest first."""
    of = tables.approvals
    wanted = sa.select(of.c.approval_json).where(of.c.plan_id == plan_id).order_by(of.c.number)
    return tuple(from_json(text, Approval) for text in connection.execute(wanted).scalars())


@dataclass(frozen=True, slots=True)
class Unapproved:
    """Rows without an approval and the command that gives it, by id: that may not start, and not be cut over."""

    start: Mapping[str, str] = field(default_factory=dict)
    cutover: Mapping[str, str] = field(default_factory=dict)


def missing(connection: sa.Connection, batch: str) -> Unapproved:
    """What of a batch waits for an approval. A cold row's start is its outage; one that has begun goes on."""
    joined = _unapproved.join(_rows, (_rows.c.batch == _unapproved.c.batch) & (_rows.c.id == _unapproved.c.row))
    open_rows = (_unapproved.c.batch == batch) & (_rows.c.state != "ended")
    wanted = sa.select(_unapproved, _rows.c.vm_uuid, _rows.c.facts_json).select_from(joined).where(open_rows)
    rows = connection.execute(wanted).all()
    if not rows:
        return Unapproved()
    of = tables.batches
    known = said(connection, connection.execute(sa.select(of.c.plan_id).where(of.c.id == batch)).scalar_one())
    names = Counter(row.machine_name for row in rows)
    start: dict[str, str] = {}
    cutover: dict[str, str] = {}
    for row in rows:
        if in_force(row, known) is not None:
            continue
        if not has_begun(row.facts_json, row.vm_uuid, warm=row.for_cutover):
            name = row.machine_name if names[row.machine_name] == 1 else row.machine_id
            command = f"v2x batch approve {batch} --machine {shlex.quote(name)} --by NAME"
            (cutover if row.for_cutover else start)[row.row] = f"approval: {command}"
    return Unapproved(start, cutover)
