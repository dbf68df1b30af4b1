# SPDX-License-Identifier: Apache-2.0
"""What a row's outage is foretold from: what other machines of its batch needed, and who is cut over with it."""

import sqlalchemy as sa

from v2x.engine import tables
from v2x.engine.batches import State
from v2x.engine.memory import OUTAGE, recalled
from v2x.migrate.outage import history_of
from v2x.model.codec import from_json
from v2x.model.migration import Outcome
from v2x.model.outage import History, Outage

_LAST = 50
_rows = tables.rows


def history(connection: sa.Connection, batch: str) -> History:
    """Of the machines that were cut over last."""
    wanted = sa.select(_rows.c.facts_json).where(
        _rows.c.batch == batch, _rows.c.state == State.ENDED, _rows.c.outcome == Outcome.MIGRATED
    )
    found = connection.execute(wanted.order_by(_rows.c.finished.desc()).limit(_LAST)).scalars()
    told = (recalled(from_json(text, tuple[str, ...]), OUTAGE, Outage) for text in found if OUTAGE in text)
    return history_of(one for one in told if one is not None)


def to_cut_over(connection: sa.Connection, batch: str, wave: int) -> int:
    """How many rows of a wave were told to be cut over, and have not ended."""
    of = _rows.c
    wanted = sa.select(sa.func.count()).where(of.batch == batch, of.wave == wave, of.state != State.ENDED, of.cutover)
    return int(connection.execute(wanted).scalar_one())
