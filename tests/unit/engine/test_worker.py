# SPDX-License-Identifier: Apache-2.0
"""A worker over the durable engine, with machines in memory."""

import fcntl
import importlib.util
import itertools
import sqlite3
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from v2x.engine import dispatch, journal, tables
from v2x.engine.control import Control
from v2x.engine.dbos import JOURNAL, DbosEngine
from v2x.engine.live import Actor
from v2x.engine.locks import FolderLock
from v2x.engine.row import RowRun
from v2x.engine.store import StateError
from v2x.engine.worker import Worker
from v2x.errors import Conflict, Retry, TargetError, UsageError
from v2x.migrate.observe import Silent
from v2x.model.machine import Memory
from v2x.model.migration import Outcome, Phase

_spec = importlib.util.spec_from_file_location("engine_doubles", Path(__file__).with_name("conftest.py"))
kit = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(kit)


@pytest.fixture
def batch(estate):
    """A factory: submits orders, and gives a worker and a control over them."""

    class World:
        def __init__(self):
            self.store = estate.store()
            self.control = Control(self.store, Actor(user="op", worker="", version="0"), lambda: kit.NOW)

        def submit(self, *orders):
            estate.submit(self.store, orders)
            return self.control.batch("b1")

        def worker(self, durable=None):
            return Worker(
                self.store, durable or DbosEngine(), lambda _batch: estate.doors, estate.watcher,
                now=lambda: kit.NOW, pacing=kit.QUICK,
            )  # fmt: skip

        def outcomes(self):
            return {one.id: one.outcome for one in self.control.migrations(self.control.batch("b1"))}

        def events(self):
            with self.store.reading() as connection:
                return list(journal.read(connection))

    return World()


def test_machines_arrive_and_what_was_done_is_kept(batch, estate):
    batch.submit(estate.order(1), estate.order(2))
    batch.worker().run("b1")
    assert batch.outcomes() == {"t1": Outcome.MIGRATED, "t2": Outcome.MIGRATED}
    one = batch.control.migrations(batch.control.batch())[0]
    assert (one.phase, one.vm_uuid, one.started, one.finished) == (Phase.DONE, "vm", kit.NOW, kit.NOW)
    assert one.disks[0].digests is not None
    kinds = [entry.fields["kind"] for entry in batch.events() if entry.row == "t1"]
    assert kinds == ["phase"] * 7 + ["outcome"]
    assert journal.broken(batch.events()) == ""
    assert {entry.fields["worker"] for entry in batch.events()} == {"v2x-local"}
    status = batch.control.status(batch.control.batch())
    assert status.used == {}
    assert status.copied_bytes == status.size_bytes


def test_what_may_heal_is_tried_again_and_what_cannot_is_not(batch, estate, monkeypatch):
    tries = []
    seal = estate.target.seal

    def fails(claim, spec):
        tries.append(claim.tag)
        if claim.tag == "t1" and tries.count("t1") == 1:
            raise TargetError("busy", retry=Retry.LATER)
        if claim.tag == "t2":
            raise TargetError("never")
        seal(claim, spec)

    monkeypatch.setattr(estate.target, "seal", fails)
    batch.submit(estate.order(1), estate.order(2))
    batch.worker().run("b1")
    assert batch.outcomes() == {"t1": Outcome.MIGRATED, "t2": Outcome.FAILED}
    assert (tries.count("t1"), tries.count("t2")) == (2, 1)
    one, two = batch.control.migrations(batch.control.batch())
    assert one.warnings == ("busy; trying again",)
    assert (two.failure.code, two.failure.exit_code) == ("TARGET", 4)
    monkeypatch.setattr(estate.target, "seal", seal)
    assert batch.control.retry(batch.control.batch()) == 1
    batch.worker().run("b1")
    assert batch.outcomes()["t2"] is Outcome.MIGRATED


class Acts(Silent):
    """Does something at the first block that is copied."""

    def __init__(self, act):
        self.act = act

    def progress(self, disk, count_bytes):
        self.act()


