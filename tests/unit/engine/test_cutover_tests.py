# SPDX-License-Identifier: Apache-2.0
"""Test cutovers in a state database: who may be tested, what holds a row, what is kept and shown, and their end."""

import importlib.util
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from v2x.engine import batches, copies, dispatch, holds, journal
from v2x.engine.control import Control
from v2x.engine.cutover_tests import CutoverTests
from v2x.engine.dbos import DbosEngine
from v2x.engine.holds import Hold
from v2x.engine.live import Actor, Ledger
from v2x.engine.testable import in_order
from v2x.engine.testwatch import Watchman
from v2x.engine.wayback import Returns
from v2x.engine.worker import Worker
from v2x.errors import Conflict, NoSpace, TargetError, UsageError, V2xError
from v2x.model.machine import Nic, NicModel
from v2x.model.migration import DiskResult, Outcome
from v2x.model.rehearsal import Asked, Rehearsal, Seclusion
from v2x.model.target import TargetNic
from v2x.target.interface import Claim, ClaimedDisk, Room, Surroundings

_spec = importlib.util.spec_from_file_location("engine_doubles", Path(__file__).with_name("conftest.py"))
kit = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(kit)
MIB = 1024 * 1024


class Stage(kit.doubles.MemoryTarget):
    """A target in memory with copies; `acts` are its calls, `during` is called while disks are cloned."""

    def __init__(self):
        super().__init__()
        self.copies, self.acts, self.during, self.stages = {}, [], lambda: None, []
        self.rooms = (Room(uuid="sr", name="SR", thin=True, free_bytes=None),)

    def survey(self, spec):
        return Surroundings(place="pool", name_used=False, storage=self.rooms)

    def seclude(self, stage, claims):
        self.stages.append(stage)
        networks = {key: f"net-{key}" for key in stage.networks}
        return Seclusion(id=stage.id, networks=networks, host="h", where="host 1", vlans=stage.vlans)

    def rehearse(self, claim, spec, seclusion, until, still):
        self.acts.append(("rehearse", claim.tag, spec))
        self.during()
        if not still():
            raise Conflict("moved", code="TEST-MOVED")
        made = Rehearsal(
            id=seclusion.id, tag=claim.tag, name=spec.name, vm=f"vm-{claim.tag}", made=kit.NOW, until=until
        )
        return self.copies.setdefault(claim.tag, made)

    def start_rehearsal(self, rehearsal, seclusion):
        self.acts.append(("start", rehearsal.tag))
        self.copies[rehearsal.tag] = replace(self.copies[rehearsal.tag], state="running", addresses=("192.0.2.1",))

    def rehearsals(self, tag=""):
        return tuple(one for one in self.copies.values() if tag in ("", one.tag))

    def end_rehearsal(self, rehearsal):
        self.acts.append(("end", rehearsal.tag))
        self.copies.pop(rehearsal.tag, None)

    def strike(self, id):
        self.acts.append(("strike", id))
        return ()

    def first_start(self, claim):
        return ""

    def halt(self, claim):
        self.acts.append(("halt", claim.tag))

    def remove(self, claim):
        self.claims.pop(claim.tag, None)

    def of(self, kind):
        return [act[1] for act in self.acts if act[0] == kind]


@pytest.fixture
def world(estate):
    """A batch whose warm rows are ready, on a target where they can be tested."""
    estate.target = Stage()
    estate.doors = kit.Doors(estate.source, estate.target)

    class World:
        def __init__(self):
            self.store, self.now, self.said = estate.store(), kit.NOW, []
            self.ledger = Ledger(self.store, Actor(user="op", worker="", version="0"), lambda: self.now)
            self.control = Control(self.store, self.ledger.actor, lambda: self.now)
            self.target = estate.target
            self.tests = CutoverTests(
                self.store, self.ledger, estate.doors, say=self.said.append, sleep=lambda _s: self.slept()
            )
            self.slept = lambda: None

        def ready(self, *orders, **values):
            estate.submit(self.store, orders)
            due = (kit.NOW + timedelta(hours=1)).isoformat()
            for order in orders:
                self.set(order.id, **{"state": "waiting", "outcome": Outcome.READY, "due": due, "attempt": 1, **values})
                disks = tuple(
                    ClaimedDisk(source_disk=disk.source_disk, id=f"{order.id}-{disk.source_disk}", size_bytes=8 * MIB,
                                mark_bytes=8 * MIB, point="p1")
                    for disk in order.spec.disks
                )  # fmt: skip
                for disk in disks:
                    held = kit.doubles.Vdi(disk.id, bytearray(1), mark=8 * MIB, point="p1")
                    self.target.vdis[disk.id] = held
                self.target.claims[order.id] = Claim(tag=order.id, id=f"v-{order.id}", name="c", disks=disks)
            return self.control.batch("b1")

        def set(self, row, **values):
            with self.store.exclusive("dispatch") as connection:
                batches.update(connection, "b1", row, **values)

        def claim(self, now=None):
            with self.store.exclusive("dispatch") as connection:
                return [one.id for one in dispatch.claim(connection, "w", 99, now or self.now + timedelta(hours=2))]

        def known(self):
            with self.store.reading() as connection:
                return copies.open_rows(connection, "b1")

        def events(self):
            with self.store.reading() as connection:
                return [one.fields["text"] for one in journal.read(connection) if one.fields["kind"] == "test"]

    return World()


