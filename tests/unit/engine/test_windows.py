# SPDX-License-Identifier: Apache-2.0
"""Outages that are foretold, and the windows that they have to fit in."""

import importlib.util
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from v2x.engine import batches, slots, windows
from v2x.engine.control import Control
from v2x.engine.dbos import DbosEngine
from v2x.engine.live import Actor
from v2x.engine.memory import WAS_ON
from v2x.engine.worker import Worker
from v2x.model.migration import DiskResult, Outcome, VerifyLevel
from v2x.model.plan import Running
from v2x.model.units import GIB, MIB

_spec = importlib.util.spec_from_file_location("engine_doubles", Path(__file__).with_name("conftest.py"))
kit = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(kit)
NIGHTS = "2026-01-02 20:00-23:00; 2026-01-09 20:00-23:00 UTC"
FIRST, LATER = datetime(2026, 1, 2, 20, 30, tzinfo=UTC), datetime(2026, 1, 9, 20, 30, tzinfo=UTC)
SPEED = 75 * MIB
"""What is assumed where nothing was measured or given."""


def hours(count, speed=SPEED):
    """A machine's bytes that take so many hours to be copied and read back."""
    return round(count * 3600 * speed / 2)


@pytest.fixture
def world(estate):
    class World:
        def __init__(self):
            self.store = estate.store()

        def order(self, number, size_bytes, **changes):
            order = estate.order(number, **changes)
            disks = tuple(replace(one, capacity_bytes=size_bytes, allocated_bytes=None) for one in order.machine.disks)
            return replace(order, machine=replace(order.machine, disks=disks))

        def submit(self, *orders):
            estate.submit(self.store, orders)

        def why(self, now):
            with self.store.reading() as connection:
                return {row: look.why for row, (_, look) in windows.looks(connection, "b1", now).items()}

        def missed(self, now):
            with self.store.reading() as connection:
                return windows.missed(connection, "b1", now)

        def write(self, change):
            with self.store.exclusive("dispatch") as connection:
                change(connection)

    return World()


def test_a_cold_row_waits_for_the_next_window_where_this_one_is_too_short_by_now(world):
    world.submit(world.order(1, hours(2.6), window=NIGHTS, running=Running.SHUTDOWN))
    # 2.6 hours, ten minutes of shutdown, one to seal and five to roll back: 2 h 52 min.
    assert world.why(datetime(2026, 1, 2, 20, 5, tzinfo=UTC)) == {}
    text = "its next window: 2026-01-09 20:00 UTC; the 172 minutes foretold are more than is left of this one"
    assert world.why(FIRST) == {"t1": text}
    assert world.missed(FIRST) == {}
    assert world.why(datetime(2026, 1, 9, 20, 7, tzinfo=UTC)) == {}
    lost = world.missed(LATER)["t1"]
    assert (lost.code, lost.exit_code) == ("MISSED-WINDOW", 4)
    assert "as long as the 172 minutes foretold, with 685.5 GiB to copy or read back" in lost.message


def test_the_time_to_roll_back_counts(world):
    for number, rollback in ((1, 0.0), (2, 1800.0)):
        world.submit(world.order(number, hours(2.3), window=NIGHTS, rollback_seconds=rollback))
    assert set(world.why(FIRST)) == {"t2"}


@pytest.mark.parametrize(("verify", "fits"), [(VerifyLevel.NONE, True), (VerifyLevel.SAMPLE, True), ("full", False)])
def test_what_is_read_back_counts(world, verify, fits):
    world.submit(world.order(1, hours(4), window=NIGHTS, verify=VerifyLevel(verify)))
    assert (world.why(FIRST) == {}) is fits


def test_one_that_no_window_is_long_enough_for_is_missed_at_once(world):
    world.submit(world.order(1, hours(9), window="daily 20:00-23:00 UTC"))
    assert "is as long as the 9.1 hours foretold" in world.missed(FIRST)["t1"].message


def test_a_measured_speed_goes_before_a_given_one_and_that_before_the_assumed(world):
    world.submit(
        world.order(1, hours(9), window=NIGHTS), world.order(2, 8 * MIB), world.order(3, 8 * MIB, window=NIGHTS)
    )
    assert set(world.missed(FIRST)) == {"t1"}
    world.write(lambda connection: windows.give_pace(connection, "b1", 10 * SPEED))
    assert world.missed(FIRST) == {}
    tiny = DiskResult(source_disk="a", label="a", sent_bytes=MIB, seconds=60)
    world.write(lambda connection: batches.keep_disks(connection, "b1", "t2", [tiny]))
    assert world.missed(FIRST) == {}, "a MiB tells nothing of the line"
    slow = DiskResult(source_disk="a", label="a", sent_bytes=GIB, seconds=GIB / SPEED)
    world.write(lambda connection: batches.keep_disks(connection, "b1", "t2", [slow]))
    assert set(world.missed(FIRST)) == {"t1"}
    fast = replace(slow, seconds=slow.seconds / 10)
    world.write(lambda connection: batches.keep_disks(connection, "b1", "t2", [fast]))
    assert world.missed(FIRST) == {}
    world.write(lambda connection: slots.set_limit(connection, slots.RATE, str(SPEED)))
    assert set(world.missed(FIRST)) == {"t1"}, "no faster than the limit"


