# SPDX-License-Identifier: Apache-2.0
"""Rows that come after others, and windows."""

import importlib.util
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from v2x.engine import batches, dispatch, gates
from v2x.engine.control import Control
from v2x.engine.dbos import DbosEngine
from v2x.engine.live import Actor
from v2x.engine.worker import Worker
from v2x.model.migration import DiskResult, Outcome, Phase

_spec = importlib.util.spec_from_file_location("engine_doubles", Path(__file__).with_name("conftest.py"))
kit = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(kit)
NIGHT = "2026-01-02 20:00-23:00 UTC"
BEFORE, INSIDE, LATE, OVER = (datetime(2026, 1, 2, hour, minute, tzinfo=UTC) for hour, minute in
                              ((19, 0), (20, 30), (22, 55), (23, 30)))  # fmt: skip


@pytest.fixture
def world(estate):
    """A store, with the words for what a dispatcher does at a moment."""

    class World:
        def __init__(self):
            self.store, self.now = estate.store(), kit.NOW
            self.control = Control(self.store, Actor(user="op", worker="", version="0"), lambda: self.now)

        def submit(self, *orders):
            estate.submit(self.store, orders)
            return self.control.batch("b1")

        def claim(self, now=kit.NOW):
            with self.store.exclusive("dispatch") as connection:
                return [one.id for one in dispatch.claim(connection, "w", 99, now)]

        def skip(self, now=kit.NOW):
            with self.store.exclusive("dispatch") as connection:
                return {one.row: one.failure.code for one in dispatch.skip(connection, now)}

        def set(self, row, **values):
            with self.store.exclusive("dispatch") as connection:
                if values.get("state", "running") != "running":
                    batches.slots.give_back(connection, row)
                batches.update(connection, "b1", row, **values)

        def through(self, row, outcome=Outcome.MIGRATED):
            self.set(row, state="ended", outcome=outcome)

        def cutovers(self, now):
            with self.store.reading() as connection:
                return {row for _, row in dispatch.cutovers(connection, "w", now)}

        def waits_for(self, now):
            self.now = now
            with self.store.writing() as connection:
                connection.execute(batches.tables.workers.delete())
                connection.execute(batches.tables.workers.insert().values(id="w", version="0", started="", seen=""))
            return {one.migration.id: one.waits_for for one in self.control.status(self.control.batch("b1")).rows}

    return World()


def test_a_row_starts_when_those_before_it_are_through(world, estate):
    world.submit(estate.order(1), estate.order(2, after=(("t1", "web1"),)), estate.order(3))
    assert world.claim() == ["t1", "t3"]
    assert world.waits_for(kit.NOW)["t2"] == "web1 to be through"
    assert world.claim() == []
    world.through("t1")
    assert world.claim() == ["t2"]


def test_one_that_was_migrated_already_is_through(world, estate):
    world.submit(estate.order(1), estate.order(2, after=(("t1", "web1"),)))
    world.through("t1", Outcome.ALREADY)
    assert world.claim() == ["t2"]


def test_one_that_is_not_in_the_batch_is_not_waited_for(world, estate):
    world.submit(estate.order(2, after=(("t9", "web9"),)))
    assert world.claim() == ["t2"]


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.CANCELLED, Outcome.ROLLED_BACK])
def test_rows_after_one_that_did_not_come_are_skipped_and_tried_again_with_it(world, estate, outcome):
    chain = [estate.order(number, after=((f"t{number - 1}", f"web{number - 1}"),)) for number in (2, 3)]
    batch = world.submit(estate.order(1), *chain)
    assert world.claim() == ["t1"]
    assert world.skip() == {}
    world.through("t1", outcome)
    assert world.skip() == {"t2": "AFTER-FAILED"}
    assert world.skip() == {"t3": "AFTER-FAILED"}
    assert world.skip() == {}
    found = {one.id: one for one in world.control.migrations(batch)}
    assert found["t2"].outcome is Outcome.SKIPPED
    assert found["t2"].failure.message == f"web1 was not migrated ({outcome}), and this machine comes after it"
    assert world.control.retry(batch) == (3 if outcome is Outcome.FAILED else 2)
    if outcome is Outcome.FAILED:
        assert world.claim() == ["t1"]


def test_a_stopped_one_is_still_waited_for(world, estate):
    world.submit(estate.order(1), estate.order(2, after=(("t1", "web1"),)))
    world.set("t1", state="waiting", outcome=Outcome.STOPPED)
    assert world.skip() == {}
    assert world.claim() == ["t1"]