def warm(estate, number, **changes):
    order = estate.order(number, warm=True, **changes)
    nic = Nic(position=0, label="n", model=NicModel.VMXNET3, network="LAN", mac="00:50:56:00:00:01")
    card = TargetNic(source_position=0, device="0", network="production", network_name="P", mac=nic.mac)
    return replace(order, machine=replace(order.machine, nics=(nic,)), spec=replace(order.spec, nics=(card,)))


def test_all_are_made_before_the_first_starts_and_in_the_order_of_the_plan(world, estate):
    late = warm(estate, 1, turn=2)
    after = warm(estate, 2, after=(("t3", "web3"),))
    batch = world.ready(late, after, warm(estate, 3))
    began = world.tests.begin(batch, ["t1", "t2", "t3"], Asked(hours=2))
    assert world.target.of("rehearse") == world.target.of("start") == ["t3", "t2", "t1"]
    assert [act[0] for act in world.target.acts[:3]] == ["rehearse"] * 3
    assert {one.until for one in began.copies} == {kit.NOW + timedelta(hours=2)}
    spec = world.target.acts[0][2]
    assert (spec.name, spec.nics[0].network, spec.nics[0].mac) == ("[test] web3", "net-src/LAN", "00:50:56:00:00:01")
    assert world.target.stages[0].networks == {"src/LAN": "LAN"}, "one network for all three"
    assert world.known()["t1"].where == "host 1" and world.known()["t1"].state == "running"
    (row, *_) = world.control.status(batch).rows
    assert row.migration.tests[0].name == "[test] web1"
    assert len(world.events()) == 6
    assert not began.failed


def test_those_that_wait_for_one_another_start_all_the_same(estate):
    first, second = estate.order(1, after=(("t2", "web2"),)), estate.order(2, after=(("t1", "web1"),))
    assert [order.id for order in in_order([first, second, estate.order(3)])] == ["t3", "t1", "t2"]


@pytest.mark.parametrize(
    ("changes", "values", "why"),
    [
        ({"warm": False}, {}, "is copied cold"),
        ({}, {"outcome": Outcome.PENDING, "due": ""}, "is not ready"),
        ({}, {"outcome": Outcome.STOPPED, "due": ""}, "is not ready"),
        ({}, {"state": "ended", "outcome": Outcome.MIGRATED}, "is through"),
        ({}, {"state": "ended", "outcome": Outcome.FAILED}, "has ended: failed"),
        ({}, {"cancel": "discard"}, "is being cancelled"),
    ],
)
def test_only_machines_at_a_point_are_tested(world, estate, changes, values, why):
    order = replace(warm(estate, 1), **changes)
    batch = world.ready(order, **values)
    with pytest.raises(Conflict) as refused:
        world.tests.begin(batch, ["t1"], Asked())
    assert refused.value.code == "TEST-NOT-READY" and why in refused.value.message
    assert world.target.acts == []


def test_of_a_wave_the_ready_ones_are_tested_and_the_others_named(world, estate):
    batch = world.ready(warm(estate, 1), warm(estate, 2))
    world.set("t2", outcome=Outcome.PENDING, due="")
    assert len(world.tests.begin(batch, ["t1", "t2"], Asked()).copies) == 1
    assert any("left out: web2 is not ready" in one for one in world.said)
    with pytest.raises(Conflict):
        world.tests.begin(batch, ["t1", "t2"], Asked(), named=True)


def test_a_half_brought_disk_is_no_point(world, estate):
    batch = world.ready(warm(estate, 1))
    (disk,) = world.target.claims["t1"].disks
    world.target.vdis[disk.id].mark = 1
    with pytest.raises(Conflict, match="not at a point"):
        world.tests.begin(batch, ["t1"], Asked())


def test_the_next_pass_waits_for_the_clone_and_only_for_that(world, estate):
    batch = world.ready(warm(estate, 1), warm(estate, 2), due=kit.NOW.isoformat())
    seen = []
    world.target.during = lambda: seen.append(world.claim(kit.NOW))
    world.tests.begin(batch, ["t1"], Asked())
    assert seen == [["t2"]], "the other one's pass goes on meanwhile"
    assert world.claim(kit.NOW) == ["t1"]