def test_speeds_are_of_the_road_between_two_places(world):
    far = replace(world.order(2, 8 * MIB), source="elsewhere")
    world.submit(world.order(1, hours(9), window=NIGHTS), far)
    fast = DiskResult(source_disk="a", label="a", sent_bytes=GIB, seconds=1)
    world.write(lambda connection: batches.keep_disks(connection, "b1", "t2", [fast]))
    assert set(world.missed(FIRST)) == {"t1"}


def test_what_an_earlier_batch_measured_is_better_than_nothing(world, estate):
    estate.submit(world.store, [estate.order(7)], batch="b0")
    fast = DiskResult(source_disk="a", label="a", sent_bytes=GIB, seconds=1)
    world.write(lambda connection: batches.keep_disks(connection, "b0", "t7", [fast]))
    world.submit(world.order(1, hours(9), window=NIGHTS))
    assert world.missed(FIRST) == {}


def test_a_warm_row_is_not_given_up_for_its_length_before_it_was_copied(world):
    world.submit(world.order(1, hours(9), window=NIGHTS, warm=True))
    assert world.why(FIRST) == {"t1": "its window, which is too short for the 4.8 hours foretold"}
    assert world.missed(FIRST) == {}
    slow = DiskResult(source_disk="a", label="a", sent_bytes=GIB, seconds=GIB / SPEED)
    world.write(lambda connection: batches.keep_disks(connection, "b1", "t1", [slow]))
    assert "4.8 hours" in world.missed(FIRST)["t1"].message
    fast = replace(slow, seconds=slow.seconds / 10)
    world.write(lambda connection: batches.keep_disks(connection, "b1", "t1", [fast]))
    assert world.why(FIRST) == {} and world.missed(FIRST) == {}


def test_a_warm_row_that_is_out_of_service_goes_on_whatever_the_time(world):
    world.submit(world.order(1, MIB, window=NIGHTS, warm=True))
    over = LATER + timedelta(hours=5)
    assert world.missed(over) != {}
    world.write(lambda c: batches.update(c, "b1", "t1", facts_json=batches.document((WAS_ON,))))
    assert world.why(over) == {} and world.missed(over) == {}


PARIS = "Sun 01:00-04:00 Europe/Paris"


@pytest.mark.parametrize(
    ("now", "why"),
    [
        # The night on which two o'clock is followed by four: three hours by the wall clock, two by any other.
        (datetime(2026, 3, 29, 0, 0, tzinfo=UTC), "its next window: 2026-04-05 01:00 Europe/Paris; the 156 minutes"),
        (datetime(2026, 4, 4, 23, 0, tzinfo=UTC), None),
        # The night on which two o'clock comes twice: four hours.
        (datetime(2026, 10, 25, 0, 20, tzinfo=UTC), None),
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "its next window: 2026-11-01 01:00 Europe/Paris"),
    ],
)
def test_where_the_clocks_change_real_time_counts(world, now, why):
    world.submit(world.order(1, hours(2.5), window=PARIS))
    found = world.why(now)
    assert found == {} if why is None else found["t1"].startswith(why), found


def test_a_missed_row_that_was_begun_lets_go_of_its_source_first(world, estate):
    control = Control(world.store, Actor(user="op", worker="", version="0"), lambda: LATER)
    world.submit(
        world.order(1, MIB, window="2026-01-02 20:00-23:00 UTC"), world.order(2, MIB, window=NIGHTS, warm=True)
    )
    later = {"state": "waiting", "outcome": Outcome.READY, "due": (LATER + timedelta(days=9)).isoformat()}
    world.write(lambda c: batches.update(c, "b1", "t1", attempt=1, outcome=Outcome.STOPPED))
    world.write(lambda c: batches.update(c, "b1", "t2", attempt=3, vm_uuid="vm-2", cutover=True, **later))
    over = LATER + timedelta(hours=4)
    worker = Worker(
        world.store, DbosEngine(), lambda _batch: estate.doors, estate.watcher, now=lambda: over, pacing=kit.QUICK
    )
    worker.run("b1")
    done = control.migrations(control.batch("b1"))
    assert [one.outcome for one in done] == [Outcome.MISSED_WINDOW] * 2
    assert {one.failure.code for one in done} == {"MISSED-WINDOW"}
    assert estate.source.released == ["t1", "t2"] or estate.source.released == ["t2", "t1"]
    assert done[1].vm_uuid == "vm-2", "what was copied stays"
    assert estate.target.calls.count("claim") == 0
    assert control.retry(control.batch("b1")) == 2
