# SPDX-License-Identifier: Apache-2.0
"""Rows that are run again, blocked by themselves, or given over to another plan; and how long phases took."""

import importlib.util
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from v2x.engine import batches, dispatch, renewal
from v2x.engine.control import Control
from v2x.engine.dbos import DbosEngine
from v2x.engine.inline import InlineEngine
from v2x.engine.interface import Event
from v2x.engine.live import Actor
from v2x.engine.memory import BROUGHT_BACK, WAS_ON
from v2x.engine.timeline import phases_of
from v2x.engine.worker import Worker
from v2x.errors import Conflict, SourceError, UsageError
from v2x.model.machine import Memory, PowerState
from v2x.model.migration import Failure, Outcome, Phase, PhaseTime
from v2x.model.plan import Running

_spec = importlib.util.spec_from_file_location("engine_doubles", Path(__file__).with_name("conftest.py"))
kit = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(kit)
CHANGED = Failure(code="SOURCE-DIFFERS", message="web1 is not as the plan has it", exit_code=6)


@pytest.fixture
def world(estate):
    class World:
        def __init__(self):
            self.store = estate.store()
            self.control = Control(self.store, Actor(user="op", worker="", version="0"), lambda: kit.NOW)
            estate.submit(self.store, [estate.order(1, window="daily 1:00-2:00 UTC"), estate.order(2)])
            self.batch = self.control.batch("b1")

        def write(self, change):
            with self.store.exclusive("dispatch") as connection:
                return change(connection)

        def set(self, row, **values):
            self.write(lambda connection: batches.update(connection, "b1", row, **values))

        def renew(self, *orders):
            self.write(lambda connection: renewal.renew(connection, "b1", orders))

        def order(self, row):
            return self.write(lambda connection: batches.order(connection, "b1", row))

        def outcomes(self):
            return {one.id: one.outcome for one in self.control.migrations(self.batch)}

    return World()


def grown(order):
    disks = tuple(replace(one, capacity_bytes=one.capacity_bytes * 2) for one in order.machine.disks)
    return replace(order, machine=replace(order.machine, disks=disks))


def test_a_row_that_was_not_begun_goes_by_what_its_source_tells_now(world, estate):
    new = grown(estate.order(1, window="daily 1:00-2:00 UTC"))
    world.renew(new)
    assert world.order("t1") == new
    (status,) = [one for one in world.control.status(world.batch).rows if one.migration.id == "t1"]
    assert status.size_bytes == new.size_bytes


def test_one_that_was_begun_keeps_its_order_where_its_disks_are_others(world, estate):
    old = world.order("t1")
    world.set("t1", vm_uuid="vm-1")
    world.renew(grown(old))
    assert world.order("t1") == old
    more = replace(old, machine=replace(old.machine, memory=Memory(size_bytes=1 << 40)))
    world.renew(more)
    assert world.order("t1") == more


@pytest.mark.parametrize(
    "values", [{"state": "running"}, {"state": "ended", "outcome": Outcome.MIGRATED}, {"facts_json": '["was on"]'}]
)
def test_what_runs_is_through_or_out_of_service_is_not_blocked(world, values):
    world.set("t1", **values)
    assert world.write(lambda c: renewal.block(c, "b1", {"t1": CHANGED}, kit.NOW)) == []
    assert world.outcomes()["t1"] is not Outcome.BLOCKED


def test_a_blocked_row_keeps_no_other_from_running_and_is_tried_again(world):
    assert world.write(lambda c: renewal.block(c, "b1", {"t1": CHANGED}, kit.NOW)) == ["t1"]
    assert world.write(lambda c: renewal.block(c, "b1", {"t1": CHANGED}, kit.NOW)) == [], "it was told already"
    world.control.told_blocked(world.batch, {"t1": CHANGED}, ["t1"])
    assert world.outcomes() == {"t1": Outcome.BLOCKED, "t2": Outcome.PENDING}
    assert world.write(lambda c: [one.id for one in dispatch.claim(c, "w", 9, kit.NOW)]) == ["t2"]
    assert world.control.retry(world.batch, besides=["t1"]) == 0
    assert world.control.retry(world.batch) == 1
    assert [one.text for one in world.control.events(world.batch) if one.kind == "outcome"] == ["blocked"]


def test_a_batch_that_gives_way_ends_and_may_go_on_later(world):
    world.write(lambda c: dispatch.claim(c, "w", 9, kit.NOW))
    assert world.control.open_rows(world.batch) == 2
    assert world.control.give_way(world.batch) == 2
    assert set(world.outcomes().values()) == {Outcome.SKIPPED}
    assert {one.failure.code for one in world.control.migrations(world.batch)} == {"PLAN-REPLACED"}
    assert world.control.status(world.batch).used == {}
    assert world.control.retry(world.batch) == 2


