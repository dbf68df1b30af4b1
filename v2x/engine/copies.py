# SPDX-License-Identifier: Apache-2.0
"""The test copies of a batch's machines in the state database: what was made, until when, what was last seen of it.

For showing and for the log. What there really is stands on the target.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa

from v2x.engine import tables
from v2x.model.codec import from_json, to_json
from v2x.model.rehearsal import Rehearsal

_of = tables.tests


def keep(connection: sa.Connection, batch: str, row: str, copy: Rehearsal, now: datetime) -> None:
    """Writes what is known of a copy now, in place of what was known of it before."""
    mine = (_of.c.batch == batch) & (_of.c.row == row) & (_of.c.vm == copy.vm)
    connection.execute(_of.delete().where(mine))
    ended = copy.ended.isoformat() if copy.ended else ""
    text = to_json(copy).decode()
    values = {"batch": batch, "row": row, "vm": copy.vm, "ended": ended, "looked": now.isoformat(), "copy_json": text}
    connection.execute(_of.insert().values(**values))


def holder(row: str) -> str:
    """Under which name room is promised to the copy of a row."""
    return f"test {row}"


def end(connection: sa.Connection, batch: str, row: str, now: datetime) -> None:
    """The row has no copy any more, and room is promised to none."""
    connection.execute(tables.promises.delete().where(tables.promises.c.holder == holder(row)))
    for copy in of_batch(connection, batch).get(row, ()):
        if copy.ended is None:
            keep(connection, batch, row, replace(copy, ended=now, state="", addresses=()), now)


def of_batch(connection: sa.Connection, batch: str) -> dict[str, tuple[Rehearsal, ...]]:
    """All copies that rows of a batch ever had, the oldest first."""
    found: dict[str, list[Rehearsal]] = {}
    for row, text in connection.execute(sa.select(_of.c.row, _of.c.copy_json).where(_of.c.batch == batch)):
        found.setdefault(row, []).append(from_json(text, Rehearsal))
    return {row: tuple(sorted(held, key=lambda one: str(one.made))) for row, held in found.items()}


def open_rows(connection: sa.Connection, batch: str) -> dict[str, Rehearsal]:
    """The rows of a batch that have a copy now."""
    held = of_batch(connection, batch)
    return {row: one for row, found in held.items() for one in found if one.ended is None}


def due(connection: sa.Connection, before: datetime, now: datetime) -> Collection[str]:
    """Batches with copies that nobody looked at since `before`; taken as looked at `now`, so that one worker does."""
    unseen = (_of.c.ended == "") & (_of.c.looked < before.isoformat())
    found = set(connection.execute(sa.select(_of.c.batch).where(unseen)).scalars())
    if found:
        connection.execute(_of.update().where(unseen).values(looked=now.isoformat()))
    return found
