# SPDX-License-Identifier: Apache-2.0
"""Windows of a batch's rows: which are shut, and which do not come again for what is foretold.

An outage begins only where its foretold end, with the time to roll back, lies in the window that is open. What is
copied or read back meanwhile goes at a speed: that of the row's own passes, else that of the batch between the same
two places, else as was given, else that of earlier batches, else as is assumed; never above the limit in force.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

import sqlalchemy as sa

from v2x.engine import slots, tables
from v2x.engine.begun import has_begun
from v2x.engine.interface import Order
from v2x.engine.rates import rate_at
from v2x.model.downtime import downtime_of, show_downtime
from v2x.model.forecast import DEFAULT_BYTES_PER_SECOND
from v2x.model.migration import DiskResult, Failure
from v2x.model.plan import Running
from v2x.model.units import MIB, show_bytes
from v2x.model.windows import Window, WindowError, parse_window

_rows, _windows, _paces, _terms = tables.rows, tables.windows, tables.paces, tables.terms
LEAST_MEASURED_BYTES = 64 * MIB
"""Fewer bytes tell more of the time that a disk takes to be opened than of the line."""
_ENDED, _WAITING = "ended", "waiting"


@dataclass(frozen=True, slots=True)
class Look:
    """A row's window at a moment: `why` it is shut, empty where it is not; `missed` if it never opens long enough."""

    why: str = ""
    missed: bool = False


def add(connection: sa.Connection, batch: str, orders: Iterable[Order]) -> None:
    """Keeps the windows of orders, and between which places each one goes."""
    windows, paces = [], []
    for order in orders:
        road = f"{order.source} > {order.target}"
        paces.append({"batch": batch, "row": order.id, "road": road, "sent_bytes": 0, "seconds": 0.0})
        if not order.window:
            continue
        outage = downtime_of(
            order.machine,
            warm=order.warm,
            verify=order.verify,
            brings_down=order.running in {Running.SHUTDOWN, Running.POWER_OFF},
            shutdown_seconds=order.shutdown_seconds,
            pass_seconds=order.outage_seconds,
            rollback_seconds=order.rollback_seconds,
            converts=order.convert,
        )
        windows.append(
            {
                "batch": batch,
                "row": order.id,
                "span": order.window,
                "for_cutover": order.warm,
                "least_seconds": outage.least_seconds,
                "read_bytes": outage.moved_bytes,
                "seconds": 0.0,  # by its own passes, once there are any
            }
        )
    if paces:
        connection.execute(_paces.insert(), paces)
    if windows:
        connection.execute(_windows.insert(), windows)


def renew(connection: sa.Connection, batch: str, order: Order) -> None:
    """An order in place of an earlier one of the same row."""
    for of in (_windows, _paces):
        connection.execute(of.delete().where(of.c.batch == batch, of.c.row == order.id))
    add(connection, batch, [order])


def measured(connection: sa.Connection, batch: str, row: str, results: Sequence[DiskResult]) -> None:
    """Takes note of the speed of a row's disks, and foretells its own outage by it."""
    spent = sum(one.seconds for one in results)
    sent = sum(one.sent_bytes for one in results)
    if spent <= 0 or sent <= 0:
        return
    own = (_paces.c.batch == batch) & (_paces.c.row == row)
    connection.execute(_paces.update().where(own).values(sent_bytes=sent, seconds=spent))
    mine = (_windows.c.batch == batch) & (_windows.c.row == row) & _windows.c.for_cutover
    foretold = _windows.c.least_seconds + _windows.c.read_bytes * (spent / sent)
    connection.execute(_windows.update().where(mine).values(seconds=foretold))


def give_pace(connection: sa.Connection, batch: str, bytes_per_second: int) -> None:
    """Keeps the speed that a batch was given; 0 for none."""
    changed = _terms.update().where(_terms.c.batch == batch).values(pace_bytes=bytes_per_second)
    if not connection.execute(changed).rowcount:
        connection.execute(_terms.insert().values(batch=batch, approval=False, pace_bytes=bytes_per_second))


def looks(connection: sa.Connection, batch: str, now: datetime) -> dict[str, tuple[bool, Look]]:
    """The rows of a batch whose window keeps them now, by id: whether it is the cutover that waits, and why.

    What has begun goes on whatever the time: its machine may be off already.
    """
    joined = _windows.join(_rows, (_rows.c.batch == _windows.c.batch) & (_rows.c.id == _windows.c.row))
    joined = joined.outerjoin(_paces, (_paces.c.batch == _windows.c.batch) & (_paces.c.row == _windows.c.row))
    wanted = sa.select(_windows, _rows.c.vm_uuid, _rows.c.facts_json, _paces.c.road).select_from(joined)
    rows = connection.execute(wanted.where(_windows.c.batch == batch, _rows.c.state != _ENDED)).all()
    if not rows:
        return {}
    pace = _Paces(connection, batch, now)
    found = {}
    for row in rows:
        if has_begun(row.facts_json, row.vm_uuid, warm=row.for_cutover):
            continue
        speed = pace.of(row.road or "")
        look = _look(row.span, row.seconds or row.least_seconds + row.read_bytes / speed, now)
        if look.why:
            # What a warm row needs is known once it was copied; until then it is not given up for being too long.
            is_sure = not row.for_cutover or row.seconds or not _openings_from(row.span, now)
            found[row.row] = (row.for_cutover, look if is_sure else Look(look.why))
    return found


