# SPDX-License-Identifier: Apache-2.0
"""Approvals: who may be taken out of service, and who not yet."""

import importlib.util
from datetime import timedelta
from pathlib import Path

import pytest

from v2x.engine import approvals, batches, dispatch, journal
from v2x.engine.control import Control
from v2x.engine.dbos import DbosEngine
from v2x.engine.live import Actor
from v2x.engine.memory import BROUGHT_BACK, WAS_ON
from v2x.engine.worker import Worker
from v2x.model.approval import Approval, in_force
from v2x.model.migration import Outcome
from v2x.model.plan import PlanRow

_spec = importlib.util.spec_from_file_location("engine_doubles", Path(__file__).with_name("conftest.py"))
kit = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(kit)
PLAN = "b1" * 8
"""The id of the plan that the estate's batch b1 is of."""


def word(plan=PLAN, by="Ada", **scope):
    return Approval(number=0, plan_id=plan, time=kit.NOW, by=by, user="", **scope)


def row(number=1, wave=1, source="src"):
    return PlanRow(machine_id=f"m{number}", machine_name=f"web{number}", source=source, target="pool", wave=wave)


@pytest.fixture
def world(estate):
    class World:
        def __init__(self):
            self.store, self.now = estate.store(), kit.NOW
            self.control = Control(self.store, Actor(user="op@here", worker="", version="0"), lambda: self.now)

        def submit(self, *orders, wanted=True):
            with self.store.exclusive("dispatch") as connection:
                made = batches.Batch(
                    id="b1", plan_id=PLAN, plan_path="b1.csv", created=kit.NOW, created_by="x",
                    doors=batches.Doorways(), tables={},
                )  # fmt: skip
                batches.add(connection, made, orders)
                approvals.require(connection, "b1", wanted=wanted)
            return self.control.batch("b1")

        def claim(self):
            with self.store.exclusive("dispatch") as connection:
                return [one.id for one in dispatch.claim(connection, "w", 99, self.now)]

        def cutovers(self):
            with self.store.reading() as connection:
                return {row for _, row in dispatch.cutovers(connection, "w", self.now)}

        def set(self, row, **values):
            with self.store.exclusive("dispatch") as connection:
                batches.slots.give_back(connection, row)
                batches.update(connection, "b1", row, **values)

        def waits_for(self):
            with self.store.writing() as connection:
                connection.execute(batches.tables.workers.delete())
                connection.execute(batches.tables.workers.insert().values(id="w", version="0", started="", seen=""))
            return {one.migration.id: one.waits_for for one in self.control.status(self.control.batch("b1")).rows}

    return World()


def test_the_last_word_that_covers_a_row_counts():
    said = [word(), word(by="Bob", machine_id="m2", source="src", revoked=True), word(by="Eve", wave=3)]
    assert in_force(row(1), said).by == "Ada"
    assert in_force(row(2), said) is None
    assert in_force(row(2, source="other"), said).by == "Ada"
    assert in_force(row(2, wave=3), said).by == "Eve"
    assert in_force(row(1), [*said, word(revoked=True)]) is None
    assert in_force(row(1), []) is None


def test_without_the_demand_nothing_waits(world, estate):
    world.submit(estate.order(1), wanted=False)
    assert world.control.unapproved(world.control.batch()) == ()
    assert world.claim() == ["t1"]


def test_a_cold_row_does_not_start_before_its_approval(world, estate):
    world.submit(estate.order(1), estate.order(2, wave=2))
    assert world.claim() == []
    assert world.waits_for()["t1"] == "approval: v2x batch approve b1 --machine web1 --by NAME"
    world.control.approve([word(machine_id="m1", source="src", machine_name="web1")])
    assert world.claim() == ["t1"]
    assert world.control.unapproved(world.control.batch()) == ("t2",)


