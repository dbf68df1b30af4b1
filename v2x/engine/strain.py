# SPDX-License-Identifier: Apache-2.0
"""What hosts and SRs of a pool are brought down to, as rows of the state database that every worker follows.

One worker at a time measures a target (`take_look`) and writes what follows of it (`apply`); all of them claim rows
under the lowered limits (`lowered`) and copy at the lowered rates (`shares`). What nobody has looked at for a while
holds no longer: then nothing runs there.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from v2x.engine import slots, tables
from v2x.engine.easing import CHAINS, CPU, LATENCY, PREFIX, Eased, InFlight, eased
from v2x.engine.interface import Order
from v2x.model.batch import Strain
from v2x.model.codec import from_json, to_json
from v2x.model.units import show_bytes
from v2x.target.interface import Load, StorageLoad
from v2x.text import plural

STALE = timedelta(minutes=3)
_HOST, _SR = "pool-host", "sr"
_OF_KIND = {_HOST: (CPU,), _SR: (LATENCY, CHAINS)}
_strain, _looks = tables.strain, tables.looks


@dataclass(frozen=True, slots=True)
class Burdened:
    """Something of a target that rows in flight work on: the key of its limit, its kind and uuid.

    A host without uuid stands for any: which one takes the disks is not known beforehand.
    """

    key: str
    kind: str
    uuid: str


def burdened(orders: Iterable[Order]) -> set[Burdened]:
    """What these orders, of one target, work on."""
    found = set()
    for order in orders:
        host, storage = slots.host_key(order), slots.storage_keys(order)
        found.add(Burdened(host, _HOST, order.pool_host))
        found.update(Burdened(key, _SR, uuid) for uuid, key in storage.items())
    return found


def hosts_of(found: Collection[Burdened]) -> list[str]:
    """The hosts to measure; none stands for all, where for some rows it is not known which."""
    hosts = sorted({one.uuid for one in found if one.kind == _HOST})
    return [] if "" in hosts else hosts


def storage_of(found: Iterable[Burdened]) -> list[str]:
    return sorted({one.uuid for one in found if one.kind == _SR})


def nothing_measured(found: Iterable[Burdened], why: str) -> Load:
    """The load of a target that could not be asked."""
    words = {_HOST: "cpu", _SR: "latency"}
    return Load(missing={f"{words[one.kind]} of {one.uuid}": why for one in found})


def take_look(connection: sa.Connection, place: str, worker: str, now: datetime, lasts: timedelta) -> bool:
    """Whether it is `worker`'s task to measure `place` now; it is until `lasts` is over, unless it takes it again."""
    held = connection.execute(sa.select(_looks).where(_looks.c.place == place)).first()
    if held is not None and held.worker != worker and held.until > now.isoformat():
        return False
    connection.execute(_looks.delete().where(_looks.c.place == place))
    connection.execute(_looks.insert().values(place=place, worker=worker, until=(now + lasts).isoformat()))
    return True


def give_up_looks(connection: sa.Connection, worker: str) -> None:
    """Nothing is measured by `worker` any more: another one may begin at once."""
    connection.execute(_looks.delete().where(_looks.c.worker == worker))


def apply(
    connection: sa.Connection, place: str, found: Collection[Burdened], load: Load, now: datetime
) -> list[tuple[str, dict[str, str]]]:
    """Writes what follows of a measurement; in a transaction that is exclusive of "dispatch".

    Returns what changed, as texts for the log with the limit that holds now and how many disks were in flight.
    """
    limits, used = slots.read_limits(connection), slots.used_slots(connection)
    known = {row.key: row for row in connection.execute(sa.select(_strain).where(_strain.c.place == place))}
    rates = _rates(connection)
    told = []
    for one in sorted(found, key=lambda one: one.key):
        measured, missing = _measured(one, load)
        now_in_flight = InFlight(
            limit=slots.limit_of(one.key, limits), disks=used.get(one.key, 0), rate_bytes=int(rates.get(one.key, 0))
        )
        row = known.get(one.key)
        before = _eased(row) if row is not None and _is_fresh(row, now) else Eased()
        after = eased(before, measured, _thresholds(one.kind, limits), now_in_flight)
        since = "" if not after.halvings else row.since if row is not None and before.halvings else now.isoformat()
        name = load.names.get(one.uuid, "")
        _write(connection, one, place, name, measured, missing, after, since, now)
        if after.halvings != before.halvings:
            told.append(_told(one, name, before, after, now_in_flight))
    _forget(connection, place, {one.key for one in found}, now)
    return told


def _measured(one: Burdened, load: Load) -> tuple[dict[str, float | None], str]:
    """The measurements of a host or SR in the units of the thresholds, and why some are missing."""
    if one.kind == _HOST:
        values = [load.cpu.get(one.uuid)] if one.uuid else list(load.cpu.values())
        shares = [value for value in values if value is not None]
        found: dict[str, float | None] = {CPU: max(shares) * 100 if shares else None}
        wanted = [f"cpu of {one.uuid}"] if one.uuid else [key for key in load.missing if key.startswith("cpu of ")]
    else:
        storage = load.storage.get(one.uuid, StorageLoad())
        seconds = storage.latency_seconds
        found = {LATENCY: None if seconds is None else seconds * 1000, CHAINS: storage.chains}
        wanted = [f"latency of {one.uuid}", CHAINS]
    missing = [f"{key.partition(' ')[0]}: {load.missing[key]}" for key in wanted if key in load.missing]
    return found, "; ".join(missing)


