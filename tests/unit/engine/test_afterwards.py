# SPDX-License-Identifier: Apache-2.0
"""What follows a start: rows that go back by themselves, and sources that have to stay off."""

import importlib.util
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from v2x.engine.batches import State, update
from v2x.engine.control import Control
from v2x.engine.dbos import DbosEngine
from v2x.engine.inline import InlineEngine
from v2x.engine.live import Actor, Ledger
from v2x.engine.memory import ALARM, FINALIZED, STOPPED, fact, label_of, recalled, saved_of, told_of
from v2x.engine.metrics import metrics_text
from v2x.engine.orders import itinerary_of
from v2x.engine.vigil import Vigil
from v2x.engine.wayback import Returns
from v2x.engine.worker import Worker
from v2x.errors import SourceError, TargetError
from v2x.model.health import Aftercare, GuestNow, Health, Mark, OnFail
from v2x.model.hook import Hook
from v2x.model.machine import PowerState
from v2x.model.migration import Outcome, Phase
from v2x.model.plan import Running

_spec = importlib.util.spec_from_file_location("engine_doubles", Path(__file__).with_name("conftest.py"))
kit = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(kit)

ROLLBACK = Aftercare(on_fail=OnFail.ROLLBACK, health_seconds=0.1)
WELL = GuestNow(running=True, agent=True, drivers=True, disks=(2**40,), started="t1")
ACTOR = Actor(user="op", worker="", version="0")


@pytest.fixture
def world(estate):
    """A source with power and a target that tells of its guests and knows the way back; `did` is what was done."""

    class World:
        def __init__(self):
            self.did = []
            self.power = PowerState.ON
            self.guest = WELL
            self.start_time = "2026-01-01T00:00:00Z"
            source, target = estate.source, estate.target
            source.state = lambda _machine: self.power
            source.shutdown = lambda *_: self.turn(PowerState.OFF)
            source.power_on = lambda _machine: self.turn(PowerState.ON)
            source.stay_off = lambda _machine: self.did.append("stay off")
            source.was = lambda _machine: {"nic 1": "yes"}
            source.give_back = lambda _machine, old: self.did.append(f"give back {old}")
            source.label = lambda _machine: {"name": "web1", "notes": ""}
            source.relabel = lambda _machine, wanted: self.did.append(f"label {sorted(wanted)}")
            target.guest = lambda _claim: self.guest
            target.first_start = lambda _claim: self.start_time
            target.halt = lambda _claim: self.did.append("halt")
            target.remove = lambda _claim: self.did.append("remove")

        def turn(self, power):
            self.power = power
            self.did.append(f"source {power}")

        def run(self, **changes):
            settings = {"start": True, "running": Running.SHUTDOWN, "keep_off": True, "care": ROLLBACK, **changes}
            engine = InlineEngine(estate.doors, estate.watcher)
            engine.submit([estate.order(1, **settings)])
            engine.resume()
            (migration,) = engine.status()
            return migration

    return World()


def test_a_machine_that_is_well_stays(world):
    done = world.run()
    assert done.outcome is Outcome.MIGRATED and not done.health.failed
    assert "halt" not in world.did and world.power is PowerState.OFF


def test_one_that_is_not_goes_back_in_the_right_order(world):
    world.guest = replace(WELL, running=False)
    done = world.run(care=replace(ROLLBACK, mark=Mark.BOTH))
    assert done.outcome is Outcome.ROLLED_BACK
    assert done.failure.code == "HEALTH" and "power" in done.failure.message
    assert world.did == ["source off", "stay off", "halt", "give back {'nic 1': 'yes'}", "source on"]


def test_without_the_word_it_stays(world):
    world.guest = replace(WELL, running=False)
    done = world.run(care=replace(ROLLBACK, on_fail=OnFail.KEEP, mark=Mark.BOTH))
    assert done.outcome is Outcome.MIGRATED and done.health.failed
    assert "halt" not in world.did and not any(one.startswith("label") for one in world.did), "not marked either"
    assert any("health check failed" in one for one in done.warnings)


def test_a_domain_controller_never_goes_back_by_itself_once_it_has_run(world):
    world.guest = replace(WELL, running=False)
    done = world.run(role="dc")
    assert done.outcome is Outcome.MIGRATED and "halt" not in world.did
    assert any("domain controller" in one for one in done.warnings)


def refused(_claim):
    raise TargetError("no host has room for it")


