# SPDX-License-Identifier: Apache-2.0
"""Limits, and the slots that rows take under them.

A row takes a slot for its source host, for the pool's host, for each SR and for the total, in that order, all in one
transaction or none: so nothing waits while it holds, and there is no deadlock. A row whose disks are more than a limit
takes it whole, when nobody else has any of it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from v2x.engine import tables
from v2x.engine.easing import THRESHOLDS
from v2x.engine.interface import Order
from v2x.errors import UsageError

TOTAL = "total"
RATE = "rate"
CONVERSIONS = "conversions"
"""Guests that one worker converts at once; not a slot, since a row needs it for a small part of its way only."""
DEFAULTS: dict[str, int] = {"source-host": 4, "pool-host": 8, "sr": 8, TOTAL: 16}
"""Disks in flight by kind of key; a limit on one key (`source-host:esx1`) goes before that of its kind."""
_KINDS = ("source-host", "pool-host", "sr")


def keys_of(order: Order) -> tuple[str, ...]:
    """The keys that an order takes slots of, in the fixed order."""
    host = order.machine.host or order.source
    return (f"source-host:{host}", host_key(order), *sorted(storage_keys(order).values()), TOTAL)


def host_key(order: Order) -> str:
    """The key of the pool's host that an order's disks go to, or of the target where that is not known beforehand."""
    return f"pool-host:{order.target}/{order.pool_host}" if order.pool_host else f"pool-host:{order.target}"


def storage_keys(order: Order) -> dict[str, str]:
    """The keys of the storage that an order's disks go to, by its uuid."""
    return {disk.sr: f"sr:{order.target}/{disk.sr}" for disk in order.spec.disks}


def limit_key(text: str) -> str:
    """`text` if it names a limit: `rate`, `total`, a kind, a kind with a name, or a threshold. UsageError else."""
    kind, colon, name = text.partition(":")
    if text in {RATE, TOTAL, CONVERSIONS, *THRESHOLDS} or (kind in _KINDS and (name or not colon)):
        return text
    raise UsageError(
        f"unknown limit {text}",
        hint="limits are rate (bytes per second), total, conversions, source-host, pool-host and sr, "
        f"the last three also with a name: source-host:esx1; and the thresholds {', '.join(THRESHOLDS)}",
    )


def limit_of(key: str, limits: Mapping[str, str]) -> int:
    """The number of disks that may be in flight under `key`, or a threshold; 0 for none."""
    kind = key.partition(":")[0]
    for known in (key, kind):
        if known in limits:
            return int(limits[known])
    return DEFAULTS[kind] if kind in DEFAULTS else THRESHOLDS[kind]


def fits(keys: Sequence[str], weight: int, used: Mapping[str, int], limits: Mapping[str, str]) -> bool:
    """Whether a row of `weight` disks may start beside what is `used`."""
    for key in keys:
        limit = limit_of(key, limits)
        if limit and used.get(key, 0) and used[key] + weight > limit:
            return False
    return True


def used_slots(connection: sa.Connection) -> Counter[str]:
    """Disks in flight by key."""
    total = sa.func.sum(tables.slots.c.weight)
    found = connection.execute(sa.select(tables.slots.c.key, total).group_by(tables.slots.c.key))
    return Counter({key: int(count) for key, count in found})


def take(connection: sa.Connection, keys: Sequence[str], holder: str, weight: int) -> None:
    connection.execute(tables.slots.insert(), [{"key": key, "holder": holder, "weight": weight} for key in keys])


def give_back(connection: sa.Connection, holder: str) -> None:
    """All slots of a row; those it has given back already are no error."""
    connection.execute(tables.slots.delete().where(tables.slots.c.holder == holder))


def read_limits(connection: sa.Connection) -> dict[str, str]:
    """Those that were set; what a v2x.toml gave comes last."""
    both = (tables.limits_given, tables.limits)
    return {row.key: row.value for table in both for row in connection.execute(sa.select(table))}


def give_limits(connection: sa.Connection, given: Mapping[str, str]) -> None:
    """Takes the limits of a v2x.toml in place of those that were given before."""
    connection.execute(tables.limits_given.delete())
    if given:
        rows = [{"key": limit_key(key), "value": value} for key, value in given.items()]
        connection.execute(tables.limits_given.insert(), rows)


def set_limit(connection: sa.Connection, key: str, value: str) -> None:
    """Sets a limit; an empty value brings the default back."""
    connection.execute(tables.limits.delete().where(tables.limits.c.key == limit_key(key)))
    if value:
        connection.execute(tables.limits.insert().values(key=key, value=value))
