# SPDX-License-Identifier: Apache-2.0
"""Rollback and finalize: until a machine is finalized there is a way back to its source.

First the machine on the target is stopped and kept from starting, then the source is put back as it was and started:
two of one machine never run. What the target wrote since its first start is lost with it, so that takes consent.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from v2x.engine import batches, copies, tables
from v2x.engine.batches import Batch, State
from v2x.engine.interface import Doors, Order
from v2x.engine.live import Ledger
from v2x.engine.memory import ALARM, FINALIZED, LABEL, WAS, WAS_ON, label_of, saved_of
from v2x.engine.store import Store
from v2x.errors import Conflict, UsageError
from v2x.migrate.marking import mark_source
from v2x.migrate.rollback import go_back
from v2x.model.health import Mark
from v2x.model.migration import Outcome, Phase
from v2x.sources.interface import Source
from v2x.target.interface import Rehearses, Target, WayBack

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
        through = {*_THROUGH, Outcome.FAILED, *({Outcome.ROLLED_BACK} if discard else ())}
        order, facts = self._through(batch, row, through)
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
            if self._outcome(batch, row) is Outcome.FAILED and (claim is None or not claim.sealed):
                raise _not_through(order, Outcome.FAILED)
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
            self._end_tests(batch, row, target)
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
        said = f"{order.machine.name} is back at its source" + (
            f"; lost: what was written since {started}" if started else ""
        )
        self._forget(batch, row, ALARM, LABEL)
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

    def finalize(self, batch: Batch, row: str, mark: Mark = Mark.NO) -> str:
        """Gives up the way back, and marks the source where asked. Conflict NOT-THROUGH for one that is not through."""
        order, facts = self._through(batch, row)
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
        ended, outcome = found.state == State.ENDED, Outcome(found.outcome)
        if not ended or outcome not in through:
            raise _not_through(order, outcome if ended else None, found.state)
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


def _not_through(order: Order, outcome: Outcome | None, state: str = "") -> Conflict:
    return Conflict(
        f"{order.machine.name} is not through: {outcome or state}",
        code="NOT-THROUGH",
        hint=_CANCEL_IT if outcome is None else _NOTHING_LEFT,
    )
