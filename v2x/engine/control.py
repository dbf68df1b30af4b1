# SPDX-License-Identifier: Apache-2.0
"""What an operator sees and says of batches, from any process. Wishes are rows that workers read every half second."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import sqlalchemy as sa

from v2x.engine import appointed, approvals, batches, crew, dispatch, gates, renewal, slots, strain, tables
from v2x.engine.batches import Batch, Cancel, State
from v2x.engine.begun import has_begun
from v2x.engine.easing import THRESHOLDS
from v2x.engine.interface import Event, Order
from v2x.engine.live import Actor, Ledger
from v2x.engine.memory import FINALIZED
from v2x.engine.store import Store
from v2x.errors import Conflict, UsageError
from v2x.model.approval import Approval
from v2x.model.batch import BatchStatus, DiskProgress, RowStatus
from v2x.model.codec import from_json
from v2x.model.migration import Failure, Migration, Outcome
from v2x.model.plan import PlanRow

_rows = tables.rows
_AGAIN = (Outcome.FAILED, Outcome.STOPPED, Outcome.SKIPPED, Outcome.MISSED_WINDOW, Outcome.BLOCKED)


class Control:
    """Reads and steers the batches of a state database."""

    def __init__(self, store: Store, actor: Actor, now: Callable[[], datetime]) -> None:
        self._store = store
        self._ledger = Ledger(store, actor, now)
        self._now = now

    def batch(self, text: str = "") -> Batch:
        """As batches.named."""
        with self._store.reading() as connection:
            return batches.named(connection, text)

    def batches(self) -> tuple[Batch, ...]:
        """All of them, the newest first."""
        with self._store.reading() as connection:
            return batches.listed(connection)

    def unfinished(self) -> tuple[Batch, ...]:
        """Those with machines that wait or run."""
        open_rows = sa.select(_rows.c.batch).where(_rows.c.state != State.ENDED).distinct()
        with self._store.reading() as connection:
            ids = set(connection.execute(open_rows).scalars())
            return tuple(one for one in batches.listed(connection) if one.id in ids)

    def migrations(self, batch: Batch) -> tuple[Migration, ...]:
        with self._store.reading() as connection:
            return batches.migrations(connection, batch.id)

    def events(self, batch: Batch) -> tuple[Event, ...]:
        """Those of a batch, in order."""
        return self._ledger.events(batch=batch.id)

    def plan_rows(self, batch: Batch) -> tuple[PlanRow, ...]:
        """The plan's rows as they were when the batch began, without those that were left out."""
        return tuple(order.row for order in self.orders(batch) if order.row is not None)

    def orders(self, batch: Batch) -> tuple[Order, ...]:
        """In the order of the plan."""
        wanted = sa.select(_rows.c.order_json).where(_rows.c.batch == batch.id).order_by(_rows.c.seq)
        with self._store.reading() as connection:
            return tuple(from_json(text, Order) for text in connection.execute(wanted).scalars())

    def finalized(self, batch: Batch) -> tuple[str, ...]:
        """The ids of rows whose way back was given up."""
        wanted = sa.select(_rows.c.id, _rows.c.facts_json).where(_rows.c.batch == batch.id)
        with self._store.reading() as connection:
            rows = connection.execute(wanted).all()
        return tuple(row.id for row in rows if FINALIZED in from_json(row.facts_json, tuple[str, ...]))

    def rows(self, batch: Batch, wanted: Sequence[str]) -> list[str]:
        """The ids of rows named by id or machine name; UsageError for a name that is none, or several."""
        known = self.migrations(batch)
        found = []
        for text in wanted:
            matches = [one.id for one in known if text == one.id]
            matches = matches or [one.id for one in known if text in (one.machine_name, one.machine_id)]
            if not matches:
                names = ", ".join(one.machine_name for one in known[:10])
                raise UsageError(f"no machine {text} in batch {batch.id}", hint=f"there are: {names}")
            if len(matches) > 1:
                raise UsageError(f"{len(matches)} machines are named {text}", hint=f"ids: {', '.join(matches[:10])}")
            found += matches
        return found

    def through(self, batch: Batch, waves: Sequence[int]) -> list[str]:
        """The ids of the rows of these waves that are through."""
        done = [Outcome.MIGRATED, Outcome.ALREADY]
        wanted = sa.select(_rows.c.id).where(
            _rows.c.batch == batch.id, _rows.c.wave.in_(list(waves)), _rows.c.outcome.in_(done)
        )
        with self._store.reading() as connection:
            return list(connection.execute(wanted.order_by(_rows.c.seq)).scalars())

    def pause(self, batch: Batch, *, paused: bool = True) -> bool:
        """Lets what runs come to a mark and starts nothing more, or ends that. False where it is so already."""
        of = tables.batches
        with self._store.exclusive("events") as connection:
            changed = of.update().where(of.c.id == batch.id, of.c.paused != sa.literal(paused)).values(paused=paused)
            if not connection.execute(changed).rowcount:
                return False
            self._ledger.write(connection, batch.id, "", "control", "paused" if paused else "resumed")
        return True

    def retry(self, batch: Batch, ids: Sequence[str] = (), besides: Iterable[str] = ()) -> int:
        """Lets machines that failed or were stopped wait for another attempt; returns how many."""
        with self._store.exclusive("events") as connection:
            count = dispatch.again(connection, batch.id, _AGAIN, ids, besides)
            if count:
                self._ledger.write(connection, batch.id, "", "control", f"{count} to be tried again")
        return count

    def open_rows(self, batch: Batch) -> int:
        """How many machines wait or run."""
        with self._store.reading() as connection:
            return sum(dispatch.unfinished(connection, batch.id).values())

    def told_blocked(self, batch: Batch, blocked: Mapping[str, Failure], ids: Iterable[str]) -> None:
        """Puts into the log that rows were blocked, and why."""
        with self._store.exclusive("events") as connection:
            for one in ids:
                about = {"code": blocked[one].code, "why": blocked[one].message}
                self._ledger.write(connection, batch.id, one, "outcome", Outcome.BLOCKED, about)

    def give_way(self, batch: Batch) -> int:
        """Ends what is open of a batch for an edited plan; returns how many.

        Conflict while machines of it run on a worker that is not this process's.
        """
        with self._store.exclusive("dispatch") as connection:
            live = connection.execute(sa.select(sa.func.count()).select_from(tables.workers)).scalar_one()
            running = dispatch.unfinished(connection, batch.id).get(State.RUNNING, 0)
            if self._store.is_shared and live and running:
                raise Conflict(
                    f"{running} of the machines of batch {batch.id} run now",
                    code="PLAN-EDITED",
                    hint=f"v2x batch pause {batch.id} lets them come to a mark, then run this again",
                )
            ids = renewal.give_way(connection, batch.id, self._now())
        self._ledger.record(batch.id, "", "control", f"{len(ids)} given over to an edited plan")
        return len(ids)

    def cancel(self, batch: Batch, ids: Sequence[str], *, keep: bool = False) -> int:
        """Ends machines that are not through; `keep` leaves what they have on the target. Returns how many.

        One that was never begun ends at once, the others when a worker has cleared away.
        """
        wish = Cancel.KEEP if keep else Cancel.DISCARD
        through = [Outcome.MIGRATED, Outcome.ALREADY, Outcome.CANCELLED]
        mine = (_rows.c.batch == batch.id) & _rows.c.id.in_(list(ids)) & _rows.c.outcome.not_in(through)
        with self._store.exclusive("dispatch") as connection:
            idle = mine & (_rows.c.state == State.WAITING) & (_rows.c.attempt == 0)
            ended = {"state": State.ENDED, "outcome": Outcome.CANCELLED, "finished": self._now().isoformat()}
            count = connection.execute(_rows.update().where(idle).values(**ended)).rowcount
            failed = mine & (_rows.c.state == State.ENDED)
            again = {"state": State.WAITING, "outcome": Outcome.STOPPED, "cancel": wish}
            count += connection.execute(_rows.update().where(failed).values(**again)).rowcount
            rest = mine & (_rows.c.state != State.ENDED) & (_rows.c.cancel == Cancel.NO)
            count += connection.execute(_rows.update().where(rest).values(cancel=wish)).rowcount
        self._ledger.record(batch.id, "", "control", f"{count} cancelled")
        return count

    def cut_over(self, batch: Batch, ids: Sequence[str], at: datetime | None = None) -> int:
        """Lets warm machines be cut over after the pass that comes next, or the first after `at`; returns how many.

        Told again, the last word counts.

        UsageError where none of them is warm.
        """
        with self._store.exclusive("events") as connection:
            warm = [one for one in ids if batches.order(connection, batch.id, one).warm]
            if not warm:
                raise UsageError(
                    f"nothing to cut over: these machines of batch {batch.id} are copied cold",
                    hint="a machine has a cutover where its row says transfer warm",
                )
            open_rows = (_rows.c.batch == batch.id) & _rows.c.id.in_(warm) & (_rows.c.state != State.ENDED)
            mine = list(connection.execute(sa.select(_rows.c.id).where(open_rows)).scalars())
            connection.execute(_rows.update().where(open_rows).values(cutover=True))
            appointed.appoint(connection, batch.id, mine, at)
            when = f" at {at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if at else ""
            count = len(mine)
            if count:
                self._ledger.write(connection, batch.id, "", "control", f"cutover of {count}{when}")
        return count

    def approve(self, asked: Sequence[Approval]) -> tuple[Approval, ...]:
        """Records what was said of a plan, each word with its event; its number, time and account are set here."""
        made = []
        with self._store.exclusive("events") as connection:
            for one in asked:
                about = {"plan": one.plan_id, "by": one.by, "change": one.change, "scope": one.scope}
                number = self._ledger.write(
                    connection, batches.id_of(one.plan_id), "", "approval", f"{one.words}, plan {one.plan_id}", about
                )
                known = replace(one, number=number, time=self._now(), user=self._ledger.actor.user)
                approvals.add(connection, known)
                made.append(known)
        return tuple(made)

    def said(self, plan_id: str) -> tuple[Approval, ...]:
        """What was said of a plan, the oldest first."""
        with self._store.reading() as connection:
            return approvals.said(connection, plan_id)

    def requires_approval(self, batch: Batch) -> bool:
        with self._store.reading() as connection:
            return approvals.is_required(connection, batch.id)

    def unapproved(self, batch: Batch) -> tuple[str, ...]:
        """The ids of the rows that wait for an approval."""
        with self._store.reading() as connection:
            found = approvals.missing(connection, batch.id)
        return (*found.start, *found.cutover)

    def out_of_service(self, batch: Batch) -> tuple[str, ...]:
        """The ids of rows whose outage has begun and not ended."""
        of = _rows.c
        wanted = sa.select(of.id, of.facts_json, of.vm_uuid, of.order_json).where(
            of.batch == batch.id, of.state != State.ENDED
        )
        with self._store.reading() as connection:
            rows = connection.execute(wanted).all()
        return tuple(
            row.id for row in rows if has_begun(row.facts_json, row.vm_uuid, warm=from_json(row.order_json, Order).warm)
        )

    def throttle(self, key: str, value: str) -> None:
        """Sets a limit for all workers; an empty value brings its default back. UsageError for an unknown one."""
        with self._store.exclusive("events") as connection:
            slots.set_limit(connection, key, value)
            self._ledger.write(connection, "", "", "control", f"limit {key} = {value or 'default'}")

    def limits(self) -> dict[str, str]:
        """All limits in force."""
        with self._store.reading() as connection:
            given = slots.read_limits(connection)
        defaults = {key: str(value) for key, value in {**slots.DEFAULTS, slots.RATE: 0, **THRESHOLDS}.items()}
        return {**defaults, slots.CONVERSIONS: "by the machine", **given}

    def give_limits(self, given: Mapping[str, str]) -> None:
        """Takes the limits of a v2x.toml; those set by `throttle` go before them. UsageError for an unknown one."""
        with self._store.exclusive("dispatch") as connection:
            slots.give_limits(connection, given)

    def status(self, batch: Batch) -> BatchStatus:
        limits = self.limits()
        of = tables.progress
        with self._store.reading() as connection:
            known = {one.id: one for one in batches.migrations(connection, batch.id)}
            rows = connection.execute(sa.select(_rows).where(_rows.c.batch == batch.id).order_by(_rows.c.seq)).all()
            moving = {row.row: row for row in connection.execute(sa.select(of).where(of.c.batch == batch.id))}
            used = slots.used_slots(connection)
            workers = crew.working_on(connection, batch.id)
            paused = batches.get(connection, batch.id).paused
            held = gates.held(connection, batch.id, self._now())
            measured = strain.shown(connection, self._now())
            lowered = strain.lowered(connection, limits, self._now())
        open_rows = [(row.wave, row.turn) for row in rows if row.state != State.ENDED and not row.due]
        turn = min(open_rows, default=(0, 0))
        return BatchStatus(
            id=batch.id,
            plan_id=batch.plan_id,
            plan_path=batch.plan_path,
            created=batch.created,
            taken_at=self._now(),
            paused=paused,
            workers=workers,
            rows=tuple(
                RowStatus(
                    migration=known[row.id],
                    state=row.state,
                    wave=row.wave,
                    turn=row.turn,
                    attempt=row.attempt,
                    size_bytes=row.size_bytes,
                    copied_bytes=moving[row.id].copied_bytes if row.id in moving else 0,
                    worker=row.worker if row.state == State.RUNNING else "",
                    waits_for=_waits_for(row, turn, used, lowered, held, paused=paused, workers=workers),
                    disk=_disk(moving.get(row.id)) if row.state == State.RUNNING else None,
                )
                for row in rows
            ),
            limits=limits,
            used=dict(used),
            strain=measured,
        )