class _Paces:
    """Bytes per second between two places."""

    def __init__(self, connection: sa.Connection, batch: str, now: datetime) -> None:
        self._mine, self._all = _sums(connection, batch), _sums(connection)
        given = sa.select(_terms.c.pace_bytes).where(_terms.c.batch == batch)
        self._given = connection.execute(given).scalar_one_or_none() or 0
        self._most = rate_at(slots.read_limits(connection).get(slots.RATE, "0"), now.astimezone())

    def of(self, road: str) -> float:
        found = self._mine.get(road) or self._given or self._all.get(road) or DEFAULT_BYTES_PER_SECOND
        return min(found, self._most) if self._most else found


def _sums(connection: sa.Connection, batch: str = "") -> Mapping[str, float]:
    sent, spent = sa.func.sum(_paces.c.sent_bytes), sa.func.sum(_paces.c.seconds)
    wanted = sa.select(_paces.c.road, sent, spent).group_by(_paces.c.road)
    if batch:
        wanted = wanted.where(_paces.c.batch == batch)
    found = ((road, int(total), float(seconds)) for road, total, seconds in connection.execute(wanted))
    return {road: total / seconds for road, total, seconds in found if total >= LEAST_MEASURED_BYTES and seconds > 0}


def _look(text: str, seconds: float, now: datetime) -> Look:
    window = _parsed(text)
    need = timedelta(seconds=seconds)
    ahead = _openings_from(text, now)
    is_open = bool(ahead) and ahead[0][0] <= now
    if is_open and now + need <= ahead[0][1]:
        return Look()
    later = next((one for one in ahead if one[0] > now and one[1] - one[0] >= need), None)
    foretold = f"the {show_downtime(seconds)} foretold"
    if later is not None:
        local = later[0].astimezone(window.zone)
        when = f"{local:%Y-%m-%d %H:%M} {window.zone.key}"
        why = f"its next window: {when}; {foretold} are more than is left of this one"
        return Look(why if is_open else f"its window: {when}")
    if not ahead:
        return Look("its window, which is over", missed=True)
    return Look(f"its window, which is too short for {foretold}", missed=True)


def _openings_from(text: str, now: datetime) -> list[tuple[datetime, datetime]]:
    return [one for one in _openings_of(text, now.astimezone(UTC).date()) if one[1] > now]


@lru_cache(maxsize=512)
def _openings_of(text: str, day: date) -> tuple[tuple[datetime, datetime], ...]:
    """The openings of a good year, from the beginning of a day (UTC) on."""
    return tuple(_parsed(text).openings(datetime.combine(day, time(), UTC)))


@lru_cache(maxsize=512)
def _parsed(text: str) -> Window:
    try:
        return parse_window(text)
    except WindowError:  # a zone that this machine does not know: nothing is ever open
        return parse_window("1970-01-01 0:00-0:01 UTC")


def missed(connection: sa.Connection, batch: str, now: datetime) -> dict[str, Failure]:
    """Rows that wait for a window which does not come again, or never is long enough."""
    lost = {row: look for row, (_, look) in looks(connection, batch, now).items() if look.missed}
    if not lost:
        return {}
    wanted = sa.select(_windows, _rows.c.state).join(
        _rows, (_rows.c.batch == _windows.c.batch) & (_rows.c.id == _windows.c.row)
    )
    rows = connection.execute(wanted.where(_windows.c.batch == batch, _rows.c.state == _WAITING)).all()
    return {row.row: failure_of(row.span, lost[row.row].why, row.read_bytes) for row in rows if row.row in lost}


def failure_of(span: str, why: str, moved_bytes: int = 0) -> Failure:
    if why.endswith("is over"):
        message = f"its window {span} is over"
        hint = "give it another window in the plan and run that; what is copied already stays and is used"
    else:
        foretold = why.partition("too short for ")[2] or "what it needs"
        moved = f", with {show_bytes(moved_bytes)} to copy or read back" if moved_bytes else ""
        message = f"no time of its window {span} is as long as {foretold}{moved} and the time to roll back"
        hint = "give it a longer window, copy it warm or verify a sample; v2x batch run --throughput says a known speed"
    return Failure(code="MISSED-WINDOW", message=message, hint=hint, exit_code=4)
