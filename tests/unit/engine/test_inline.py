# SPDX-License-Identifier: Apache-2.0
import importlib.util
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from v2x.engine.inline import InlineEngine
from v2x.engine.interface import Order
from v2x.errors import ConnectError, SourceError, UsageError
from v2x.migrate.observe import Silent
from v2x.model.migration import Outcome, Phase, VerifyLevel
from v2x.model.target import StorageRepository

_path = Path(__file__).parents[1] / "migrate" / "conftest.py"
_spec = importlib.util.spec_from_file_location("migrate_doubles", _path)
doubles = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(doubles)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Watcher:
    def __init__(self):
        self.ended = []
        self.observer = Silent()

    def begin(self, order):
        return self.observer

    def end(self, migration):
        self.ended.append(migration)


class Doors:
    def __init__(self, source, target):
        self.given = (source, target)
        self.opened = []

    def source(self, alias):
        self.opened.append(alias)
        return self.given[0]

    def target(self, alias):
        self.opened.append(alias)
        if alias == "down":
            raise ConnectError("cannot connect to down")
        return self.given[1]


@pytest.fixture
def engine():
    class World:
        def __init__(self):
            contents = {"a": doubles.content({0: 1, 2: 2}, 4 * 2**21)}
            self.machine = doubles.machine_with(contents)
            self.source = doubles.MemorySource(self.machine, contents)
            self.target = doubles.MemoryTarget()
            self.doors = Doors(self.source, self.target)
            self.watcher = Watcher()
            self.engine = InlineEngine(self.doors, self.watcher, now=lambda: NOW, sleep=lambda _: None)

        def order(self, number, target="pool"):
            spec = replace(doubles.spec_of(self.machine), name=f"web{number}")
            return Order(
                id=f"t{number}", machine=self.machine, spec=spec, source="src", target=target, verify=VerifyLevel.FULL
            )

    return World()


def test_orders_run_in_turn_over_one_connection(engine):
    engine.engine.submit([engine.order(1), engine.order(2), engine.order(1)])
    engine.engine.resume()
    assert [one.outcome for one in engine.engine.status()] == [Outcome.MIGRATED, Outcome.MIGRATED]
    assert engine.doors.opened == ["src", "pool"]
    assert engine.target.calls[-1] == "close"
    assert [one.id for one in engine.watcher.ended] == ["t1", "t2"]


def test_a_failure_does_not_stop_the_others(engine):
    engine.engine.submit([engine.order(1, "down"), engine.order(2)])
    engine.engine.resume()
    first, second = engine.engine.status()
    assert first.outcome is Outcome.FAILED
    assert first.failure.code == "CONNECT"
    assert first.failure.exit_code == 5
    assert second.outcome is Outcome.MIGRATED


def test_a_bug_is_a_failure_of_its_machine_only(engine):
    engine.source.fail_at = 0
    engine.engine.submit([engine.order(1)])
    engine.engine.resume()
    (one,) = engine.engine.status()
    assert one.failure.code == "V2X-BUG"


def test_events_are_numbered_and_end_with_the_outcome(engine):
    engine.engine.submit([engine.order(1)])
    engine.engine.resume()
    events = engine.engine.events()
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert events[0].text == Phase.PREFLIGHT
    assert events[-1].text == Outcome.MIGRATED
    assert engine.engine.events(len(events) - 1) == events[-1:]


def test_drained_it_stops_and_resumes_where_it_was(engine):
    class Drains(Silent):
        def progress(self, disk, count_bytes):
            engine.engine.drain()

    engine.watcher.observer = Drains()
    engine.engine.submit([engine.order(1), engine.order(2)])
    engine.engine.resume()
    assert [one.outcome for one in engine.engine.status()] == [Outcome.STOPPED, Outcome.STOPPED]
    assert len(engine.target.claims) == 1
    engine.watcher.observer = Silent()
    engine.engine.resume()
    assert [one.outcome for one in engine.engine.status()] == [Outcome.MIGRATED, Outcome.MIGRATED]


def test_cancelled_it_leaves_nothing(engine):
    class Cancels(Silent):
        def progress(self, disk, count_bytes):
            engine.engine.cancel(["t1"])

    engine.watcher.observer = Cancels()
    engine.engine.submit([engine.order(1)])
    engine.engine.resume()
    (one,) = engine.engine.status(["t1"])
    assert one.outcome is Outcome.CANCELLED
    assert not engine.target.vdis
    assert engine.source.released == ["t1"]


def test_only_known_limits(engine):
    engine.engine.throttle("rate", 10**9)
    with pytest.raises(UsageError):
        engine.engine.throttle("moon", 1)


def test_warnings_are_kept(engine):
    engine.target.corrupt = [2]
    engine.engine.submit([engine.order(1)])
    engine.engine.resume()
    (one,) = engine.engine.status()
    assert "copied once more" in one.warnings[0]
    assert one.disks[0].verified == "full"


def test_a_machine_that_stopped_keeps_its_promise_of_room_and_gives_it_up_when_done(engine):
    storage = (StorageRepository(uuid="sr", name="SR", kind="ext", size_bytes=12 * 2**20, hosts=("h",)),)
    known = engine.target.facts
    engine.target.facts = lambda: replace(known(), storage=storage)
    disks = tuple(replace(disk, allocated_bytes=8 * 2**20) for disk in engine.machine.disks)
    engine.machine = replace(engine.machine, disks=disks)

    class Breaks(Silent):
        def progress(self, disk, count_bytes):
            raise SourceError("the source went away")

    class OnlyFirst(Watcher):
        def begin(self, order):
            return Breaks() if order.id == "t1" else Silent()

    engine.engine._watcher = OnlyFirst()
    engine.engine.submit([engine.order(1), engine.order(2)])
    engine.engine.resume()
    first, second = engine.engine.status()
    assert (first.outcome, second.outcome) == (Outcome.FAILED, Outcome.FAILED)
    assert second.failure.code == "NO-SPACE"
    assert "6 MiB of it for machines that are on their way" in second.failure.message
    engine.engine.submit([engine.order(3)])
    engine.engine._reservations.release("t1")
    engine.engine.resume()
    assert engine.engine.status(["t3"])[0].outcome is Outcome.MIGRATED