@pytest.mark.parametrize(("role", "on_fail"), [("", OnFail.ROLLBACK), ("dc", OnFail.ROLLBACK), ("", OnFail.KEEP)])
def test_a_start_that_fails(world, estate, role, on_fail):
    """Nothing has run on the target, so nothing is lost: a domain controller may go back too."""
    estate.target.start = refused
    world.start_time = ""
    done = world.run(role=role, care=replace(ROLLBACK, on_fail=on_fail))
    assert done.failure.message == "no host has room for it"
    if on_fail is OnFail.ROLLBACK:
        assert done.outcome is Outcome.ROLLED_BACK
        assert world.did[-3:] == ["halt", "give back {'nic 1': 'yes'}", "source on"]
    else:
        assert done.outcome is Outcome.FAILED
        assert world.did == ["source off", "stay off"], "the machine is on the target, and its source stays as it is"


def test_a_way_back_that_is_barred_is_told(world, estate):
    world.guest = replace(WELL, running=False)

    def barred(_claim):
        raise TargetError("the pool is gone")

    estate.target.halt = barred
    done = world.run()
    assert done.outcome is Outcome.MIGRATED
    assert any("could not be rolled back by itself" in one for one in done.warnings)
    assert world.power is PowerState.OFF, "two of one machine never run"


def test_steps_that_do_nothing_for_a_row_are_left_out(estate):
    def phases(**changes):
        return {step.phase for step in itinerary_of(estate.order(1, **changes))}

    extra = {Phase.RECORD, Phase.START, Phase.HEALTH, Phase.MARK}
    assert not phases() & extra
    assert phases(running=Running.SHUTDOWN) & extra == {Phase.RECORD}
    assert phases(start=True) & extra == {Phase.RECORD, Phase.START, Phase.HEALTH}
    assert phases(start=True, care=Aftercare(health_seconds=0, mark=Mark.NAME)) & extra == {
        Phase.RECORD,
        Phase.START,
        Phase.MARK,
    }


def test_of_facts_the_last_holds_but_of_what_a_source_was_the_first():
    facts = ['was {"nic 1":"yes"}', fact("health ", Health(seconds=1.0)), 'was {"nic 1":"no"}', ALARM + "it runs"]
    facts.append(fact("health ", Health(seconds=2.0)))
    assert saved_of(facts) == {"nic 1": "yes"}
    assert recalled(facts, "health ", Health).seconds == 2
    assert told_of(facts)["alarm"] == "it runs" and told_of(facts)["outage"] is None
    assert label_of(facts) == {}


@pytest.fixture
def vigil(estate, tmp_path):
    """A batch of three machines whose sources are off, and somebody who looks at them."""

    class Watched:
        def __init__(self):
            self.store = estate.store()
            self.states = dict.fromkeys(("m1", "m2", "m3"), PowerState.OFF)
            self.asked = []
            estate.source.states = self.tell
            hook = Hook(name="call", at=("alarm",), command=("/usr/bin/tee", str(tmp_path / "told")))
            estate.submit(self.store, [estate.order(number, hooks=("call",)) for number in (1, 2, 3)])
            for row in ("t1", "t2", "t3"):
                self.set(row, state=State.ENDED, outcome=Outcome.MIGRATED, facts_json=f'["was on","{STOPPED}"]')
            self.control = Control(self.store, ACTOR, lambda: clock[0])
            ledger = Ledger(self.store, ACTOR, lambda: clock[0])
            self.vigil = Vigil(ledger, lambda _batch: estate.doors, hooks={"call": hook}, seconds=60)

        def set(self, row, **values):
            with self.store.writing() as connection:
                update(connection, "b1", row, **values)

        def tell(self, machines):
            self.asked.append([one.id for one in machines])
            return {one.id: self.states[one.id] for one in machines if one.id in self.states}

        def status(self):
            return self.control.status(self.control.batch("b1"))

        def alarms(self):
            return {row.migration.machine_name for row in self.status().rows if row.migration.alarm}

    clock = [datetime(2026, 1, 1, tzinfo=UTC)]
    made = Watched()
    made.clock = clock
    return made


def test_one_question_for_all_machines_of_a_source(vigil):
    looked = vigil.vigil.look()
    assert looked.machines == 3 and not looked.alarms
    assert vigil.asked == [["m1", "m2", "m3"]]


def test_no_source_is_asked_before_it_is_due_by_whichever_worker(vigil):
    vigil.vigil.look()
    vigil.vigil.look()
    assert len(vigil.asked) == 1
    vigil.clock[0] += timedelta(seconds=61)
    vigil.vigil.look()
    assert len(vigil.asked) == 2
    vigil.vigil.look(at_once=True)
    assert len(vigil.asked) == 3