def test_a_warm_row_is_copied_meanwhile_and_waits_with_its_cutover(world, estate):
    batch = world.submit(estate.order(1), estate.order(2, after=(("t1", "web1"),), warm=True))
    world.control.cut_over(batch, ["t2"])
    assert sorted(world.claim()) == ["t1", "t2"]
    assert world.cutovers(kit.NOW) == set()
    later = (kit.NOW + timedelta(hours=1)).isoformat()
    world.set("t2", state="waiting", outcome=Outcome.READY, due=later)
    assert world.claim() == []
    assert world.waits_for(kit.NOW)["t2"] == "web1 to be through"
    assert world.claim(kit.NOW + timedelta(hours=2)) == ["t2"]  # its next pass
    world.set("t2", state="waiting", outcome=Outcome.READY, due=later)
    world.through("t1")
    assert world.claim() == ["t2"]
    assert world.cutovers(kit.NOW) == {"t2"}


def test_a_cutover_at_a_time(world, estate):
    batch = world.submit(estate.order(1, warm=True))
    at, later = kit.NOW + timedelta(hours=3), (kit.NOW + timedelta(hours=9)).isoformat()
    assert world.control.cut_over(batch, ["t1"], at) == 1
    assert world.claim() == ["t1"]
    assert world.cutovers(kit.NOW) == set()
    world.set("t1", state="waiting", outcome=Outcome.READY, due=later)
    assert world.claim(at - timedelta(minutes=1)) == []
    assert world.waits_for(kit.NOW)["t1"] == f"its cutover at {at:%Y-%m-%d %H:%M} UTC"
    assert world.claim(at) == ["t1"], "it does not wait for its next pass"
    assert world.cutovers(at) == {"t1"}
    world.control.cut_over(batch, ["t1"])
    assert world.cutovers(kit.NOW) == {"t1"}, "the last word counts: now"


def test_a_cold_row_begins_inside_of_its_window(world, estate):
    world.submit(estate.order(1, window=NIGHT), estate.order(2))
    assert world.claim(BEFORE) == ["t2"]
    assert world.waits_for(BEFORE)["t1"] == "its window: 2026-01-02 20:00 UTC"
    assert world.skip(BEFORE) == {}
    assert world.claim(INSIDE) == ["t1"]


def test_a_cold_row_that_has_begun_goes_on_whatever_the_time(world, estate):
    world.submit(estate.order(1, window=NIGHT))
    world.set("t1", vm_uuid="vm-1")
    assert world.skip(OVER) == {}
    assert world.claim(OVER) == ["t1"]


def test_a_missed_window_ends_the_row(world, estate):
    batch = world.submit(estate.order(1, window=NIGHT), estate.order(2, window=NIGHT, warm=True), estate.order(3))
    world.set("t2", state="waiting", outcome=Outcome.READY, due=OVER.isoformat(), vm_uuid="vm-2")
    assert world.skip(INSIDE) == {}
    assert world.skip(LATE) == {"t1": "MISSED-WINDOW"}, "what it needs is more than is left of its last window"
    assert world.skip(OVER) == {"t2": "MISSED-WINDOW"}
    assert world.claim(OVER) == ["t3"]
    assert {one.outcome for one in world.control.migrations(batch)[:2]} == {Outcome.MISSED_WINDOW}


def test_a_warm_row_is_cut_over_inside_of_its_window_only(world, estate):
    batch = world.submit(estate.order(1, window=NIGHT, warm=True, outage_seconds=60, shutdown_seconds=600))
    world.control.cut_over(batch, ["t1"])
    assert world.claim(BEFORE) == ["t1"]
    assert (world.cutovers(BEFORE), world.cutovers(INSIDE), world.cutovers(OVER)) == (set(), {"t1"}, set())
    # 22:55 and the seventeen minutes foretold are past 23:00.
    assert world.cutovers(LATE) == set()
    world.set("t1", state="waiting", outcome=Outcome.READY, due=LATE.isoformat())
    assert world.claim(BEFORE) == []
    assert world.waits_for(BEFORE)["t1"] == "its window: 2026-01-02 20:00 UTC"
    assert world.claim(INSIDE) == ["t1"]


def test_what_is_read_back_inside_the_outage_counts_at_the_rate_of_the_passes(world, estate):
    order = estate.order(1, window=NIGHT, warm=True, outage_seconds=60, shutdown_seconds=0)
    batch = world.submit(order)
    world.control.cut_over(batch, ["t1"])
    world.claim(INSIDE)
    assert world.cutovers(INSIDE) == {"t1"}
    slow = DiskResult(source_disk="a", label="a", sent_bytes=1000, seconds=1000 * 3 * 3600 / order.size_bytes)
    with world.store.writing() as connection:
        batches.keep_disks(connection, "b1", "t1", [slow])
    assert world.cutovers(INSIDE) == set()
    assert world.waits_for(INSIDE)["t1"] == ""  # it runs


