# SPDX-License-Identifier: Apache-2.0
"""Rows of a batch that is run again: what their sources tell now, and those that are not as the plan has them."""

from collections.abc import Iterable, Mapping
from datetime import datetime

import sqlalchemy as sa

from v2x.engine import batches, slots, tables, windows
from v2x.engine.batches import State
from v2x.engine.interface import Order
from v2x.engine.memory import WAS_ON
from v2x.model.migration import Failure, Outcome

_rows = tables.rows
_THROUGH = (Outcome.MIGRATED, Outcome.ALREADY, Outcome.ROLLED_BACK, Outcome.CANCELLED)


def _idle(batch: str) -> "sa.ColumnElement[bool]":
    return (_rows.c.batch == batch) & (_rows.c.state != State.RUNNING) & _rows.c.outcome.not_in(_THROUGH)


def renew(connection: sa.Connection, batch: str, orders: Iterable[Order]) -> None:
    """Gives rows that do not run and are not through the machines as they were listed now.

    One that was begun keeps its order where its disks are others: those on the target are of the old ones.
    """
    wanted = {order.id: order for order in orders}
    found = connection.execute(sa.select(_rows.c.id, _rows.c.vm_uuid, _rows.c.order_json).where(_idle(batch))).all()
    for row in found:
        order = wanted.get(row.id)
        if order is None or row.order_json == batches.document(order):
            continue
        if row.vm_uuid and _disks(batches.order(connection, batch, row.id)) != _disks(order):
            continue
        values = {
            "order_json": batches.document(order),
            "size_bytes": order.size_bytes,
            "keys_json": batches.document(slots.keys_of(order)),
        }
        batches.update(connection, batch, row.id, **values)
        windows.renew(connection, batch, order)


def _disks(order: Order) -> list[tuple[str, int]]:
    return [(disk.id, disk.capacity_bytes) for disk in order.machine.disks]


def block(connection: sa.Connection, batch: str, why: Mapping[str, Failure], now: datetime) -> list[str]:
    """Ends rows whose machines are not as the plan has them; the ids of those that were not ended so before.

    One that is out of service goes on: its source waits for it.
    """
    wanted = _idle(batch) & _rows.c.id.in_(list(why))
    rows = connection.execute(sa.select(_rows.c.id, _rows.c.facts_json, _rows.c.outcome).where(wanted)).all()
    new = []
    for row in rows:
        if f'"{WAS_ON}"' in row.facts_json:
            continue
        values = {
            "state": State.ENDED,
            "outcome": Outcome.BLOCKED,
            "finished": now.isoformat(),
            "due": "",
            "failure_json": batches.document(why[row.id]),
        }
        batches.update(connection, batch, row.id, **values)
        if row.outcome != Outcome.BLOCKED:
            new.append(row.id)
    return new


def give_way(connection: sa.Connection, batch: str, now: datetime) -> list[str]:
    """Ends what is open of a batch whose plan another one takes the place of; what it has on the target stays."""
    open_rows = (_rows.c.batch == batch) & (_rows.c.state != State.ENDED)
    ids = list(connection.execute(sa.select(_rows.c.id).where(open_rows)).scalars())
    failure = Failure(
        code="PLAN-REPLACED",
        message="an edited plan took the place of this batch",
        hint="the batch of that plan goes on with what this machine has on the target",
        exit_code=4,
    )
    values = {
        "state": State.ENDED,
        "outcome": Outcome.SKIPPED,
        "finished": now.isoformat(),
        "due": "",
        "failure_json": batches.document(failure),
    }
    for one in ids:
        slots.give_back(connection, one)
        batches.update(connection, batch, one, **values)
    return ids