def test_a_pass_under_way_is_waited_for(world, estate):
    batch = world.ready(warm(estate, 1), state="running", outcome=Outcome.PENDING)
    world.slept = lambda: world.set("t1", state="waiting", outcome=Outcome.READY)
    assert world.tests.begin(batch, ["t1"], Asked()).copies
    assert world.said[0] == "web1: a pass is under way; its end is waited for"


def test_a_row_that_was_started_all_the_same_spoils_its_copy(world, estate):
    """As after a hold that was lost: the copy may be of two points in time."""
    batch = world.ready(warm(estate, 1))
    world.target.during = lambda: world.set("t1", attempt=2)
    began = world.tests.begin(batch, ["t1"], Asked())
    assert [(name, problem.code) for name, problem in began.failed] == [("web1", "TEST-MOVED")]
    assert world.target.of("start") == [] and world.known() == {}


def test_nothing_starts_where_one_could_not_be_made(world, estate):
    batch = world.ready(warm(estate, 1), warm(estate, 2))
    tries = []

    def fails():
        tries.append(1)
        if len(tries) == 2:
            raise TargetError("no")

    world.target.during = fails
    began = world.tests.begin(batch, ["t1", "t2"], Asked())
    assert [name for name, _ in began.failed] == ["web2"]
    assert world.target.of("start") == []
    world.target.during = lambda: None
    assert len(world.tests.begin(batch, ["t1", "t2"], Asked()).copies) == 2, "the same command continues"


@pytest.mark.parametrize(
    ("thin", "free", "fits"), [(False, 17, False), (False, 26, True), (True, 1, False), (True, 4, True)]
)
def test_room_is_looked_at_for_all_together(world, estate, thin, free, fits):
    """Two disks of 8 MiB: on thick storage two clones and their tables; on thin a fifth of what each holds."""
    batch = world.ready(warm(estate, 1), warm(estate, 2))
    world.target.rooms = (Room(uuid="sr", name="SR", thin=thin, free_bytes=free * MIB),)
    with world.store.writing() as connection:
        for row in ("t1", "t2"):
            held = DiskResult(source_disk="a", label="a", data_bytes=8 * MIB)
            batches.keep_disks(connection, "b1", row, [held])
    if fits:
        assert len(world.tests.begin(batch, ["t1", "t2"], Asked()).copies) == 2
        left = world.tests._room.promised_to_others("new", "pool", "sr")
        assert left == (2 * int(8 * MIB * 0.2) if thin else 0)
        world.tests.end(batch, ["t1", "t2"])
    else:
        with pytest.raises(NoSpace) as refused:
            world.tests.begin(batch, ["t1", "t2"], Asked())
        assert refused.value.code == "TEST-NO-SPACE" and f"{free} MiB free" in refused.value.message
        assert world.target.acts == []
    assert world.tests._room.promised_to_others("new", "pool", "sr") == 0


@pytest.mark.parametrize("vlans", [("abc",), ("0",), ("4095",), ("LAN=10", "LAN=11"), ("OTHER=10",), ("",)])
def test_vlans_that_do_not_fit_are_refused(world, estate, vlans):
    batch = world.ready(warm(estate, 1))
    with pytest.raises(UsageError):
        world.tests.begin(batch, ["t1"], Asked(vlans=vlans, uplink="eth0"))
    assert world.target.stages == []


def test_each_network_has_a_vlan_of_its_own(world, estate):
    other = warm(estate, 2)
    other = replace(other, machine=replace(other.machine, nics=(replace(other.machine.nics[0], network="DMZ"),)))
    batch = world.ready(warm(estate, 1), other)
    for vlans in (("10",), ("LAN=10",), ("LAN=10", "DMZ=10")):
        with pytest.raises(UsageError, match="VLAN of its own"):
            world.tests.begin(batch, ["t1", "t2"], Asked(vlans=vlans, uplink="eth0"))
    world.tests.begin(batch, ["t1", "t2"], Asked(vlans=("LAN=10", "DMZ=11"), uplink="eth0"))
    assert world.target.stages[0].vlans == {"src/LAN": 10, "src/DMZ": 11}


def test_copies_are_discarded_when_their_time_is_over(world, estate):
    batch = world.ready(warm(estate, 1), warm(estate, 2))
    world.tests.begin(batch, ["t1"], Asked(hours=1))
    world.tests.begin(batch, ["t2"], Asked(hours=3))
    watch = Watchman(world.store, world.ledger, lambda _batch: estate.doors, seconds=60)
    world.now += timedelta(minutes=59)
    watch.look()
    assert world.target.of("end") == []
    watch.look()
    world.now += timedelta(minutes=2)
    watch.look()
    assert world.target.of("end") == ["t1"]
    assert set(world.known()) == {"t2"}
    assert any("its time was over" in one for one in world.events())
    tests = world.control.migrations(batch)[0].tests
    assert [one.ended for one in tests] == [world.now]


