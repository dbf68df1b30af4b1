# SPDX-License-Identifier: Apache-2.0
"""Cutovers at a time: rows that were told to be cut over, but not before a moment."""

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from v2x.engine import tables

_appointed = tables.appointed


def appoint(connection: sa.Connection, batch: str, rows: Iterable[str], at: datetime | None) -> None:
    """Sets the moment of these rows; None is now, whatever was said before."""
    for row in rows:
        connection.execute(_appointed.delete().where(_appointed.c.batch == batch, _appointed.c.row == row))
        if at is not None:
            connection.execute(_appointed.insert().values(batch=batch, row=row, at=at.isoformat()))


def held(connection: sa.Connection, batch: str, now: datetime) -> dict[str, str]:
    """Rows whose moment is to come, with what to say of it."""
    wanted = sa.select(_appointed.c.row, _appointed.c.at).where(_appointed.c.batch == batch)
    moments = {row: datetime.fromisoformat(at) for row, at in connection.execute(wanted)}
    return {row: f"its cutover at {at:%Y-%m-%d %H:%M} UTC" for row, at in moments.items() if at > now}
