# SPDX-License-Identifier: Apache-2.0
"""What keeps rows from starting besides turns and slots: rows that come before, windows, approvals, partners.

A cold row waits with its start; a warm one is copied meanwhile and waits with its cutover. A row whose wait cannot end
any more is skipped, so that the batch comes to its end.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from v2x.engine import appointed, approvals, tables, windows
from v2x.engine.interface import Order
from v2x.model.codec import to_json
from v2x.model.migration import Failure, Outcome, Phase

_rows, _needs, _partners = tables.rows, tables.needs, tables.partners
_THROUGH = (Outcome.MIGRATED, Outcome.ALREADY)
_ENDED, _WAITING, _RUNNING = "ended", "waiting", "running"
GIVEN_UP = "missed"
"""What stands in `cancel` of a row that missed its window and is to let go of its source."""
_OUTAGE = (
    Phase.SHUTDOWN, Phase.LAST_SYNC, Phase.CONVERT, Phase.VERIFY, Phase.SEAL, Phase.START, Phase.RELEASE, Phase.HEALTH
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Held:
    """Why rows are held, by id: `start` those that may not start, `cutover` those that may not be cut over.

    `unapproved` are those of the latter that wait for an approval.
    """

    start: Mapping[str, str] = field(default_factory=dict)
    cutover: Mapping[str, str] = field(default_factory=dict)
    unapproved: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A row that was given up, and why."""

    batch: str
    row: str
    outcome: Outcome
    failure: Failure


def add(connection: sa.Connection, batch: str, orders: Iterable[Order]) -> None:
    """Keeps what these orders wait for."""
    orders = tuple(orders)
    windows.add(connection, batch, orders)
    needs, partners = [], []
    for order in orders:
        partners += [
            {"batch": batch, "row": order.id, "team": team, "name": order.machine.name, "warm": order.warm}
            for team in dict.fromkeys(order.apart)
        ]
        needs += [
            {"batch": batch, "row": order.id, "needs": other, "name": name, "for_cutover": order.warm}
            for other, name in dict(order.after).items()
        ]
    if needs:
        connection.execute(_needs.insert(), needs)
    if partners:
        connection.execute(_partners.insert(), partners)


def held(connection: sa.Connection, batch: str, now: datetime) -> Held:
    """The rows of a batch that have to wait at `now`, with what for."""
    start: dict[str, str] = {}
    cutover: dict[str, str] = {}
    for row in connection.execute(_unmet(batch)):
        (cutover if row.for_cutover else start).setdefault(row.row, f"{row.name} to be through")
    for one, (for_cutover, look) in windows.looks(connection, batch, now).items():
        (cutover if for_cutover else start)[one] = look.why
    cutover = {**appointed.held(connection, batch, now), **cutover}
    unapproved = approvals.missing(connection, batch)
    start.update(unapproved.start)
    cutover.update(unapproved.cutover)
    return Held(start, {**_behind_partners(connection, batch, cutover), **cutover}, unapproved.cutover)


def _behind_partners(connection: sa.Connection, batch: str, held: Mapping[str, str]) -> dict[str, str]:
    """Warm rows whose partner is out of service now, or goes first: of those told to, the first of the plan."""
    of = _rows.c
    joined = _partners.join(_rows, (of.batch == _partners.c.batch) & (of.id == _partners.c.row))
    told = (of.state == _RUNNING) | ((of.state == _WAITING) & of.cutover)
    wanted = sa.select(_partners, of.state, of.phase, of.cutover).select_from(joined)
    rows = connection.execute(wanted.where(_partners.c.batch == batch, told).order_by(of.seq)).all()
    out = [row for row in rows if row.state == _RUNNING and (not row.warm or row.phase in _OUTAGE)]
    first = [row for row in rows if row.state == _RUNNING and row.cutover and row.row not in held]
    taken: dict[str, tuple[str, str]] = {}
    for row in (*out, *first):
        # Who waits for a partner of one team keeps none from going in another.
        mine = [one.team for one in rows if one.row == row.row]
        if row in out or all(taken.get(team, (row.row, ""))[0] == row.row for team in mine):
            taken.setdefault(row.team, (row.row, row.name))
    found = {}
    for row in rows:
        holder, name = taken.get(row.team, (row.row, ""))
        if row.warm and holder != row.row and row not in out:
            found[row.row] = f"its partner {name} to be through"
    return found


def _unmet(batch: str) -> sa.Select[tuple[str, bool, str, str, str]]:
    other = _rows.alias("other")
    joined = _needs.join(other, (other.c.batch == _needs.c.batch) & (other.c.id == _needs.c.needs))
    return (
        sa.select(
            _needs.c.row,
            _needs.c.for_cutover,
            _needs.c.name,
            other.c.state,
            other.c.outcome,
        )
        .select_from(joined)
        .where(_needs.c.batch == batch, other.c.outcome.not_in(_THROUGH))
    )


def skip(connection: sa.Connection, batch: str, now: datetime) -> list[Skipped]:
    """Ends the waiting rows of a batch whose wait cannot end any more; called again until none is left.

    One that missed its window and was begun before is left to a worker, which lets go of its source first.
    """
    missed = windows.missed(connection, batch, now)
    found = {**missed, **_hopeless(connection, batch)}
    if not found:
        return []
    of_batch = (_rows.c.batch == batch) & (_rows.c.state == _WAITING) & (_rows.c.cancel == "")
    attempts = {
        row.id: row.attempt for row in connection.execute(sa.select(_rows.c.id, _rows.c.attempt).where(of_batch))
    }
    skipped = []
    for row in (one for one in found if one in attempts):
        values: dict[str, object] = {"failure_json": to_json(found[row]).decode()}
        if row in missed and attempts[row]:
            values["cancel"] = GIVEN_UP
        else:
            outcome = Outcome.MISSED_WINDOW if row in missed else Outcome.SKIPPED
            values |= {"state": _ENDED, "outcome": outcome, "finished": now.isoformat(), "due": ""}
            skipped.append(Skipped(batch=batch, row=row, outcome=outcome, failure=found[row]))
        connection.execute(_rows.update().where(_rows.c.batch == batch, _rows.c.id == row).values(**values))
    return skipped


def _hopeless(connection: sa.Connection, batch: str) -> dict[str, Failure]:
    """Cold rows after one that ended and did not come through."""
    return {
        row.row: Failure(
            code="AFTER-FAILED",
            message=f"{row.name} was not migrated ({row.outcome}), and this machine comes after it",
            hint="see why, then v2x batch resume tries both again",
            exit_code=4,
        )
        for row in connection.execute(_unmet(batch))
        if not row.for_cutover and row.state == _ENDED
    }