def test_one_that_somebody_removed_is_told_and_forgotten(world, estate):
    batch = world.ready(warm(estate, 1))
    world.tests.begin(batch, ["t1"], Asked())
    world.target.copies.clear()
    assert world.tests.attend(batch) == ()
    assert world.known() == {} and "[test] web1 is gone from pool" in world.events()


def test_a_pool_that_does_not_answer_is_asked_again(world, estate, monkeypatch):
    batch = world.ready(warm(estate, 1))
    world.tests.begin(batch, ["t1"], Asked())

    def silent(_alias):
        raise V2xError("no answer")

    monkeypatch.setattr(estate.doors, "target", silent)
    world.now += timedelta(hours=5)
    watch = Watchman(world.store, world.ledger, lambda _batch: estate.doors, seconds=60)
    watch.look()
    monkeypatch.undo()
    world.now += timedelta(minutes=2)
    watch.look()
    assert world.target.copies == {} and world.known() == {}


def test_a_row_is_held_once_and_let_go_when_its_holder_dies(world, estate):
    world.ready(warm(estate, 1))

    def hold(sleep=lambda _seconds: None):
        return Hold(world.store, "t1", "web1", lambda: world.now, sleep=sleep)

    with hold():
        with pytest.raises(Conflict) as refused, hold():
            pass
        assert refused.value.code == "HELD"
        assert world.claim(world.now) == []
    with world.store.writing() as connection:
        until = (world.now + holds.LEASE).isoformat()
        connection.execute(holds._of.insert().values(row="t1", holder="killed", until=until))
    world.set("t1", cutover=True)
    assert world.claim(world.now) == []

    def passes(seconds):
        world.now += timedelta(seconds=seconds)

    with hold(passes):
        assert world.claim(world.now) == [], "the killed one's was outlasted, and another begun"
    assert world.claim(world.now) == ["t1"]


def test_a_worker_looks_after_copies_while_it_runs(world, estate):
    """Its own thread does; a cold row keeps the worker running meanwhile."""
    batch = world.ready(warm(estate, 1))
    world.tests.begin(batch, ["t1"], Asked())
    world.now += timedelta(hours=5)
    world.set("t1", due=(world.now + timedelta(hours=1)).isoformat())
    pacing = replace(kit.QUICK, test_seconds=0.05)
    worker = Worker(
        world.store, DbosEngine(), lambda _batch: estate.doors, estate.watcher, now=lambda: world.now, pacing=pacing
    )
    thread = threading.Thread(target=worker.run, args=("b1",))
    thread.start()
    try:
        for _ in range(200):
            if world.known() == {}:
                break
            thread.join(0.05)
    finally:
        worker.drain()
        thread.join(20)
    assert world.known() == {} and world.target.copies == {}


@pytest.mark.parametrize("keep", [False, True])
def test_a_cancelled_machine_gives_up_its_copy_first(world, estate, keep):
    batch = world.ready(warm(estate, 1))
    world.target.rooms = (Room(uuid="sr", name="SR", thin=True, free_bytes=99 * MIB),)
    world.tests.begin(batch, ["t1"], Asked())
    assert world.tests._room.promised_to_others("t1", "pool", "sr") > 0
    assert world.control.cancel(batch, ["t1"], keep=keep) == 1
    worker = Worker(
        world.store, DbosEngine(), lambda _batch: estate.doors, estate.watcher, now=lambda: world.now, pacing=kit.QUICK
    )
    worker.run("b1")
    assert world.target.copies == {} and world.known() == {}
    assert world.tests._room.promised_to_others("t1", "pool", "sr") == 0
    (migration,) = world.control.migrations(batch)
    assert migration.outcome is Outcome.CANCELLED
    assert "its test copy [test] web1 was discarded" in migration.warnings
    assert ("t1" in world.target.claims) is keep


@pytest.mark.parametrize("how", ["finalize", "roll_back"])
def test_giving_the_way_back_up_or_going_it_ends_a_copy_first(world, estate, how):
    """A cutover ends it; one that another state folder made meanwhile is found on the target."""
    batch = world.ready(warm(estate, 1))
    world.tests.begin(batch, ["t1"], Asked())
    world.set("t1", state="ended", outcome=Outcome.MIGRATED)
    world.target.claims["t1"] = replace(world.target.claims["t1"], sealed=True)
    returns = Returns(world.store, world.ledger, estate.doors)
    getattr(returns, how)(batch, "t1")
    acts = [act[0] for act in world.target.acts if act[0] in ("end", "halt")]
    assert acts == (["end", "halt"] if how == "roll_back" else ["end"])
    assert world.target.copies == {} and world.known() == {}
