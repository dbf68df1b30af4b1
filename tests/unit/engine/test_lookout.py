# SPDX-License-Identifier: Apache-2.0
"""A worker that looks after the pool it copies to, with machines and targets in memory."""

import threading
import time
from datetime import UTC, datetime

import pytest

from tests.strain_log import judge
from v2x.engine import crew, dispatch, journal, slots
from v2x.engine.attempt import Patience
from v2x.engine.control import Control
from v2x.engine.dbos import DbosEngine
from v2x.engine.durable import Pacing
from v2x.engine.live import Actor
from v2x.engine.lookout import Lookout
from v2x.engine.worker import Worker
from v2x.errors import ConnectError, LoginError
from v2x.migrate.observe import Silent
from v2x.model.migration import Outcome
from v2x.target.interface import Load

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = "pool-host:pool/h1"
QUICK = Pacing(look_seconds=0.02, beat_seconds=0.02, strain_seconds=0.05, patience=Patience(attempts=1))


class Loaded:
    """A target that tells what `cpu` says; everything else is the estate's."""

    def __init__(self, inner, cpu):
        self._inner, self._cpu = inner, cpu
        self.asked = []

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def load(self, hosts, storage):
        self.asked.append((tuple(hosts), tuple(storage)))
        return Load(cpu={"h1": self._cpu()})


@pytest.fixture
def world(estate):
    class World:
        def __init__(self):
            self.store = estate.store()
            self.now = NOW
            self.control = Control(self.store, Actor(user="op", worker="", version="0"), lambda: self.now)

        def submit(self, count, batch="b1"):
            orders = [estate.order(f"{batch}{n}", host=f"esx{n}", pool_host="h1") for n in range(count)]
            estate.submit(self.store, orders, batch)

        def worker(self):
            return Worker(
                self.store, DbosEngine(), lambda _batch: estate.doors, estate.watcher,
                now=lambda: self.now, pacing=QUICK,
            )  # fmt: skip

        def lookout(self, doors=None, seconds=15.0):
            worker = self.worker()
            made = self.control.batch("b1")
            return Lookout(
                self.store, worker.ledger, "w1", lambda _b: doors or estate.doors, lambda: {"pool": made},
                seconds=seconds, failed=lambda _p: None,
            )  # fmt: skip

        def claim(self):
            with self.store.exclusive("dispatch") as connection:
                return len(dispatch.claim(connection, "w1", 99, self.now))

        def entries(self):
            with self.store.reading() as connection:
                return list(journal.read(connection))

        def strain(self):
            return {one.key: one for one in self.control.status(self.control.batch("b1")).strain}

    return World()


class Slow(Silent):
    def progress(self, disk, count_bytes):
        time.sleep(0.02)


def test_the_log_proves_that_fewer_are_in_flight_while_the_host_is_strained_and_more_after(world, estate):
    looks = []

    def cpu():
        looks.append(1)
        return 0.95 if len(looks) <= 3 else 0.1

    target = Loaded(estate.target, cpu)
    estate.doors.given = (estate.source, target)
    estate.watcher.observer = Slow
    world.submit(26)
    world.worker().run("b1")
    assert {one.outcome for one in world.control.migrations(world.control.batch())} == {Outcome.MIGRATED}
    judged = judge(world.entries(), KEY)
    assert (judged.reductions, judged.recoveries, judged.least, judged.lifted) == (3, 3, 1, True)
    assert judged.at_fall == 8 and judged.begun_after >= 10
    assert set(target.asked) == {(("h1",), ("sr",))}


def test_running_copies_get_their_share_at_once_and_the_operators_rate_holds_besides(world, estate):
    worker = world.worker()
    world.submit(2)
    keys = slots.keys_of(estate.order(1, pool_host="h1"))
    worker._beat.limits, worker._beat.shares = {}, {}
    assert worker._rate(keys) == 0
    worker._beat.shares = {KEY: 500}
    assert worker._rate(keys) == 500
    assert worker._rate(slots.keys_of(estate.order(1, pool_host="h2"))) == 0
    worker._beat.limits = {"rate": "300"}
    assert worker._rate(keys) == 300
    worker._beat.limits = {"rate": "900"}
    assert worker._rate(keys) == 500


def test_a_target_that_tells_nothing_is_asked_once(world, estate):
    world.submit(3)
    world.claim()
    lookout = world.lookout()
    lookout.look()
    lookout.look()
    assert estate.doors.opened == ["pool"]
    assert world.strain() == {}


