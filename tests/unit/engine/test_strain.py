# SPDX-License-Identifier: Apache-2.0
"""Strain as rows that every worker follows."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from v2x.engine import batches, dispatch, slots, strain, tables
from v2x.engine.control import Control
from v2x.engine.easing import CALM_LOOKS
from v2x.engine.live import Actor
from v2x.target.interface import Load, StorageLoad

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOST, SR = "pool-host:pool/h1", "sr:pool/sr"
SECOND = timedelta(seconds=1)


def load(*, cpu=0.1, latency=0.001, chains=0, missing=None):
    return Load(
        cpu={"h1": cpu}, storage={"sr": StorageLoad(latency_seconds=latency, chains=chains)},
        names={"h1": "xcp1", "sr": "Fast"}, missing=missing or {},
    )  # fmt: skip


@pytest.fixture
def state(estate):
    """Twelve machines to one host and SR, eight of which run; looks at them change what may run."""

    class State:
        def __init__(self):
            self.store, self.now = estate.store(), NOW
            estate.submit(self.store, [estate.order(n, host=f"esx{n}", pool_host="h1") for n in range(12)])
            self.control = Control(self.store, Actor(user="u", worker="", version="0"), lambda: self.now)

        def claim(self):
            with self.store.exclusive("dispatch") as connection:
                return [one.id for one in dispatch.claim(connection, "w", 99, self.now)]

        def look(self, load, count=1):
            said = []
            for _ in range(count):
                self.now += 15 * SECOND
                with self.store.exclusive("dispatch") as connection:
                    found = strain.burdened(dispatch.running_orders(connection, "pool"))
                    said += strain.apply(connection, "pool", found, load, self.now)
            return said

        def end(self, *rows):
            with self.store.writing() as connection:
                for row in rows:
                    slots.give_back(connection, row)
                    batches.update(connection, "b1", row, state=batches.State.ENDED)

        def copying(self, row, rate):
            with self.store.writing() as connection:
                connection.execute(tables.progress.insert().values(
                    batch="b1", row=row, disk="d", label="d", activity="copy", done_bytes=0, total_bytes=1,
                    copied_bytes=0, rate_bytes=rate, updated=self.now.isoformat(),
                ))  # fmt: skip

        def shares(self):
            with self.store.reading() as connection:
                return strain.shares(connection, self.now)

        def shown(self):
            return {one.key: one for one in self.control.status(self.control.batch()).strain}

    return State()


def test_a_strained_host_takes_fewer_disks_and_all_again_when_it_is_calm(state):
    assert len(state.claim()) == 8
    ((text, about),) = state.look(load(cpu=0.92))
    assert text == f"{HOST} (xcp1): 4 disks in flight: CPU of its control domain 92 % above 85 %"
    assert about == {"key": HOST, "disks": "4", "rate_bytes": "0", "in_flight": "8"}
    state.end("t0", "t1", "t2", "t3")
    assert state.claim() == []
    state.end("t4")
    assert state.claim() == ["t8"]
    ((text, _),) = state.look(load(), CALM_LOOKS)
    assert text == f"{HOST} (xcp1): 8 disks in flight, as set: it is calmer"
    assert state.claim() == ["t9", "t10", "t11"]
    assert state.shown()[HOST].halvings == 0


def test_storage_is_looked_at_for_its_latency_and_its_chains(state):
    state.claim()
    assert [about["key"] for _, about in state.look(load(latency=0.08))] == [SR]
    assert state.shown()[SR].why == "latency 80 ms above 50 ms"
    state.look(load(chains=21))
    assert (state.shown()[SR].disks, state.shown()[SR].why) == (2, "chains to coalesce 21 above 20")
    assert state.shown()[HOST].halvings == 0


def test_the_rate_under_a_strained_key_is_shared_by_all_its_rows(state):
    state.claim()
    for number in range(8):
        state.copying(f"t{number}", 50 << 20)
    assert state.shares() == {}
    state.look(load(cpu=0.9))
    assert state.shares() == {HOST: (200 << 20) // 8}
    state.end("t0", "t1", "t2", "t3")
    assert state.shares() == {HOST: (200 << 20) // 4}


def test_what_was_not_measured_is_shown_as_that_and_changes_nothing(state):
    state.claim()
    state.look(load(cpu=0.9))
    gone = {"cpu of h1": "its data sources are off", "chains": "refused"}
    assert state.look(load(cpu=None, latency=None, chains=None, missing=gone), 50) == []
    host, storage = state.shown()[HOST], state.shown()[SR]
    assert (host.disks, host.measured, host.missing) == (4, {"cpu": None}, "cpu: its data sources are off")
    assert (storage.disks, storage.measured) == (8, {"latency": None, "chains": None})
    assert storage.missing == "chains: refused"


def test_thresholds_are_limits_that_may_be_set_while_it_runs(state):
    state.claim()
    state.control.throttle("strain.cpu", "95")
    assert state.look(load(cpu=0.92)) == []
    state.control.throttle("strain.cpu", "50")
    assert len(state.look(load(cpu=0.92))) == 1
    state.control.throttle("strain.cpu", "0")
    assert "as set" in state.look(load(cpu=0.99))[0][0]
    state.control.throttle("strain.cpu", "")
    assert state.control.limits()["strain.cpu"] == "85"


def test_an_operators_limit_that_is_lower_stays(state):
    state.control.throttle("pool-host", "1")
    assert state.claim() == ["t0"]
    state.look(load(cpu=0.99))
    assert (state.shown()[HOST].disks, state.shown()[HOST].limit) == (1, 1)
    state.control.throttle("pool-host", "0")
    assert state.shown()[HOST].disks == 1
    assert state.claim() == []


def test_a_waiting_machine_says_what_it_waits_for(state):
    state.claim()
    state.look(load(cpu=0.99))
    state.end("t0")
    with state.store.writing() as connection:
        connection.execute(tables.workers.insert().values(id="w", version="0", started="", seen=""))
    waits = [row.waits_for for row in state.control.status(state.control.batch()).rows if row.state == "waiting"]
    assert waits == [f"a slot of {HOST}"] * 4


def test_what_nobody_looked_at_for_long_holds_no_longer(state):
    state.claim()
    state.look(load(cpu=0.99), 3)
    state.end(*(f"t{n}" for n in range(8)))
    assert state.claim() == ["t8"]
    state.now += strain.STALE
    assert state.claim() == ["t9", "t10", "t11"]
    assert state.shown() == {}
    assert state.shares() == {}
    state.look(load(cpu=0.99))
    assert state.shown()[HOST].halvings == 1


def test_rows_that_go_to_any_host_follow_the_most_strained_one(estate):
    store = estate.store()
    order = estate.order(1)
    assert strain.hosts_of(strain.burdened([order, estate.order(2, pool_host="h1")])) == []
    assert strain.hosts_of(strain.burdened([estate.order(2, pool_host="h1")])) == ["h1"]
    busy = Load(cpu={"h1": 0.2, "h2": 0.9, "h3": None})
    with store.exclusive("dispatch") as connection:
        ((text, _),) = strain.apply(connection, "pool", strain.burdened([order]), busy, NOW)
    assert text.startswith("pool-host:pool: 4 disks in flight: CPU of its control domain 90 %")


def test_one_worker_looks_and_another_takes_over_when_it_is_gone(estate):
    store, lasts = estate.store(), 35 * SECOND

    def asks(worker, after):
        with store.exclusive("dispatch") as connection:
            return strain.take_look(connection, "pool", worker, NOW + after * SECOND, lasts)

    assert [asks("a", 0), asks("b", 1), asks("a", 15), asks("b", 49)] == [True, False, True, False]
    assert [asks("b", 51), asks("a", 52)] == [True, False]
    with store.writing() as connection:
        strain.give_up_looks(connection, "b")
    assert asks("a", 53)


def test_limits_of_a_configuration_stand_behind_those_of_throttle(state):
    state.control.give_limits({"total": "3", "strain.chains": "40"})
    assert Counter(state.control.limits())["total"] == "3"
    state.control.throttle("total", "5")
    assert state.control.limits()["total"] == "5"
    state.control.throttle("total", "")
    state.control.give_limits({"strain.chains": "30"})
    assert (state.control.limits()["total"], state.control.limits()["strain.chains"]) == ("16", "30")
