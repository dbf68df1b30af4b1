# SPDX-License-Identifier: Apache-2.0
"""What keeps rows from starting besides turns and slots: rows that must be through before, windows, partners.

A cold row waits with its start; a warm one is copied meanwhile and waits with its cutover. A row whose wait cannot end
any more is skipped, so that the batch comes to its end.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache

import sqlalchemy as sa

from v2x.engine import appointed, tables
from v2x.engine.interface import Order
from v2x.model.codec import to_json
from v2x.model.migration import DiskResult, Failure, Outcome, Phase, VerifyLevel
from v2x.model.windows import Window, WindowError, parse_window

_rows, _needs, _windows, _partners = tables.rows, tables.needs, tables.windows, tables.partners
_THROUGH = (Outcome.MIGRATED, Outcome.ALREADY)
_ENDED, _WAITING, _RUNNING = "ended", "waiting", "running"
_OUTAGE = (Phase.SHUTDOWN, Phase.LAST_SYNC, Phase.VERIFY, Phase.SEAL, Phase.RELEASE)


@dataclass(frozen=True, slots=True)
class Held:
    """Why rows are held, by id: `start` those that may not start, `cutover` those that may not be cut over."""

    start: Mapping[str, str] = field(default_factory=dict)
    cutover: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A row that was given up, and why."""

    batch: str
    row: str
    failure: Failure


def add(connection: sa.Connection, batch: str, orders: Iterable[Order]) -> None:
    """Keeps what these orders wait for."""
    needs, windows, partners = [], [], []
    for order in orders:
        partners += [
            {"batch": batch, "row": order.id, "team": team, "name": order.machine.name, "warm": order.warm}
            for team in dict.fromkeys(order.apart)
        ]
        needs += [
            {"batch": batch, "row": order.id, "needs": other, "name": name, "for_cutover": order.warm}
            for other, name in dict(order.after).items()
        ]
        if order.window:
            windows.append(_window_values(batch, order))
    if needs:
        connection.execute(_needs.insert(), needs)
    if windows:
        connection.execute(_windows.insert(), windows)
    if partners:
        connection.execute(_partners.insert(), partners)


def _window_values(batch: str, order: Order) -> dict[str, object]:
    """The outage of a warm machine: its shutdown and last pass at their longest, and what is read back meanwhile."""
    seconds = order.outage_seconds + order.shutdown_seconds if order.warm else 0.0
    reads = order.size_bytes if order.warm and order.verify is VerifyLevel.FULL else 0
    return {
        "batch": batch,
        "row": order.id,
        "span": order.window,
        "for_cutover": order.warm,
        "least_seconds": seconds,
        "read_bytes": reads,
        "seconds": seconds,
    }


def measured(connection: sa.Connection, batch: str, row: str, results: Sequence[DiskResult]) -> None:
    """Foretells the outage of a row with a window anew, by the rate of its own passes."""
    spent = sum(one.seconds for one in results)
    sent = sum(one.sent_bytes for one in results)
    if spent <= 0 or sent <= 0:
        return
    mine = (_windows.c.batch == batch) & (_windows.c.row == row)
    foretold = _windows.c.least_seconds + _windows.c.read_bytes * (spent / sent)
    connection.execute(_windows.update().where(mine).values(seconds=foretold))


def held(connection: sa.Connection, batch: str, now: datetime) -> Held:
    """The rows of a batch that have to wait at `now`, with what for."""
    start: dict[str, str] = {}
    cutover: dict[str, str] = {}
    for row in connection.execute(_unmet(batch)):
        (cutover if row.for_cutover else start).setdefault(row.row, f"{row.name} to be through")
    wanted = sa.select(_windows, _rows.c.vm_uuid).join(
        _rows, (_rows.c.batch == _windows.c.batch) & (_rows.c.id == _windows.c.row)
    )
    for row in connection.execute(wanted.where(_windows.c.batch == batch, _rows.c.state != _ENDED)):
        why = _shut(row.span, row.seconds, now)
        # What has begun goes on: its machine may be off already.
        if why and (row.for_cutover or not row.vm_uuid):
            (cutover if row.for_cutover else start)[row.row] = why
    cutover = {**appointed.held(connection, batch, now), **cutover}
    return Held(start, {**_behind_partners(connection, batch, cutover), **cutover})


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


def _shut(text: str, seconds: float, now: datetime) -> str:
    """Why a window does not let a row pass; empty where it does."""
    window = _parsed(text)
    if window.fits(now, seconds):
        return ""
    opening = next((one for one in window.openings(now) if one[0] > now), None)
    if opening is None:
        return "its window, which is over" if window.closes(now) is None else "its window, which is too short"
    if opening[1] - opening[0] < timedelta(seconds=seconds):
        return f"its window, which is too short for the {seconds / 60:.0f} minutes foretold"
    local = opening[0].astimezone(window.zone)
    return f"its window: {local:%Y-%m-%d %H:%M} {window.zone.key}"


@lru_cache(maxsize=512)
def _parsed(text: str) -> Window:
    try:
        return parse_window(text)
    except WindowError:  # a zone that this machine does not know: nothing is ever open
        return parse_window("1970-01-01 0:00-0:01 UTC")


def skip(connection: sa.Connection, batch: str, now: datetime) -> list[Skipped]:
    """Ends the waiting rows of a batch whose wait cannot end any more; called again until none is left."""
    found = {**_missed(connection, batch, now), **_hopeless(connection, batch)}
    if not found:
        return []
    of_batch = (_rows.c.batch == batch) & (_rows.c.state == _WAITING) & (_rows.c.cancel == "")
    waiting = set(connection.execute(sa.select(_rows.c.id).where(of_batch)).scalars())
    skipped = [Skipped(batch=batch, row=row, failure=found[row]) for row in found if row in waiting]
    for one in skipped:
        values = {
            "state": _ENDED,
            "outcome": Outcome.SKIPPED,
            "finished": now.isoformat(),
            "due": "",
            "failure_json": to_json(one.failure).decode(),
        }
        connection.execute(_rows.update().where(_rows.c.batch == batch, _rows.c.id == one.row).values(**values))
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


def _missed(connection: sa.Connection, batch: str, now: datetime) -> dict[str, Failure]:
    """Rows whose window does not come again; a cold row that has begun goes on whatever the time."""
    joined = _windows.join(_rows, (_rows.c.batch == _windows.c.batch) & (_rows.c.id == _windows.c.row))
    wanted = sa.select(_windows.c.row, _windows.c.span).select_from(joined)
    has_to_wait = _windows.c.for_cutover | (_rows.c.vm_uuid == "")
    return {
        row.row: Failure(
            code="MISSED-WINDOW",
            message=f"its window {row.span} is over",
            hint="give it another window in the plan and run that; what is copied already stays and is used",
            exit_code=4,
        )
        for row in connection.execute(wanted.where(_windows.c.batch == batch, _rows.c.state == _WAITING, has_to_wait))
        if _is_missed(row.span, now)
    }


@lru_cache(maxsize=512)
def _is_missed_at(text: str, minute: str) -> bool:
    return next(_parsed(text).openings(datetime.fromisoformat(minute)), None) is None


def _is_missed(text: str, now: datetime) -> bool:
    """Looked at by the minute: windows are no finer."""
    return _is_missed_at(text, now.replace(second=0, microsecond=0).isoformat())