def test_a_warm_row_is_copied_and_becomes_ready_and_waits_with_its_cutover(world, estate):
    batch = world.submit(estate.order(1, warm=True))
    assert world.claim() == ["t1"]
    later = (kit.NOW + timedelta(hours=1)).isoformat()
    world.set("t1", state="waiting", outcome=Outcome.READY, due=later)
    assert world.waits_for()["t1"].startswith(
        "its cutover; next pass 2026-01-01 01:00 UTC; approval: v2x batch approve"
    )
    world.control.cut_over(batch, ["t1"])
    assert world.waits_for()["t1"].startswith("approval: ")
    assert world.claim() == []
    world.control.approve([word()])
    assert world.claim() == ["t1"]
    assert world.cutovers() == {"t1"}
    world.control.approve([word(revoked=True)])
    assert world.cutovers() == set(), "taken back before its outage began"
    world.set("t1", state="running", facts_json=batches.document((WAS_ON,)))
    assert world.cutovers() == {"t1"}, "its machine may be off"


def test_an_approval_of_another_plan_is_none(world, estate):
    world.control.approve([word(plan="an older id of the same file")])
    world.submit(estate.order(1))
    assert world.claim() == []


def test_approved_before_the_batch_is_there(world, estate):
    world.control.approve([word(wave=1)])
    world.submit(estate.order(1), estate.order(2, wave=2))
    assert world.claim() == ["t1"]
    world.set("t1", state="ended", outcome=Outcome.MIGRATED)
    assert world.claim() == []


def test_the_demand_stays_with_the_batch(world, estate):
    world.submit(estate.order(1), wanted=False)
    assert world.control.unapproved(world.control.batch()) == ()
    world.submit(estate.order(3))
    assert set(world.control.unapproved(world.control.batch())) == {"t1", "t3"}, "those that were there before too"
    world.submit(estate.order(1), estate.order(2), wanted=False)
    assert world.claim() == []
    assert set(world.control.unapproved(world.control.batch())) == {"t1", "t2", "t3"}


def test_what_has_begun_goes_on_and_what_was_brought_back_waits_again(world, estate):
    world.submit(estate.order(1))
    world.set("t1", vm_uuid="vm-1")
    assert world.claim() == ["t1"]
    world.set("t1", state="waiting", facts_json=batches.document((BROUGHT_BACK,)))
    assert world.claim() == [], "its source runs again: the next attempt is another outage"
    world.set("t1", state="waiting", facts_json=batches.document((BROUGHT_BACK, WAS_ON)))
    assert world.claim() == ["t1"]
    assert world.control.out_of_service(world.control.batch()) == ("t1",)


def test_two_machines_of_one_name_are_told_by_their_ids(world, estate):
    first, second = estate.order(1), estate.order(2)
    twin = kit.replace(second, machine=kit.replace(second.machine, name="web1"))
    world.submit(first, twin)
    assert {one.split("--machine ")[1] for one in world.waits_for().values()} == {"m1 --by NAME", "m2 --by NAME"}


def test_an_approval_stands_in_the_chained_log(world, estate):
    world.now = kit.NOW + timedelta(days=1)
    (made,) = world.control.approve([word(wave=1, change="CHG-1")])
    with world.store.reading() as connection:
        (entry,) = journal.read(connection, PLAN[:12])
        assert journal.broken([entry]) == ""
    told = entry.fields
    assert (made.number, made.user, made.time) == (entry.number, "op@here", world.now)
    assert told["text"] == f"wave 1: approved by Ada (CHG-1), plan {PLAN}"
    assert (told["kind"], told["plan"], told["by"], told["user"]) == ("approval", PLAN, "Ada", "op@here")
    assert world.control.said(PLAN) == (made,)


def test_a_worker_goes_by_it(world, estate):
    batch = world.submit(estate.order(1), estate.order(2))
    world.control.approve([word(machine_id="m1", source="src")])

    def ends(migration):
        world.control.approve([word()])

    estate.watcher.end = ends
    Worker(
        world.store, DbosEngine(), lambda _: estate.doors, estate.watcher, now=lambda: kit.NOW, pacing=kit.QUICK
    ).run("b1")
    with world.store.reading() as connection:
        events = [(one.fields["kind"], one.row) for one in journal.read(connection)]
    assert [one.outcome for one in world.control.migrations(batch)] == [Outcome.MIGRATED] * 2
    assert events.index(("outcome", "t1")) < events.index(("phase", "t2"))