def test_drained_it_stops_at_a_mark_and_the_next_worker_continues(batch, estate):
    batch.submit(estate.order(1), estate.order(2))
    worker = batch.worker()
    estate.watcher.observer = lambda: Acts(worker.drain)
    worker.run("b1")
    assert Outcome.STOPPED in batch.outcomes().values()
    estate.watcher.observer = Silent
    batch.worker().run("b1")
    assert set(batch.outcomes().values()) == {Outcome.MIGRATED}
    assert len(estate.target.claims) == 2


def run_in_thread(worker, batch=""):
    thread = threading.Thread(target=worker.run, args=(batch,))
    thread.start()
    return thread


def test_paused_it_waits_and_resumed_it_goes_on(batch, estate):
    made = batch.submit(estate.order(1))
    reached = threading.Event()

    def pause():
        if not reached.is_set():
            batch.control.pause(made)
            reached.set()

    estate.watcher.observer = lambda: Acts(pause)
    worker = batch.worker()
    thread = run_in_thread(worker, "b1")
    assert reached.wait(20)
    thread.join(0.5)
    assert thread.is_alive()
    assert batch.control.status(made).paused
    assert not batch.control.pause(made)
    batch.control.pause(made, paused=False)
    thread.join(20)
    assert batch.outcomes() == {"t1": Outcome.MIGRATED}


@pytest.mark.parametrize("keep", [False, True])
def test_cancelled_it_leaves_nothing_unless_it_is_to_be_kept(batch, estate, keep):
    made = batch.submit(estate.order(1), estate.order(2))
    cancelled = threading.Event()

    class Waits(Acts):
        def progress(self, disk, count_bytes):
            self.act()
            worker._beat.beat()

    def cancel():
        if not cancelled.is_set():
            cancelled.set()
            batch.control.cancel(made, ["t1", "t2"], keep=keep)

    worker = batch.worker()
    estate.watcher.observer = lambda: Waits(cancel)
    worker.run("b1")
    assert set(batch.outcomes().values()) == {Outcome.CANCELLED}
    assert bool(estate.target.vdis) is keep
    if not keep:
        assert set(estate.source.released) == {"t1", "t2"}
    assert batch.control.status(made).used == {}


def test_a_failed_machine_can_be_cancelled_later_and_is_cleared_away(batch, estate, monkeypatch):
    made = batch.submit(estate.order(1))
    monkeypatch.setattr(estate.target, "corrupt", [0, 0, 0, 0])
    batch.worker().run("b1")
    assert batch.outcomes() == {"t1": Outcome.FAILED}
    assert estate.target.vdis
    assert batch.control.cancel(made, ["t1"]) == 1
    batch.worker().run("b1")
    assert batch.outcomes() == {"t1": Outcome.CANCELLED}
    assert not estate.target.vdis
    assert batch.control.cancel(made, ["t1"]) == 0


@pytest.mark.parametrize("outcome", [Outcome.READY, Outcome.STOPPED])
def test_one_that_is_cancelled_in_its_last_moment_is_cancelled_all_the_same(batch, estate, monkeypatch, outcome):
    """The wish comes when the row has looked for it for the last time, and goes on later instead."""
    made = batch.submit(estate.order(1))
    real, late = RowRun.follow, [True]

    def follow(self, journal):
        if not late:
            return real(self, journal)
        late.clear()
        assert batch.control.cancel(made, ["t1"]) == 1
        return outcome, None

    monkeypatch.setattr(RowRun, "follow", follow)
    batch.worker().run("b1")
    assert batch.outcomes() == {"t1": Outcome.CANCELLED}
    assert not estate.target.vdis


def test_one_that_was_never_begun_ends_at_once(batch, estate):
    made = batch.submit(estate.order(1))
    assert batch.control.cancel(made, ["t1"]) == 1
    assert batch.outcomes() == {"t1": Outcome.CANCELLED}