def _waits_for(
    row: sa.Row[tuple[object, ...]],
    turn: tuple[int, int],
    used: dict[str, int],
    limits: dict[str, str],
    held: gates.Held,
    *,
    paused: bool,
    workers: Sequence[str],
) -> str:
    if row.state != State.WAITING:
        return ""
    if not workers:
        return "a worker (v2x batch resume)"
    if paused:
        return "the batch to be resumed"
    if row.cutover and row.id in held.cutover:
        return held.cutover[row.id]
    if row.due and not row.cutover:
        said = held.unapproved.get(row.id, "")
        return f"its cutover; next pass {row.due[:16].replace('T', ' ')} UTC" + (f"; {said}" if said else "")
    return held.start.get(row.id) or _turn_or_slot(row, turn, used, limits)


def _turn_or_slot(
    row: sa.Row[tuple[object, ...]], turn: tuple[int, int], used: dict[str, int], limits: dict[str, str]
) -> str:
    if not row.due and (row.wave, row.turn) > turn:
        return f"wave {turn[0]}" if row.wave > turn[0] else f"the machines of order {turn[1]}"
    for key in from_json(row.keys_json, list[str]):
        if not slots.fits([key], row.weight, used, limits):
            return f"a slot of {key}"
    return "its start"


def _disk(row: sa.Row[tuple[object, ...]] | None) -> DiskProgress | None:
    if row is None:
        return None
    return DiskProgress(
        label=row.label,
        activity=row.activity,
        done_bytes=row.done_bytes,
        total_bytes=row.total_bytes,
        rate_bytes=row.rate_bytes,
    )