def _thresholds(kind: str, limits: Mapping[str, str]) -> dict[str, float]:
    return {one: float(slots.limit_of(f"{PREFIX}{one}", limits)) for one in _OF_KIND[kind]}


def _rates(connection: sa.Connection) -> Counter[str]:
    """Bytes per second that are copied now, by key."""
    of, progress = tables.slots, tables.progress
    joined = of.join(progress, progress.c.row == of.c.holder)
    wanted = sa.select(of.c.key, sa.func.sum(progress.c.rate_bytes)).select_from(joined)
    found = connection.execute(wanted.where(progress.c.activity == "copy").group_by(of.c.key))
    return Counter({key: int(rate) for key, rate in found})


def _eased(row: Any) -> Eased:
    return Eased(halvings=row.halvings, calm=row.calm, disks=row.disks, rate_bytes=row.rate_bytes, why=row.why)


def _write(
    connection: sa.Connection,
    one: Burdened,
    place: str,
    name: str,
    measured: Mapping[str, float | None],
    missing: str,
    after: Eased,
    since: str,
    now: datetime,
) -> None:
    connection.execute(_strain.delete().where(_strain.c.key == one.key))
    connection.execute(
        _strain.insert().values(
            key=one.key,
            place=place,
            name=name,
            measured_json=to_json(dict(measured)).decode(),
            missing=missing,
            halvings=after.halvings,
            calm=after.calm,
            disks=after.disks,
            rate_bytes=after.rate_bytes,
            why=after.why,
            since=since,
            looked=now.isoformat(),
        )
    )


def _told(one: Burdened, name: str, before: Eased, after: Eased, now: InFlight) -> tuple[str, dict[str, str]]:
    allowed = _allowed(after, now.limit)
    what = f"{one.key} ({name})" if name else one.key
    why = after.why if after.halvings > before.halvings else "it is calmer"
    disks = plural(allowed, "disk") if allowed else "any number of disks"
    rate = f", {show_bytes(after.rate_bytes)}/s" if after.rate_bytes else ""
    held = "" if after.halvings else ", as set"
    return f"{what}: {disks} in flight{rate}{held}: {why}", {
        "key": one.key,
        "disks": str(allowed),
        "rate_bytes": str(after.rate_bytes),
        "in_flight": str(now.disks),
    }


def _allowed(held: Eased, limit: int) -> int:
    """How many disks may be in flight; 0 for any number."""
    if not held.halvings:
        return limit
    return min(held.disks, limit) if limit else held.disks


def _forget(connection: sa.Connection, place: str, used: set[str], now: datetime) -> None:
    old = (now - STALE).isoformat()
    of_place = (_strain.c.place == place) & _strain.c.key.not_in(used)
    connection.execute(_strain.delete().where(of_place, _strain.c.looked < old))


def _is_fresh(row: Any, now: datetime) -> bool:
    return bool(now - datetime.fromisoformat(row.looked) < STALE)


def _held(connection: sa.Connection, now: datetime) -> list[Any]:
    return [row for row in connection.execute(sa.select(_strain).where(_strain.c.halvings > 0)) if _is_fresh(row, now)]


def lowered(connection: sa.Connection, limits: Mapping[str, str], now: datetime) -> dict[str, str]:
    """The limits with those of strained hosts and SRs as low as they are now."""
    found = dict(limits)
    for row in _held(connection, now):
        found[row.key] = str(_allowed(_eased(row), slots.limit_of(row.key, limits)))
    return found


def shares(connection: sa.Connection, now: datetime) -> dict[str, int]:
    """Bytes per second that each row may copy at under a strained key, whichever worker it runs in."""
    held = {row.key: row.rate_bytes for row in _held(connection, now) if row.rate_bytes}
    if not held:
        return {}
    of = tables.slots
    counted = sa.select(of.c.key, sa.func.count()).where(of.c.key.in_(list(held))).group_by(of.c.key)
    rows = {key: int(count) for key, count in connection.execute(counted)}
    return {key: max(1, rate // max(1, rows.get(key, 1))) for key, rate in held.items()}


def shown(connection: sa.Connection, now: datetime) -> tuple[Strain, ...]:
    """All that was measured lately."""
    limits = slots.read_limits(connection)
    found = []
    for row in connection.execute(sa.select(_strain).order_by(_strain.c.key)):
        if not _is_fresh(row, now):
            continue
        limit = slots.limit_of(row.key, limits)
        found.append(
            Strain(
                key=row.key,
                name=row.name,
                measured=from_json(row.measured_json, dict[str, float | None]),
                missing=row.missing,
                halvings=row.halvings,
                disks=_allowed(_eased(row), limit),
                limit=limit,
                rate_bytes=row.rate_bytes,
                why=row.why,
                since=datetime.fromisoformat(row.since) if row.since else None,
                looked=datetime.fromisoformat(row.looked),
            )
        )
    return tuple(found)
