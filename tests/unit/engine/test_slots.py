# SPDX-License-Identifier: Apache-2.0
from datetime import UTC, datetime

import pytest

from v2x.engine import batches, dispatch, slots
from v2x.errors import UsageError

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def claimed(store, room=99):
    with store.exclusive("dispatch") as connection:
        return [one.id for one in dispatch.claim(connection, "w", room, NOW)]


def test_keys_are_in_the_fixed_order(estate):
    order = estate.order(1, host="esx1", sr="fast", pool_host="h1")
    assert slots.keys_of(order) == ("source-host:esx1", "pool-host:pool/h1", "sr:pool/fast", "total")


def test_a_host_takes_four_at_once_and_the_next_host_is_not_kept_waiting(estate):
    store = estate.store()
    estate.submit(store, [estate.order(n, host="esx1") for n in range(6)] + [estate.order(9, host="esx2")])
    assert claimed(store) == ["t0", "t1", "t2", "t3", "t9"]
    assert claimed(store) == []
    with store.writing() as connection:
        slots.give_back(connection, "t0")
        batches.update(connection, "b1", "t0", state=batches.State.ENDED)
    assert claimed(store) == ["t4"]


@pytest.mark.parametrize(
    ("key", "value", "most"),
    [("total", "2", 2), ("sr", "1", 1), ("sr:pool/sr", "3", 3), ("pool-host", "2", 2), ("source-host:esx1", "1", 1)],
)
def test_each_limit_holds(estate, key, value, most):
    store = estate.store()
    estate.submit(store, [estate.order(n) for n in range(6)])
    with store.writing() as connection:
        slots.set_limit(connection, key, value)
    assert len(claimed(store)) == most


def test_no_limit_is_zero_and_a_limit_of_a_name_goes_before_its_kind(estate):
    store = estate.store()
    estate.submit(store, [estate.order(n) for n in range(20)])
    with store.writing() as connection:
        for key, value in {"source-host": "1", "source-host:esx1": "0", "pool-host": "0", "sr": "0"}.items():
            slots.set_limit(connection, key, value)
    assert len(claimed(store)) == slots.DEFAULTS["total"]


def test_a_machine_larger_than_a_limit_runs_alone(estate):
    assert slots.fits(["total"], 9, {}, {"total": "4"})
    assert not slots.fits(["total"], 9, {"total": 1}, {"total": "4"})
    assert not slots.fits(["total"], 1, {"total": 9}, {"total": "4"})


def test_waves_and_turns_then_the_largest(estate):
    from dataclasses import replace

    big = estate.order(3, wave=1)
    disks = tuple(replace(disk, allocated_bytes=disk.capacity_bytes) for disk in big.machine.disks)
    big = replace(big, machine=replace(big.machine, disks=disks))
    small = [estate.order(n, wave=1) for n in (1, 2)]
    for position, one in enumerate(small):
        disks = tuple(replace(disk, allocated_bytes=4096) for disk in one.machine.disks)
        small[position] = replace(one, machine=replace(one.machine, disks=disks))
    later = [estate.order(5, wave=1, turn=1), estate.order(6, wave=2)]
    store = estate.store()
    estate.submit(store, [*later, *small, big])
    assert claimed(store) == ["t3", "t1", "t2"]
    for row, coming in (("t1", []), ("t2", []), ("t3", ["t5"]), ("t5", ["t6"])):
        with store.writing() as connection:
            slots.give_back(connection, row)
            batches.update(connection, "b1", row, state=batches.State.ENDED)
        assert claimed(store) == coming


def test_a_machine_of_two_batches_runs_in_one_at_a_time(estate):
    store = estate.store()
    estate.submit(store, [estate.order(1)], "b1")
    estate.submit(store, [estate.order(1), estate.order(2)], "b2")
    assert claimed(store) == ["t1", "t2"]
    with store.reading() as connection:
        assert list(dispatch.running(connection, "w")) == [("b1", "t1"), ("b2", "t2")]


@pytest.mark.parametrize("key", ["moon", "rate:x", "total:x", "sr:", ""])
def test_only_known_limits(key):
    with pytest.raises(UsageError, match="unknown limit"):
        slots.limit_key(key)