def test_the_second_process_is_refused(batch, estate):
    batch.submit(estate.order(1))
    with (batch.store.folder / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Conflict) as refused:
            batch.worker().run("b1")
    assert refused.value.code == "STATE-LOCKED"


def test_a_journal_that_would_run_code_is_refused(batch, estate):
    batch.submit(estate.order(1))
    batch.worker().run("b1")
    with sqlite3.connect(batch.store.folder / "journal.sqlite") as raw:
        raw.execute("UPDATE workflow_status SET serialization = 'py_pickle'")
    with pytest.raises(StateError, match="py_pickle"):
        batch.worker().run("b1")


def test_machines_of_another_version_are_not_continued_silently(batch, estate):
    batch.submit(estate.order(1))
    batch.worker().run("b1")
    with sqlite3.connect(batch.store.folder / "journal.sqlite") as raw:
        raw.execute("UPDATE workflow_status SET status = 'PENDING', application_version = 'v2x-journal-0'")
    with pytest.raises(StateError, match="v2x-journal-0"):
        batch.worker().run("b1")
    assert JOURNAL != "v2x-journal-0"


def test_a_folder_that_is_almost_full_starts_nothing(batch, estate, monkeypatch):
    batch.submit(estate.order(1))
    monkeypatch.setattr(batch.store, "free_bytes", lambda: 2**20)
    with pytest.raises(StateError) as refused:
        batch.worker().run("b1")
    assert refused.value.exit_code == 75
    assert batch.outcomes() == {"t1": Outcome.PENDING}


def test_a_folder_that_fills_up_drains_and_is_resumed(batch, estate, monkeypatch):
    batch.submit(*(estate.order(number, host="esx1") for number in range(30)))
    free = iter([2**40, 2**40])
    monkeypatch.setattr(batch.store, "free_bytes", lambda: next(free, 2**20))
    estate.watcher.observer = lambda: Acts(lambda: threading.Event().wait(0.05))
    with pytest.raises(StateError):
        batch.worker().run("b1")
    assert Outcome.PENDING in batch.outcomes().values()
    monkeypatch.undo()
    estate.watcher.observer = Silent
    batch.worker().run("b1")
    assert set(batch.outcomes().values()) == {Outcome.MIGRATED}


def test_names_of_machines_are_looked_up(batch, estate):
    made = batch.submit(estate.order(1), estate.order(2))
    assert batch.control.rows(made, ["web1", "t2", "m2"]) == ["t1", "t2", "t2"]
    with pytest.raises(UsageError, match="no machine moon"):
        batch.control.rows(made, ["moon"])
    with pytest.raises(UsageError, match="no batch"):
        batch.control.batch("zzz")


def test_what_a_waiting_machine_waits_for(batch, estate):
    made = batch.submit(
        *(estate.order(number) for number in range(5)), estate.order(8, turn=1), estate.order(9, wave=2)
    )
    assert {row.waits_for for row in batch.control.status(made).rows} == {"a worker (v2x batch resume)"}
    worker = batch.worker()
    worker._register()
    with batch.store.exclusive("dispatch") as connection:
        dispatch.claim(connection, worker.id, 99, kit.NOW)
    waits = {row.migration.id: row.waits_for for row in batch.control.status(made).rows if row.state == "waiting"}
    assert waits == {"t4": "a slot of source-host:esx1", "t8": "the machines of order 0", "t9": "wave 1"}
    batch.control.pause(made)
    assert batch.control.status(made).rows[-1].waits_for == "the batch to be resumed"