def test_of_partners_one_is_cut_over_at_a_time(world, estate):
    orders = [estate.order(number, warm=True, apart=("src/anti-affinity:web",)) for number in (1, 2, 3)]
    batch = world.submit(*orders, estate.order(4, warm=True))
    world.control.cut_over(batch, ["t1", "t2", "t3", "t4"])
    assert sorted(world.claim()) == ["t1", "t2", "t3", "t4"]
    assert world.cutovers(kit.NOW) == {"t1", "t4"}
    later = (kit.NOW + timedelta(hours=1)).isoformat()
    world.set("t2", state="waiting", outcome=Outcome.READY, due=later)
    assert world.waits_for(kit.NOW)["t2"] == "its partner web1 to be through"
    assert world.claim() == []
    world.through("t1")
    assert world.cutovers(kit.NOW) == {"t3", "t4"}, "the one that is ready meanwhile"
    world.through("t3", Outcome.FAILED)
    assert world.claim() == ["t2"]
    assert world.cutovers(kit.NOW) == {"t2", "t4"}


def test_a_partner_that_is_out_of_service_goes_before_the_first_of_the_plan(world, estate):
    batch = world.submit(*(estate.order(number, warm=True, apart=("a",)) for number in (1, 2)))
    world.control.cut_over(batch, ["t1", "t2"])
    world.claim()
    world.set("t2", phase=Phase.LAST_SYNC)
    assert world.cutovers(kit.NOW) == {"t2"}


def test_who_waits_for_its_window_keeps_no_partner_from_going(world, estate):
    team = {"warm": True, "apart": ("src/anti-affinity:web",)}
    batch = world.submit(estate.order(1, window=NIGHT, **team), estate.order(2, **team), estate.order(3, apart=("x",)))
    world.control.cut_over(batch, ["t1", "t2"])
    world.claim(BEFORE)
    assert world.cutovers(BEFORE) == {"t2"}


def test_a_cold_partner_is_out_of_service_while_it_runs(world, estate):
    batch = world.submit(estate.order(1, apart=("a",)), estate.order(2, warm=True, apart=("b", "a")))
    world.control.cut_over(batch, ["t2"])
    world.claim()
    assert world.cutovers(kit.NOW) == set()
    world.through("t1")
    assert world.cutovers(kit.NOW) == {"t2"}


def test_a_window_too_short_for_what_is_foretold_is_told(world, estate):
    batch = world.submit(
        estate.order(1, window="daily 20:00-20:05 UTC", warm=True, outage_seconds=60, shutdown_seconds=600)
    )
    world.control.cut_over(batch, ["t1"])
    world.set("t1", state="waiting", outcome=Outcome.READY, due=LATE.isoformat())
    assert world.waits_for(INSIDE)["t1"] == "its window, which is too short for the 17 minutes foretold"


def test_a_zone_that_this_worker_does_not_know_is_never_open(world, estate):
    world.submit(estate.order(1, window="daily 00:00-24:00 Mars/Olympus"))
    assert world.claim(INSIDE) == []


def test_a_worker_goes_by_it_and_says_what_it_skipped(estate):
    store = estate.store()
    control = Control(store, Actor(user="op", worker="", version="0"), lambda: kit.NOW)
    orders = [
        estate.order(1), estate.order(2, after=(("t1", "web1"),)), estate.order(3, window="2025-01-01 1:00-2:00 UTC"),
        estate.order(4, after=(("t3", "web3"),)),
    ]  # fmt: skip
    estate.submit(store, orders)
    batch = control.batch("b1")
    Worker(store, DbosEngine(), lambda _batch: estate.doors, estate.watcher, now=lambda: kit.NOW, pacing=kit.QUICK).run(
        "b1"
    )
    outcomes = {one.id: one.outcome for one in control.migrations(batch)}
    assert outcomes == {
        "t1": Outcome.MIGRATED, "t2": Outcome.MIGRATED, "t3": Outcome.MISSED_WINDOW, "t4": Outcome.SKIPPED
    }  # fmt: skip
    ended = [one.id for one in estate.watcher.ended]
    assert ended.index("t1") < ended.index("t2")
    assert {"t3", "t4"} < set(ended)


def test_what_a_gate_holds_is_kept_once(world, estate):
    order = estate.order(2, after=(("t1", "web1"), ("t1", "web1")), window=NIGHT)
    world.submit(estate.order(1), order)
    world.submit(estate.order(1), order)
    with world.store.reading() as connection:
        assert set(gates.held(connection, "b1", BEFORE).start) == {"t2"}
