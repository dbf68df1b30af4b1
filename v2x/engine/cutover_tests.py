# SPDX-License-Identifier: Apache-2.0
"""Test cutovers: copies of machines that are ready boot together, apart from everything, while replication goes on.

Any process may do it. The row is held between two passes for the seconds that its disks take to be cloned; whether it
was started meanwhile all the same is looked at afterwards, and such a copy is thrown away. What is refused is refused
before anything is made.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from v2x.engine import batches, copies, tables
from v2x.engine.batches import Batch, State
from v2x.engine.holds import Hold
from v2x.engine.interface import Doors, Order
from v2x.engine.live import Ledger
from v2x.engine.promises import SharedReservations
from v2x.engine.store import Store
from v2x.engine.testable import claim_of, hindrance, in_order, not_ready, stage_of, state_of
from v2x.errors import Conflict, NoSpace, Unsupported, V2xError
from v2x.migrate.rehearsal import rehearsed, room_needed
from v2x.model.rehearsal import Asked, Rehearsal, Seclusion
from v2x.model.units import show_bytes
from v2x.target.interface import Claim, Rehearses, Room, Surveys, Target, surroundings_of

_rows = tables.rows
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Began:
    """What came of it: the copies that run, and the machines that failed with what for."""

    copies: tuple[Rehearsal, ...] = ()
    failed: tuple[tuple[str, V2xError], ...] = ()


class CutoverTests:
    """Begins, shows and ends the test cutover of a batch. `say` takes what goes on, a line at a time."""

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        doors: Doors,
        *,
        say: Callable[[str], None] = lambda _text: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store, self._ledger, self._doors, self._say, self._sleep = store, ledger, doors, say, sleep
        self._room = SharedReservations(store)

    def begin(self, batch: Batch, ids: Sequence[str], asked: Asked, *, named: bool = False) -> Began:
        """Starts test copies of those of `ids` that are ready; copies that are there are adopted.

        Of `named` machines each must be ready. Conflict TEST-NOT-READY where none is, and what seclude and the look at
        the room refuse; then nothing was made.
        """
        orders = self._testable(batch, ids, named=named)
        began = Began()
        for alias in dict.fromkeys(order.target for order in orders):
            mine = in_order([order for order in orders if order.target == alias])
            with self._opened(alias) as target:
                done = self._on_one(batch, target, mine, asked)
            began = Began(copies=(*began.copies, *done.copies), failed=(*began.failed, *done.failed))
        return began

    def _on_one(self, batch: Batch, target: Target, orders: Sequence[Order], asked: Asked) -> Began:
        """The test's part on one target: everything is made first, then all start."""
        rehearses = _rehearses(target)
        claims = {order.id: claim_of(target, order) for order in orders}
        thin = self._promise(batch, target, orders, claims)
        try:
            seclusion = rehearses.seclude(stage_of(batch, orders, asked), list(claims.values()))
        except V2xError:
            self._release(thin)
            raise
        made: dict[str, Rehearsal] = {}
        failed: list[tuple[str, V2xError]] = []
        until = self._ledger.now() + timedelta(hours=asked.hours)
        for order in orders:
            try:
                made[order.id] = self._made(batch, target, order, seclusion, until)
            except V2xError as problem:
                self._release(thin.keys() & {order.id})
                failed.append((order.machine.name, problem))
            else:
                if order.id in thin:
                    # Of thick storage the pool counts it as taken now.
                    self._room.hold(copies.holder(order.id), order.target, thin[order.id])
        if failed:
            return Began(failed=tuple(failed))
        return self._started(batch, rehearses, orders, made, seclusion)

    def _started(
        self,
        batch: Batch,
        target: Rehearses,
        orders: Sequence[Order],
        made: Mapping[str, Rehearsal],
        seclusion: Seclusion,
    ) -> Began:
        failed = []
        for order in orders:
            # Whoever converts guests in test copies does it here: the disks are there and nothing has started.
            if order.convert:
                self._say(f"{order.machine.name}: test copies start unconverted, with the guest as it is at the source")
            try:
                target.start_rehearsal(made[order.id], seclusion)
            except V2xError as problem:
                failed.append((order.machine.name, problem))
            else:
                self._note(batch, order.id, f"{made[order.id].name} was started")
        known = {one.tag: one for one in target.rehearsals() if one.vm}
        fresh = [replace(known.get(order.id, made[order.id]), where=seclusion.where) for order in orders]
        with self._store.writing() as connection:
            for one in fresh:
                copies.keep(connection, batch.id, one.tag, one, self._ledger.now())
        return Began(copies=tuple(fresh), failed=tuple(failed))

    def _made(self, batch: Batch, target: Target, order: Order, seclusion: Seclusion, until: datetime) -> Rehearsal:
        """The copy of one machine, its disks cloned between two passes."""
        spec = rehearsed(order.machine, order.spec, order.source, seclusion.networks)
        with Hold(self._store, order.id, order.machine.name, self._ledger.now, sleep=self._sleep):
            attempt = self._ready(batch, order)
            claim = claim_of(target, order)
            made = _rehearses(target).rehearse(
                claim, spec, seclusion, until, lambda: self._attempts(order.id) == attempt
            )
        made = replace(made, where=seclusion.where)
        with self._store.exclusive("events") as connection:
            known = copies.open_rows(connection, batch.id).get(order.id)
            copies.keep(connection, batch.id, order.id, made, self._ledger.now())
            if known is None or known.vm != made.vm:
                text = f"{made.name} was made on {seclusion.where}, to be discarded at {made.until}"
                self._ledger.write(connection, batch.id, order.id, "test", text, {"vm": made.vm})
        return made

    def _ready(self, batch: Batch, order: Order) -> object:
        """Waits for the end of a pass under way; what tells afterwards whether another one began."""
        said = False
        while self._is_running(order.id):
            if not said:
                self._say(f"{order.machine.name}: a pass is under way; its end is waited for")
                said = True
            self._sleep(_LOOK_SECONDS)
        with self._store.reading() as connection:
            why = hindrance(state_of(connection, batch.id, order.id), order)
        if why:
            raise not_ready([why])
        return self._attempts(order.id)

    def _is_running(self, row: str) -> bool:
        with self._store.reading() as connection:
            wanted = sa.select(_rows.c.id).where(_rows.c.id == row, _rows.c.state == State.RUNNING)
            return connection.execute(wanted).first() is not None

    def _attempts(self, row: str) -> object:
        """Every start of the row in any batch changes this."""
        with self._store.reading() as connection:
            wanted = sa.select(_rows.c.batch, _rows.c.attempt, _rows.c.state).where(_rows.c.id == row)
            return sorted(tuple(one) for one in connection.execute(wanted))

    def _testable(self, batch: Batch, ids: Sequence[str], *, named: bool) -> list[Order]:
        found, left_out = [], []
        with self._store.reading() as connection:
            for row in ids:
                order = batches.order(connection, batch.id, row)
                why = hindrance(state_of(connection, batch.id, row), order)
                if why:
                    left_out.append(why)
                else:
                    found.append(order)
        if left_out and (named or not found):
            raise not_ready(left_out)
        for why in left_out:
            self._say(f"left out: {why}")
        return found

    def attend(self, batch: Batch) -> tuple[Rehearsal, ...]:
        """The copies of a batch as they are now; those whose time is over are discarded first."""
        orders, now = self._orders(batch), self._ledger.now()
        with self._store.reading() as connection:
            known = copies.open_rows(connection, batch.id)
        seen: list[Rehearsal] = []
        for alias in dict.fromkeys(orders[row].target for row in known if row in orders):
            with self._opened(alias) as opened:
                target = _rehearses(opened)
                mine = {row: one for row, one in known.items() if row in orders and orders[row].target == alias}
                there = {one.tag: one for one in target.rehearsals() if one.tag in mine and one.whole}
                for row, one in mine.items():
                    told = there.get(row)
                    if told is None:
                        self._gone(batch, row, f"{one.name} is gone from {alias}")
                    elif told.until is None or told.until <= now:
                        target.end_rehearsal(told)
                        self._gone(batch, row, f"{one.name} was discarded: its time was over")
                    else:
                        told = replace(told, where=told.where or one.where)
                        seen.append(told)
                        with self._store.writing() as connection:
                            copies.keep(connection, batch.id, row, told, now)
                self._strike(batch, target)
        return tuple(seen)

    def end(self, batch: Batch, ids: Sequence[str]) -> list[str]:
        """Discards the copies of these rows, also what a killed run left of them; names of what was removed."""
        orders = self._orders(batch)
        done: list[str] = []
        failed: list[V2xError] = []
        with self._store.reading() as connection:
            known = copies.open_rows(connection, batch.id)
        for alias in dict.fromkeys(orders[row].target for row in ids):
            with self._opened(alias) as opened:
                if not isinstance(opened, Rehearses):
                    continue
                for one in opened.rehearsals():
                    if one.id != batch.id or one.tag not in ids:
                        continue
                    try:
                        opened.end_rehearsal(one)
                    except Conflict as problem:
                        failed.append(problem)
                    done.append(one.name)
                    self._gone(batch, one.tag, f"{one.name} was discarded")
                self._strike(batch, opened)
        for row in known.keys() & set(ids):
            self._gone(batch, row, "")
        self._release(ids)
        if failed:
            raise failed[0]
        return done

    def _strike(self, batch: Batch, target: Rehearses) -> None:
        for said in target.strike(batch.id):
            self._say(said)
            self._note(batch, "", said)

    def _gone(self, batch: Batch, row: str, text: str) -> None:
        with self._store.exclusive("events") as connection:
            copies.end(connection, batch.id, row, self._ledger.now())
            if text:
                self._ledger.write(connection, batch.id, row, "test", text)

    def _promise(
        self, batch: Batch, target: Target, orders: Sequence[Order], claims: Mapping[str, Claim]
    ) -> dict[str, dict[str, int]]:
        """Sees to it that there is room for all copies, beside what other machines are still to take.

        NoSpace TEST-NO-SPACE. What stays promised once they are made, by row: their share of thin storage.
        """
        there = {one.tag for one in _rehearses(target).rehearsals() if one.whole}
        fresh = [order for order in orders if order.id not in there]
        thin: dict[str, dict[str, int]] = {}
        for order in fresh:
            wanted, rooms = self._wanted(batch, target, order, claims[order.id])
            free = {room.uuid: room.free_bytes for room in rooms if room.free_bytes is not None}
            full = self._room.promise(copies.holder(order.id), order.target, wanted, free)
            if full:
                promised = self._room.promised_to_others(copies.holder(order.id), order.target, full)
                self._release(thin)
                raise _no_space(order, next(room for room in rooms if room.uuid == full), promised, wanted[full])
            thin[order.id] = {room.uuid: wanted[room.uuid] for room in rooms if room.thin}
        return thin

    def _wanted(
        self, batch: Batch, target: Target, order: Order, claim: Claim
    ) -> tuple[dict[str, int], tuple[Room, ...]]:
        """Bytes that a copy needs, by storage repository, and these."""
        spec = order.spec
        around = target.survey(spec) if isinstance(target, Surveys) else surroundings_of(target.facts(), spec)
        with self._store.reading() as connection:
            held = {one.source_disk: one.data_bytes for one in batches.disk_results(connection, batch.id, order.id)}
        wanted = {}
        for room in around.storage:
            here = {disk.source_disk for disk in spec.disks if disk.sr == room.uuid}
            disks = tuple(disk for disk in claim.disks if disk.source_disk in here)
            wanted[room.uuid] = room_needed(disks, held, thick=not room.thin)
        return wanted, around.storage

    def _release(self, rows: Collection[str]) -> None:
        """Gives up what was promised to copies of these rows."""
        of = tables.promises
        with self._store.reading() as connection:
            held = set(connection.execute(sa.select(of.c.holder).distinct()).scalars())
        for row in rows:
            if copies.holder(row) in held:
                self._room.release(copies.holder(row))

    def _note(self, batch: Batch, row: str, text: str) -> None:
        self._ledger.record(batch.id, row, "test", text)

    def _orders(self, batch: Batch) -> dict[str, Order]:
        with self._store.reading() as connection:
            ids = connection.execute(sa.select(_rows.c.id).where(_rows.c.batch == batch.id)).scalars().all()
            return {row: batches.order(connection, batch.id, row) for row in ids}

    @contextmanager
    def _opened(self, alias: str) -> Iterator[Target]:
        target = self._doors.target(alias)
        try:
            yield target
        finally:
            target.close()


def _no_space(order: Order, room: Room, promised_bytes: int, wanted_bytes: int) -> NoSpace:
    beside = f", {show_bytes(promised_bytes)} of it for what else is on its way" if promised_bytes else ""
    return NoSpace(
        f"{room.name} has {show_bytes(room.free_bytes or 0)} free{beside}; the test copy of {order.machine.name} needs "
        f"{show_bytes(wanted_bytes)}",
        hint="free some space, or test fewer machines at once; replication is not touched",
        code="TEST-NO-SPACE",
    )


def _rehearses(target: Target) -> Rehearses:
    if not isinstance(target, Rehearses):
        raise Unsupported("nothing can be started on this target", hint="test machines that go to a pool")
    return target