class Refuses:
    def __init__(self, problem):
        self.problem, self.opened = problem, 0

    def target(self, alias):
        self.opened += 1
        raise self.problem


def test_a_refused_password_is_not_tried_again(world):
    world.submit(1)
    world.claim()
    doors = Refuses(LoginError("refused"))
    lookout = world.lookout(doors)
    for _ in range(3):
        lookout.look()
    assert doors.opened == 1
    assert world.strain()[KEY].missing == "cpu: refused"


def test_a_pool_out_of_reach_is_not_measured_and_asked_again(world):
    world.submit(1)
    world.claim()
    doors = Refuses(ConnectError("no way"))
    lookout = world.lookout(doors)
    for _ in range(3):
        lookout.look()
    assert doors.opened == 3
    assert world.strain()[KEY].measured == {"cpu": None}


def test_what_nobody_foresaw_keeps_no_machine_from_arriving(world, estate, caplog):
    def cpu():
        raise ValueError("odd answer")

    estate.doors.given = (estate.source, Loaded(estate.target, cpu))
    estate.watcher.observer = Slow
    world.submit(12)
    world.worker().run("b1")
    assert {one.outcome for one in world.control.migrations(world.control.batch())} == {Outcome.MIGRATED}
    said = [one.message for one in caplog.records if "odd answer" in one.message]
    assert said == ["the strain of the targets is not measured: ValueError: odd answer"]


def test_with_every_threshold_off_nothing_is_opened(world, estate):
    world.submit(1)
    world.claim()
    for key in ("strain.cpu", "strain.latency", "strain.chains"):
        world.control.throttle(key, "0")
    world.lookout().look()
    assert estate.doors.opened == []


def test_only_one_worker_looks(world, estate):
    world.submit(1)
    world.claim()
    target = Loaded(estate.target, lambda: 0.5)
    estate.doors.given = (estate.source, target)
    first, second = world.lookout(), world.lookout()
    second._worker = "w2"
    for _ in range(3):
        first.look()
        second.look()
    assert len(target.asked) == 3
    first.stop()
    second.stop()


def test_a_worker_for_one_batch_leaves_the_others_alone(world, estate):
    world.submit(3, "b1")
    world.submit(3, "b2")
    world.worker().run("b2")
    outcomes = {one.id: one.outcome for name in ("b1", "b2") for one in world.control.migrations(batch(world, name))}
    assert {outcomes[f"tb2{n}"] for n in range(3)} == {Outcome.MIGRATED}
    assert {outcomes[f"tb1{n}"] for n in range(3)} == {Outcome.PENDING}
    world.worker().run()
    assert {one.outcome for one in world.control.migrations(batch(world, "b1"))} == {Outcome.MIGRATED}


def batch(world, name):
    return world.control.batch(name)


def test_rows_of_another_batch_that_a_killed_process_was_at_wait_for_their_own(world, estate):
    """The durable engine continues what it has begun; a process that is there for another batch must not do it."""
    world.submit(2, "b1")
    world.submit(1, "b2")

    worker = world.worker()
    hung, go = threading.Event(), threading.Event()

    class Hangs(Silent):
        def progress(self, disk, count_bytes):
            hung.set()
            go.wait(20)

    estate.watcher.observer = Hangs
    thread = threading.Thread(target=worker.run, args=("b1",))
    thread.start()
    assert hung.wait(20)
    worker.drain()
    go.set()
    thread.join(20)
    with world.store.exclusive("dispatch") as connection:
        claimed = dispatch.claim(connection, worker.id, 1, world.now, "b1")
    second = world.worker()
    second._batch = "b2"
    second._run_row(claimed[0].batch, claimed[0].id, claimed[0].attempt, lambda _n, step: step())
    with world.store.reading() as connection:
        assert dispatch.running(connection, worker.id) == {}
        assert slots.used_slots(connection) == {}
    estate.watcher.observer = Silent
    world.worker().run("b1")
    assert {one.outcome for one in world.control.migrations(batch(world, "b1"))} == {Outcome.MIGRATED}


def test_status_counts_only_workers_that_work_on_the_batch(world):
    world.submit(1, "b1")
    world.submit(1, "b2")
    with world.store.writing() as connection:
        crew.join(connection, "one", "b1", "2026")
        crew.join(connection, "all", "", "2027")
    found = {name: world.control.status(batch(world, name)).workers for name in ("b1", "b2")}
    assert found == {"b1": ("one", "all"), "b2": ("all",)}
    with world.store.writing() as connection:
        crew.leave(connection, "all")
    assert world.control.status(batch(world, "b2")).rows[0].waits_for.startswith("a worker")
