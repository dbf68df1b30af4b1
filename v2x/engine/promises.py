# SPDX-License-Identifier: Apache-2.0
"""Room on storage promised to rows, over all workers of a state database."""

import threading
from collections import defaultdict
from collections.abc import Mapping

import sqlalchemy as sa

from v2x.engine import tables
from v2x.engine.store import Store
from v2x.migrate.room import Key, Reservations

_of = tables.promises


class SharedReservations(Reservations):
    """As Reservations, kept in the database. What was taken is written with the next beat."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._taken_lock = threading.Lock()
        self._taken: dict[tuple[str, Key], int] = defaultdict(int)

    def promised_to_others(self, tag: str, target: str, storage: str) -> int:
        with self._store.reading() as connection:
            return self._others_of(connection, tag, target).get(storage, 0)

    def promise(self, tag: str, target: str, wanted: Mapping[str, int], free: Mapping[str, int]) -> str:
        with self._store.exclusive("promises") as connection:
            others = self._others_of(connection, tag, target)
            for storage, need in wanted.items():
                if storage in free and need > free[storage] - others.get(storage, 0):
                    return storage
            connection.execute(_of.delete().where(_of.c.holder == tag))
            fresh = [
                {"holder": tag, "place": target, "storage": storage, "left_bytes": need}
                for storage, need in wanted.items()
                if need > 0
            ]
            if fresh:
                connection.execute(_of.insert(), fresh)
        return ""

    def taken(self, tag: str, target: str, storage: str, count_bytes: int) -> None:
        with self._taken_lock:
            self._taken[tag, (target, storage)] += count_bytes

    def release(self, tag: str) -> None:
        with self._taken_lock:
            for key in [key for key in self._taken if key[0] == tag]:
                del self._taken[key]
        with self._store.writing() as connection:
            connection.execute(_of.delete().where(_of.c.holder == tag))

    def flush(self, connection: sa.Connection) -> None:
        """Writes what was taken since the last time."""
        with self._taken_lock:
            taken, self._taken = self._taken, defaultdict(int)
        for (holder, (place, storage)), count in taken.items():
            here = (_of.c.holder == holder) & (_of.c.place == place) & (_of.c.storage == storage)
            left = sa.case((_of.c.left_bytes > count, _of.c.left_bytes - count), else_=0)
            connection.execute(_of.update().where(here).values(left_bytes=left))

    def _others_of(self, connection: sa.Connection, tag: str, target: str) -> dict[str, int]:
        wanted = (
            sa.select(_of.c.storage, sa.func.sum(_of.c.left_bytes))
            .where(_of.c.holder != tag, _of.c.place == target)
            .group_by(_of.c.storage)
        )
        return {storage: int(left) for storage, left in connection.execute(wanted)}