def test_a_batch_does_not_give_way_under_workers_of_others(world, monkeypatch):
    monkeypatch.setattr(type(world.store), "is_shared", True)
    world.write(lambda c: dispatch.claim(c, "w", 9, kit.NOW + timedelta(hours=1)))
    insert = batches.tables.workers.insert().values(id="w", version="0", started="", seen="")
    world.write(lambda c: c.execute(insert))
    with pytest.raises(Conflict, match="run now") as refused:
        world.control.give_way(world.batch)
    assert refused.value.code == "PLAN-EDITED" and "pause" in refused.value.hint


def event(number, kind, text, seconds, migration="t1"):
    return Event(number=number, time=kit.NOW + timedelta(seconds=seconds), migration=migration, kind=kind, text=text)


def test_phases_with_their_times():
    events = [
        event(1, "phase", "preflight", 0), event(2, "phase", "copy", 2), event(3, "warning", "slow", 5),
        event(4, "phase", "preflight", 6, "t2"), event(5, "outcome", "stopped", 10), event(6, "control", "x", 11, ""),
        event(7, "phase", "preflight", 100), event(8, "phase", "copy", 101), event(9, "phase", "verify", 131),
    ]  # fmt: skip
    found = phases_of(events)
    assert found["t1"] == (
        PhaseTime(phase=Phase.PREFLIGHT, began=kit.NOW, seconds=3.0, times=2),
        PhaseTime(phase=Phase.COPY, began=kit.NOW + timedelta(seconds=2), seconds=38.0, times=2),
        PhaseTime(phase=Phase.VERIFY, began=kit.NOW + timedelta(seconds=131), seconds=0.0),
    )
    assert [one.times for one in found["t2"]] == [1]


class Powered(kit.doubles.MemorySource):
    """A source whose machine runs, and can be brought down and up."""

    is_on = True

    def state(self, machine):
        return PowerState.ON if self.is_on else PowerState.OFF

    def shutdown(self, machine, deadline_seconds):
        self.is_on = False

    def power_on(self, machine):
        self.is_on = True


@pytest.fixture
def running(estate):
    """A batch of one cold machine that runs and is to be shut down: what a worker's run leaves of it."""
    source = Powered(estate.machine, estate.content)
    estate.doors.given = (source, estate.target)
    store = estate.store()
    estate.submit(store, [estate.order(1, running=Running.SHUTDOWN)])
    control = Control(store, Actor(user="op", worker="", version="0"), lambda: kit.NOW)
    workers = []

    def run():
        worker = Worker(
            store, DbosEngine(), lambda _: estate.doors, estate.watcher, now=lambda: kit.NOW, pacing=kit.QUICK
        )
        workers.append(worker)
        worker.run("b1")
        with store.reading() as connection:
            (one,) = control.migrations(control.batch("b1"))
            facts = batches.facts(connection, "b1", "t1")
            return one.outcome, tuple(fact for fact in facts if fact in {WAS_ON, BROUGHT_BACK}), source.is_on

    def drain():
        workers[-1].drain()

    return run, source, drain, control


def test_a_machine_that_is_brought_back_after_a_failure_is_out_of_service_no_more(running, estate, monkeypatch):
    run, _, _, control = running

    def fails(claim, spec):
        raise SourceError("never")

    monkeypatch.setattr(estate.target, "seal", fails)
    assert run() == (Outcome.FAILED, (BROUGHT_BACK,), True)
    monkeypatch.undo()
    control.retry(control.batch("b1"))
    assert run() == (Outcome.MIGRATED, (BROUGHT_BACK, WAS_ON), False), "the way back starts it again"


def test_a_stop_before_the_shutdown_has_begun_no_outage(running, estate, monkeypatch):
    run, source, drain, _ = running
    real = estate.target.facts
    monkeypatch.setattr(estate.target, "facts", lambda: (drain(), real())[1])
    assert run() == (Outcome.STOPPED, (), True)
    monkeypatch.undo()
    taken = source.checkpoint
    source.checkpoint = lambda machine, tag: (drain(), taken(machine, tag))[1]
    assert run() == (Outcome.STOPPED, (WAS_ON,), False), "it is off: it goes on whatever the time"
    source.checkpoint = taken
    assert run() == (Outcome.MIGRATED, (WAS_ON,), False)


def test_an_order_with_a_window_is_refused_where_no_state_keeps_it(estate):
    engine = InlineEngine(estate.doors, estate.watcher)
    for changes, says in (
        ({"window": "daily 1:00-2:00 UTC"}, "has a window"),
        ({"after": (("t9", "x"),)}, "comes after"),
    ):
        with pytest.raises(UsageError, match=says):
            engine.submit([estate.order(1, **changes)])
    assert engine.status() == ()