def test_an_alarm_is_raised_once_and_ends_when_it_is_off_again(vigil, tmp_path):
    vigil.states["m2"] = PowerState.ON
    assert vigil.vigil.look(at_once=True).alarms[0].startswith("web2: its source was started again, seen 2026-01-01")
    assert vigil.alarms() == {"web2"}
    assert '"alarm": "SOURCE-RESTARTED"' in (tmp_path / "told").read_text()
    assert 'v2x_batch_source_alarms{batch="b1"} 1' in metrics_text([vigil.status()])
    (tmp_path / "told").unlink()
    vigil.vigil.look(at_once=True)
    assert not (tmp_path / "told").exists()
    vigil.states["m2"] = PowerState.OFF
    assert not vigil.vigil.look(at_once=True).alarms
    assert not vigil.alarms()


def test_a_suspended_source_was_started_too_and_one_that_is_gone_was_not(vigil):
    vigil.states["m1"] = PowerState.SUSPENDED
    del vigil.states["m3"]
    vigil.vigil.look(at_once=True)
    assert vigil.alarms() == {"web1"}


@pytest.mark.parametrize(
    "values",
    [
        {"facts_json": f'["was on","{STOPPED}","{FINALIZED}"]'},
        {"facts_json": '["was on"]'},
        {"outcome": Outcome.ROLLED_BACK},
        {"outcome": Outcome.FAILED},
        {"state": State.RUNNING},
    ],
)
def test_who_may_run_at_its_source_is_left_alone(vigil, values):
    vigil.set("t2", **values)
    vigil.states["m2"] = PowerState.ON
    vigil.vigil.look(at_once=True)
    assert vigil.asked == [["m1", "m3"]] and not vigil.alarms()
    assert vigil.vigil.pending("b1") == 2


def test_a_source_that_does_not_answer_is_no_alarm_and_is_said(vigil, estate):
    def lost(_machines):
        raise SourceError("no route to vc")

    estate.source.states = lost
    looked = vigil.vigil.look(at_once=True)
    assert looked.problems == ("src: no route to vc",) and not vigil.alarms()


def test_where_a_source_has_no_such_question_each_is_asked(vigil, estate):
    del estate.source.states
    asked = []

    def state(machine):
        asked.append(machine.id)
        if machine.id == "m3":
            raise SourceError("gone", code="SOURCE-GONE")
        return PowerState.ON

    estate.source.state = state
    estate.source.shutdown = estate.source.power_on = lambda *_: None
    vigil.vigil.look(at_once=True)
    assert asked == ["m1", "m2", "m3"] and vigil.alarms() == {"web1", "web2"}


def test_a_watcher_looks_by_itself(vigil):
    vigil.states["m1"] = PowerState.ON
    vigil.vigil.rounds.start()
    vigil.vigil.rounds.stop()
    assert vigil.alarms() == {"web1"}


@pytest.mark.parametrize("sealed", [True, False])
def test_one_whose_start_failed_can_be_taken_back_by_hand(world, estate, sealed):
    store = estate.store()
    order = estate.order(1, start=True)
    estate.submit(store, [order])
    claim = estate.target.claim(order.spec, order.id)
    if sealed:
        estate.target.seal(claim, order.spec)
    world.start_time = ""
    with store.writing() as connection:
        update(connection, "b1", "t1", state=State.ENDED, outcome=Outcome.FAILED, attempt=1, facts_json='["was on"]')
    clock = datetime(2026, 1, 1, tzinfo=UTC)
    batch = Control(store, ACTOR, lambda: clock).batch("b1")
    returns = Returns(store, Ledger(store, ACTOR, lambda: clock), estate.doors)
    assert returns.roll_back(batch, "t1") == "web1 is back at its source; its copy stays on the pool"
    assert world.did == (["halt", "source on"] if sealed else ["source on"]), "what is not sealed cannot start"


def test_a_guest_that_boots_keeps_no_other_machine_waiting(estate):
    """With one row at once, the second is copied while the first one boots."""
    store = estate.store()
    care = Aftercare(health_seconds=60)
    estate.submit(store, [estate.order(number, start=True, care=care) for number in (1, 2)])
    target, sealed = estate.target, []
    seal = target.seal
    target.seal = lambda claim, spec: (seal(claim, spec), sealed.append(spec.name))
    target.guest = lambda _claim: WELL if len(sealed) == 2 else replace(WELL, agent=None, running=False)
    worker = Worker(
        store, DbosEngine(), lambda _batch: estate.doors, estate.watcher, rows_at_once=1, pacing=kit.QUICK
    )  # fmt: skip
    worker.run("b1")
    assert sorted(sealed) == ["web1", "web2"]
    assert [one.outcome for one in estate.watcher.ended] == [Outcome.MIGRATED] * 2
    assert not any(one.health.failed for one in estate.watcher.ended)
    assert all(one.health.seconds < 50 for one in estate.watcher.ended)
