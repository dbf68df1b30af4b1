# SPDX-License-Identifier: Apache-2.0
"""Rollback and finalize: until a machine is finalized there is a way back to its source.

First the machine on the target is stopped and kept from starting, then the source is put back as it was and started:
two of one machine never run. What the target wrote since its first start is lost with it, so that takes consent.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from v2x.engine import batches, tables
from v2x.engine.batches import Batch, State
from v2x.engine.interface import Doors, Order
from v2x.engine.live import Ledger
from v2x.engine.row import FINALIZED, WAS, WAS_ON, saved_of
from v2x.engine.store import Store
from v2x.errors import Conflict, UsageError
from v2x.model.migration import Outcome, Phase
from v2x.sources.interface import GivesBack, PowerControl, Source
from v2x.target.interface import Target, WayBack

_NOTHING_LEFT = "it has ended without a machine that could be taken back; v2x batch status tells how"
_CANCEL_IT = "v2x batch cancel ends it, and its source goes on"
_THROUGH = {Outcome.MIGRATED, Outcome.ALREADY}


class Returns:
    """Takes machines of a batch back to their source, or gives that way up."""

    def __init__(self, store: Store, ledger: Ledger, doors: Doors) -> None:
        self._store, self._ledger, self._doors = store, ledger, doors

    def roll_back(
        self, batch: Batch, row: str, *, accept_data_loss: bool = False, force_dc: bool = False, discard: bool = False
    ) -> str:
        """Stops the target, puts the source back as it was and starts it if it ran. What to say of it.

        With `discard`, the machine on the target and its disks are removed at the end, also of one that was rolled back
        before.

        Conflict NOT-THROUGH for a machine that is not through (cancel it instead), FINALIZED once the way back was
        given up, DATA-LOSS where the target has run and that was not accepted, DOMAIN-CONTROLLER for one that has run.
        """
        order, facts = self._through(batch, row, {*_THROUGH, Outcome.ROLLED_BACK} if discard else _THROUGH)
        if self._outcome(batch, row) is Outcome.ROLLED_BACK:
            return self._removed(batch, row, order)
        if FINALIZED in facts:
            raise Conflict(
                f"{order.machine.name} is finalized: its way back was given up",
                code="FINALIZED",
                hint="stop the machine on the pool and start its source by hand",
            )
        with self._opened(order) as (source, target):
            claim = target.find(order.id)
            if claim is None or not claim.sealed or not isinstance(target, WayBack):
                raise Conflict(
                    f"{order.spec.name} is not on {order.target} any more", hint="start the source by hand", code="GONE"
                )
            started = target.first_start(claim)
            if started and not accept_data_loss:
                raise Conflict(
                    f"{order.spec.name} was started on {started}: everything it wrote since then would be lost",
                    code="DATA-LOSS",
                    hint="save what is needed from it, then say --accept-data-loss",
                )
            if started and order.role.casefold() == "dc" and not force_dc:
                raise Conflict(
                    f"{order.machine.name} is a domain controller: its source has missed what the domain did since "
                    f"{started}",
                    code="DOMAIN-CONTROLLER",
                    hint="demote it or restore it as Microsoft describes, or say --force-dc",
                )
            target.halt(claim)
            self._note(batch, row, f"{order.spec.name} is stopped on {order.target} and kept from starting")
            self._restore(order, source, facts)
        said = f"{order.machine.name} is back at its source" + (
            f"; lost: what was written since {started}" if started else ""
        )
        values = {"state": State.ENDED, "outcome": Outcome.ROLLED_BACK, "phase": Phase.DONE, "cutover": False}
        self._ledger.record(batch.id, row, "rollback", said, None, **values)
        return f"{said}; {self._removed(batch, row, order)}" if discard else said

    def _removed(self, batch: Batch, row: str, order: Order) -> str:
        """Removes what was rolled back from the target; already gone is success."""
        with self._opened(order) as (_, target):
            claim = target.find(order.id)
            if claim is not None and claim.sealed and isinstance(target, WayBack):
                target.remove(claim)
        said = f"{order.spec.name} is removed from {order.target}"
        self._note(batch, row, said)
        return said

    def finalize(self, batch: Batch, row: str) -> str:
        """Gives up the way back. Conflict NOT-THROUGH for a machine that is not through."""
        order, facts = self._through(batch, row)
        if FINALIZED not in facts:
            with self._store.writing() as connection:
                kept = tuple(fact for fact in facts if not fact.startswith(WAS))
                batches.update(connection, batch.id, row, facts_json=batches.document((*kept, FINALIZED)))
            self._note(batch, row, f"{order.machine.name} is finalized")
        return f"{order.machine.name} is finalized; v2x never removes its source"

    def _restore(self, order: Order, source: Source, facts: tuple[str, ...]) -> None:
        saved = saved_of(facts)
        if saved and isinstance(source, GivesBack):
            source.give_back(order.machine, saved)
        if WAS_ON in facts and isinstance(source, PowerControl):
            source.power_on(order.machine)

    def _outcome(self, batch: Batch, row: str) -> Outcome:
        of = tables.rows
        with self._store.reading() as connection:
            found = connection.execute(sa.select(of.c.outcome).where(of.c.batch == batch.id, of.c.id == row)).scalar()
        return Outcome(str(found))

    def _through(
        self, batch: Batch, row: str, through: Collection[Outcome] = _THROUGH
    ) -> tuple[Order, tuple[str, ...]]:
        of = tables.rows
        with self._store.reading() as connection:
            found = connection.execute(
                sa.select(of.c.state, of.c.outcome).where(of.c.batch == batch.id, of.c.id == row)
            ).first()
            if found is None:
                raise UsageError(f"no row {row} in batch {batch.id}", hint="v2x batch status lists them")
            order, facts = batches.order(connection, batch.id, row), batches.facts(connection, batch.id, row)
        if found.state != State.ENDED or Outcome(found.outcome) not in through:
            raise Conflict(
                f"{order.machine.name} is not through: {found.outcome if found.state == State.ENDED else found.state}",
                code="NOT-THROUGH",
                hint=_NOTHING_LEFT if found.state == State.ENDED else _CANCEL_IT,
            )
        return order, facts

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
