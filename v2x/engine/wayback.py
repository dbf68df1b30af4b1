# SPDX-License-Identifier: Apache-2.0
"""Rollback and finalize: until a machine is finalized there is a way back to its source.

First the machine on the target is stopped and kept from starting, then the source is put back as it was and started:
two of one machine never run. What the target wrote since its first start is lost with it, so that takes consent.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from v2x.engine import batches, copies, tables
from v2x.engine.batches import Batch, State
from v2x.engine.interface import Doors, Order
from v2x.engine.live import Ledger
from v2x.engine.locks import FolderLock
from v2x.engine.memory import ALARM, FINALIZED, LABEL, TRACKED, WAS, WAS_ON, label_of, saved_of
from v2x.engine.store import Store
from v2x.errors import Conflict, UsageError
from v2x.migrate.marking import mark_source
from v2x.migrate.rollback import go_back
from v2x.migrate.tracking import end_tracking
from v2x.model.health import Mark
from v2x.model.migration import Outcome, Phase
from v2x.sources.interface import Source
from v2x.target.interface import Claim, Rehearses, Target, WayBack

_NOTHING_LEFT = "it has ended without a machine that could be taken back; v2x batch status tells how"
_CANCEL_IT = "v2x batch cancel ends it, and its source goes on; a way back is there once nothing works on it"
_THROUGH = {Outcome.MIGRATED, Outcome.ALREADY}
_OVER = {Outcome.CANCELLED, Outcome.ROLLED_BACK, Outcome.SKIPPED, Outcome.DRY_RUN}


class Returns:
    """Takes machines of a batch back to their source, or gives that way up."""

    def __init__(self, store: Store, ledger: Ledger, doors: Doors) -> None:
        self._store, self._ledger, self._doors = store, ledger, doors

    def roll_back(
        self,
        batch: Batch,
        row: str,
        *,
        accept_data_loss: bool = False,
        force_dc: bool = False,
        discard: bool = False,
    ) -> str:
        """Stops the target, puts the source back as it was and starts it if it ran. What to say of it.

        From whatever step a machine came to, as long as nothing works on it. With `discard` its copy goes too, now or
        by a second call.

        Conflict NOT-THROUGH for one that is being worked on, or was never begun; FINALIZED once the way back was given
        up; DATA-LOSS where the target has run and that was not accepted, DOMAIN-CONTROLLER for one that has run.
        """
        held = self._row(batch, row)
        order, facts = held.order, held.facts
        if discard and held.outcome is Outcome.ROLLED_BACK:
            return self._removed(batch, row, order)
        if FINALIZED in facts:
            raise Conflict(
                f"{order.machine.name} is finalized: its way back was given up",
                code="FINALIZED",
                hint="stop the machine on the pool and start its source by hand",
            )
        with self._alone(held), self._opened(order) as (source, target):
            claim = target.find(order.id)
            if held.through and (claim is None or not claim.sealed):
                raise Conflict(
                    f"{order.spec.name} is not on {order.target} any more", hint="start the source by hand", code="GONE"
                )
            started = _started(order, target, claim, accept_data_loss=accept_data_loss, force_dc=force_dc)
            self._end_tests(batch, row, target)
            if not held.through:
                source.release(order.machine, order.id)
                end_tracking(source, order.machine, TRACKED in facts)
            go_back(
                order.machine,
                claim,
                source,
                target,
                saved=saved_of(facts),
                label=label_of(facts),
                was_on=WAS_ON in facts,
                said=lambda text: self._note(batch, row, text),
            )
        copy = "its copy stays on the pool" if claim is not None and not discard else ""
        lost = f"lost: what was written since {started}" if started else ""
        said = "; ".join(text for text in (f"{order.machine.name} is back at its source", copy, lost) if text)
        self._forget(batch, row, ALARM, LABEL)
        values = {"state": State.ENDED, "outcome": Outcome.ROLLED_BACK, "phase": Phase.DONE, "cutover": False}
        self._ledger.record(batch.id, row, "rollback", said, None, **values)
        return f"{said}; {self._removed(batch, row, order)}" if discard else said

    def _removed(self, batch: Batch, row: str, order: Order) -> str:
        """Removes what was rolled back from the target; already gone is success."""
        with self._opened(order) as (_, target):
            claim = target.find(order.id)
            if claim is not None and not claim.sealed:
                target.discard(claim)
            elif claim is not None and isinstance(target, WayBack):
                target.remove(claim)
        said = f"{order.spec.name} is removed from {order.target}"
        self._note(batch, row, said)
        return said

    def finalize(self, batch: Batch, row: str, mark: Mark = Mark.NO) -> str:
        """Gives up the way back, and marks the source where asked. Conflict NOT-THROUGH for one that is not through."""
        held = self._row(batch, row)
        order, facts = held.order, held.facts
        if not held.through:
            raise Conflict(
                f"{order.machine.name} is not through: {held.outcome if held.state == State.ENDED else held.state}",
                code="NOT-THROUGH",
                hint=_NOTHING_LEFT if held.state == State.ENDED else _CANCEL_IT,
            )
        with self._store.reading() as connection:
            tested = row in copies.open_rows(connection, batch.id)
        if tested:
            with self._opened(order) as (_, target):
                self._end_tests(batch, row, target)
        said = self._marked(batch, row, order, mark) if mark is not Mark.NO else ""
        if FINALIZED not in facts:
            self._forget(batch, row, ALARM, LABEL, WAS)
            with self._store.writing() as connection:
                batches.remember(connection, batch.id, row, FINALIZED)
            self._note(batch, row, f"{order.machine.name} is finalized")
        return f"{order.machine.name} is finalized; v2x never removes its source{said}"

    def _end_tests(self, batch: Batch, row: str, target: Target) -> None:
        """A cutover has ended them; one that was made by another state folder may have come later."""
        if not isinstance(target, Rehearses):
            return
        for one in target.rehearsals(row):
            target.end_rehearsal(one)
            self._note(batch, row, f"the test copy {one.name} was discarded")
        with self._store.writing() as connection:
            copies.end(connection, batch.id, row, self._ledger.now())

    def _marked(self, batch: Batch, row: str, order: Order, mark: Mark) -> str:
        source = self._doors.source(order.source)
        place = f"{order.spec.name} on {order.target}"
        try:
            changed = mark_source(
                source, order.machine, mark, place, self._ledger.now(), lambda text: self._note(batch, row, text)
            )
        finally:
            source.close()
        return f"; changed there: its {changed}" if changed else ""

    def _forget(self, batch: Batch, row: str, *words: str) -> None:
        with self._store.writing() as connection:
            for word in words:
                batches.remember(connection, batch.id, row, "", word)

    def _row(self, batch: Batch, row: str) -> "_Row":
        of = tables.rows
        with self._store.reading() as connection:
            found = connection.execute(
                sa.select(of.c.state, of.c.outcome, of.c.attempt).where(of.c.batch == batch.id, of.c.id == row)
            ).first()
            if found is None:
                raise UsageError(f"no row {row} in batch {batch.id}", hint="v2x batch status lists them")
            order, facts = batches.order(connection, batch.id, row), batches.facts(connection, batch.id, row)
        return _Row(
            order=order, facts=facts, state=State(found.state), outcome=Outcome(found.outcome), begun=found.attempt > 0
        )

    @contextmanager
    def _alone(self, held: "_Row") -> Iterator[None]:
        """While nothing works on the row. One that a killed process left counts as nobody's once its lock is free."""
        name = held.order.machine.name
        if held.outcome in _OVER or not held.begun:
            raise Conflict(f"{name} is not through: {held.outcome}", code="NOT-THROUGH", hint=_NOTHING_LEFT)
        if held.state == State.ENDED:
            yield
            return
        busy = Conflict(f"{name} is not through: {held.state}", code="NOT-THROUGH", hint=_CANCEL_IT)
        if self._store.folder is None:
            raise busy
        try:
            lock = FolderLock(self._store.folder)
        except Conflict:
            raise busy from None
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _opened(self, order: Order) -> Iterator[tuple[Source, Target]]:
        source = self._doors.source(order.source)
        try:
            target = self._doors.target(order.target)
            try:
                yield source, target
            finally:
                target.close()
        finally:
            source.close()

    def _note(self, batch: Batch, row: str, text: str) -> None:
        self._ledger.record(batch.id, row, "rollback", text)


def _started(order: Order, target: Target, claim: Claim | None, *, accept_data_loss: bool, force_dc: bool) -> str:
    """When the machine on the target was started first, empty if never. Conflict where going back is not accepted."""
    if claim is None or not claim.sealed or not isinstance(target, WayBack):
        return ""
    started = target.first_start(claim)
    if started and not accept_data_loss:
        raise Conflict(
            f"{order.spec.name} was started on {started}: everything it wrote since then would be lost",
            code="DATA-LOSS",
            hint="save what is needed from it, then say --accept-data-loss",
        )
    if started and order.role.casefold() == "dc" and not force_dc:
        raise Conflict(
            f"{order.machine.name} is a domain controller: its source has missed what the domain did since {started}",
            code="DOMAIN-CONTROLLER",
            hint="demote it or restore it as Microsoft describes, or say --force-dc",
        )
    return started


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    order: Order
    facts: tuple[str, ...]
    state: State
    outcome: Outcome
    begun: bool

    @property
    def through(self) -> bool:
        return self.state == State.ENDED and self.outcome in _THROUGH