@pytest.mark.parametrize(("minutes", "outcome"), [(5, Outcome.MIGRATED), (15, Outcome.BLOCKED)])
def test_a_machine_listed_long_ago_is_compared_with_its_source_first(batch, estate, minutes, outcome):
    listed = kit.NOW - timedelta(minutes=minutes)
    order = replace(estate.order(1), machine=replace(estate.machine, memory=Memory(size_bytes=1)), listed=listed)
    same = replace(estate.order(2), machine=estate.machine, listed=listed)
    found = batch.submit(order, same)
    batch.worker().run(found.id)
    done = {one.id: one for one in batch.control.migrations(found)}
    assert (done["t1"].outcome, done["t2"].outcome) == (outcome, Outcome.MIGRATED)
    if outcome is Outcome.FAILED:
        assert done["t1"].failure.code == "SOURCE-DIFFERS"
        assert "of memory then" in done["t1"].failure.message
        assert set(estate.target.claims) == {"t2"}, "nothing was made"


def test_rows_that_begin_late_have_their_source_listed_once(batch, estate, monkeypatch):
    listed, asked = kit.NOW - timedelta(minutes=15), []
    orders = [replace(estate.order(number, host=f"esx{number}"), listed=listed) for number in range(6)]
    everything = [replace(one.machine, memory=estate.machine.memory) for one in orders]
    real = estate.source.inventory

    def inventory(select=None):
        asked.append(sorted(one.id for one in everything if select(one.id)))
        return replace(real(), machines=tuple(one for one in everything if select(one.id)))

    monkeypatch.setattr(estate.source, "inventory", inventory)
    found = batch.submit(*orders)
    batch.worker().run(found.id)
    assert set(batch.outcomes().values()) == {Outcome.MIGRATED}
    assert asked == [sorted(one.id for one in everything)]


def test_a_batch_is_named_by_its_plan_from_the_folder_it_lies_in(batch, estate, tmp_path, monkeypatch):
    made = batch.submit(estate.order(1))
    path = Path(made.plan_path).resolve()
    with batch.store.writing() as connection:
        connection.execute(tables.batches.update().values(plan_path=str(path)))
    monkeypatch.chdir(path.parent)
    assert batch.control.batch(path.name).id == made.id


def test_cold_machines_have_no_cutover(batch, estate):
    made = batch.submit(estate.order(1))
    with pytest.raises(UsageError, match="copied cold"):
        batch.control.cut_over(made, ["t1"])


def test_the_lock_that_is_held_already_is_used_and_released(batch, estate):
    batch.submit(estate.order(1))
    batch.worker().run("b1", lock=FolderLock(batch.store.folder))
    assert batch.outcomes() == {"t1": Outcome.MIGRATED}
    FolderLock(batch.store.folder).release()


def test_a_clock_that_jumps_changes_nothing_but_the_times(batch, estate):
    """Times are told by the wall clock; what waits, holds or gives up goes by one that does not jump."""
    moments = itertools.cycle((timedelta(), timedelta(days=400), timedelta(days=-400), timedelta(hours=-1)))
    batch.submit(*(estate.order(number) for number in range(1, 5)))
    worker = Worker(
        batch.store, DbosEngine(), lambda _batch: estate.doors, estate.watcher,
        now=lambda: kit.NOW + next(moments), pacing=kit.QUICK,
    )  # fmt: skip
    worker.run("b1")
    assert set(batch.outcomes().values()) == {Outcome.MIGRATED}
    assert journal.broken(batch.events()) == ""
    assert [entry.number for entry in batch.events()] == list(range(1, len(batch.events()) + 1))
    assert batch.control.status(batch.control.batch("b1")).used == {}


def test_what_a_stopped_machine_has_copied_stays_in_sight(batch, estate):
    made = batch.submit(estate.order(1))
    moved = {"disk": "d", "label": "d", "activity": "copy", "done_bytes": 7, "total_bytes": 9, "copied_bytes": 7}
    with batch.store.writing() as connection:
        connection.execute(
            tables.progress.insert().values(batch="b1", row="t1", rate_bytes=5.0, updated=kit.NOW.isoformat(), **moved)
        )
    stopped = batch.control.status(made)
    assert (stopped.copied_bytes, stopped.rate_bytes, stopped.rows[0].disk) == (7, 0, None)
