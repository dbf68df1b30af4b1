# SPDX-License-Identifier: Apache-2.0
"""Sources that were stopped stay stopped: they are looked at until their machines are finalized.

One that runs again has the addresses of its successor. That is an alarm: an event, a line of status and report, a
metric, and the hooks of its row at the moment `alarm`. It ends when the source is off again. Nothing is switched off:
somebody started it, and what it writes may be wanted.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from v2x.engine import batches, tables
from v2x.engine.batches import Batch, State
from v2x.engine.hooks import run_hook
from v2x.engine.interface import Doors, Order
from v2x.engine.live import Ledger
from v2x.engine.memory import ALARM, FINALIZED, STOPPED, alarm_of
from v2x.engine.orders import hooks_of
from v2x.engine.rounds import Rounds
from v2x.errors import V2xError
from v2x.model.hook import ALARM_MOMENT, Hook
from v2x.model.machine import Machine, PowerState
from v2x.model.migration import Outcome
from v2x.sources.interface import PowerControl, PowerStates, Source

_log = logging.getLogger("v2x.engine")
WATCH_SECONDS = 300.0
RESTARTED = "SOURCE-RESTARTED"
_THROUGH = (Outcome.MIGRATED, Outcome.ALREADY)
_RUNS = {PowerState.ON, PowerState.SUSPENDED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What one look at the sources of some batches came to."""

    machines: int = 0
    alarms: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class Vigil:
    """Looks at stopped sources: on request, or by its `rounds`, each source at most once in `seconds`.

    Of several workers one looks. `hooks` are those of v2x.toml here.
    """

    def __init__(
        self,
        ledger: Ledger,
        doors: Callable[[Batch], Doors],
        *,
        hooks: Mapping[str, Hook] | None = None,
        seconds: float = WATCH_SECONDS,
    ) -> None:
        self._ledger, self._doors, self._hooks, self._seconds = ledger, doors, hooks or {}, seconds
        self.rounds = Rounds("stopped sources", self.look, seconds=self._seconds, at_once=True)

    def look(self, batch: str = "", *, at_once: bool = False) -> Looked:
        """Asks the sources of one batch, or of all, that are due; with `at_once`, of all."""
        machines, alarms, problems = 0, [], []
        for of, source, watched in self._watched(batch):
            if not (self._take(of.id, source) or at_once):
                continue
            try:
                states = self._states(of, source, [order.machine for order, _ in watched.values()])
            except V2xError as problem:
                problems.append(f"{source}: {problem.message}")
                _log.warning("stopped machines of %s could not be looked at: %s", source, problem.message)
                continue
            machines += len(watched)
            for row, (order, facts) in watched.items():
                self._judge(of, row, order, facts, states.get(order.machine.id))
        for _, _, watched in self._watched(batch):
            alarms += [
                f"{order.machine.name}: {alarm_of(facts)}" for order, facts in watched.values() if alarm_of(facts)
            ]
        return Looked(machines=machines, alarms=tuple(alarms), problems=tuple(problems))

    def pending(self, batch: str) -> int:
        """How many machines of a batch have a stopped source and are not finalized."""
        return sum(len(watched) for _, _, watched in self._watched(batch))

    def _watched(self, batch: str) -> list[tuple[Batch, str, dict[str, tuple[Order, Sequence[str]]]]]:
        """By batch and source: the rows whose sources have to be off."""
        of = tables.rows
        wanted = sa.select(of.c.batch, of.c.id).where(
            of.c.state == State.ENDED,
            of.c.outcome.in_(_THROUGH),
            of.c.facts_json.contains(STOPPED),
            ~of.c.facts_json.contains(f'"{FINALIZED}"'),
        )
        if batch:
            wanted = wanted.where(of.c.batch == batch)
        found: dict[tuple[str, str], dict[str, tuple[Order, Sequence[str]]]] = {}
        with self._ledger.store.reading() as connection:
            for in_batch, row in connection.execute(wanted.order_by(of.c.seq)).all():
                order = batches.order(connection, in_batch, row)
                facts = batches.facts(connection, in_batch, row)
                found.setdefault((in_batch, order.source), {})[row] = (order, facts)
            return [(batches.get(connection, one), source, rows) for (one, source), rows in found.items()]

    def _take(self, batch: str, source: str) -> bool:
        """Whether it is due, and then ours to ask."""
        of, now = tables.watches, self._ledger.now()
        mine = (of.c.batch == batch) & (of.c.source == source)
        with self._ledger.store.exclusive("watch") as connection:
            last = connection.execute(sa.select(of.c.looked).where(mine)).scalar()
            if last is not None and now - datetime.fromisoformat(last) < timedelta(seconds=self._seconds):
                return False
            connection.execute(of.delete().where(mine))
            connection.execute(of.insert().values(batch=batch, source=source, looked=now.isoformat()))
        return True

    def _states(self, batch: Batch, alias: str, machines: Sequence[Machine]) -> Mapping[str, PowerState]:
        source = self._doors(batch).source(alias)
        try:
            return power_states(source, machines)
        finally:
            source.close()

    def _judge(self, batch: Batch, row: str, order: Order, facts: Sequence[str], state: PowerState | None) -> None:
        known, name = alarm_of(facts), order.machine.name
        if state in _RUNS and not known:
            seen = f"{self._ledger.now():%Y-%m-%d %H:%M} UTC"
            text = f"its source was started again, seen {seen}: two machines with the same addresses may run"
            self._remember(batch, row, ALARM + text)
            self._ledger.record(batch.id, row, "alarm", f"{RESTARTED}: {name}: {text}")
            self._tell(batch, row, order, text)
        elif state is PowerState.OFF and known:
            self._remember(batch, row, "")
            self._ledger.record(batch.id, row, "alarm", f"{name} is off at its source again")

    def _remember(self, batch: Batch, row: str, fact: str) -> None:
        with self._ledger.store.writing() as connection:
            batches.remember(connection, batch.id, row, fact, ALARM)

    def _tell(self, batch: Batch, row: str, order: Order, text: str) -> None:
        _log.warning("%s: %s: %s", RESTARTED, order.machine.name, text)
        hooks = hooks_of(order, self._hooks)
        try:
            due = hooks.due(ALARM_MOMENT)
        except V2xError as problem:
            self._ledger.record(batch.id, row, "warning", problem.message)
            return
        for hook in due:
            try:
                said = run_hook(hook, {"moment": ALARM_MOMENT, "alarm": RESTARTED, "text": text, **hooks.about})
            except V2xError as problem:
                self._ledger.record(batch.id, row, "warning", problem.message)
            else:
                self._ledger.record(batch.id, row, "hook", f"{ALARM_MOMENT}: {hook.name}: {said}")


def power_states(source: Source, machines: Sequence[Machine]) -> Mapping[str, PowerState]:
    """In one call where the source offers it. A machine that is gone is left out."""
    if isinstance(source, PowerStates):
        return source.states(machines)
    if not isinstance(source, PowerControl):
        return {}
    found = {}
    for machine in machines:
        try:
            found[machine.id] = source.state(machine)
        except V2xError as problem:
            if problem.code not in {"SOURCE-GONE", "SOURCE-CHANGED"}:
                raise
    return found
