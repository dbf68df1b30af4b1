# SPDX-License-Identifier: Apache-2.0
"""Room that was promised is not promised again."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.following import follow
from v2x.errors import NoSpace, Stopped
from v2x.migrate import goback, steps
from v2x.migrate.observe import Silent
from v2x.migrate.room import Reservations
from v2x.model.target import StorageRepository, TargetFacts

MIB = 2**20


def test_what_others_were_promised_is_not_free():
    room = Reservations()
    assert room.promise("a", "pool", {"sr": 60}, {"sr": 100}) == ""
    assert room.promise("b", "pool", {"sr": 41}, {"sr": 100}) == "sr"
    assert room.promise("b", "pool", {"sr": 40}, {"sr": 100}) == ""
    assert room.promised_to_others("b", "pool", "sr") == 60


def test_all_or_nothing():
    room = Reservations()
    assert room.promise("a", "pool", {"x": 10, "y": 200}, {"x": 100, "y": 100}) == "y"
    assert room.promised_to_others("b", "pool", "x") == 0


def test_a_promise_replaces_the_one_before_it():
    room = Reservations()
    for _ in range(3):
        assert room.promise("a", "pool", {"sr": 60}, {"sr": 100}) == ""
    assert room.promised_to_others("b", "pool", "sr") == 60


def test_what_is_taken_is_the_pools_to_count():
    room = Reservations()
    room.promise("a", "pool", {"sr": 60}, {"sr": 100})
    room.taken("a", "pool", "sr", 45)
    assert room.promised_to_others("b", "pool", "sr") == 15
    room.taken("a", "pool", "sr", 45)
    room.taken("a", "pool", "other", 1)
    room.taken("nobody", "pool", "sr", 1)
    assert room.promised_to_others("b", "pool", "sr") == 0


def test_targets_are_apart_and_release_ends_it():
    room = Reservations()
    room.promise("a", "one", {"sr": 60}, {"sr": 60})
    assert room.promise("b", "two", {"sr": 60}, {"sr": 60}) == ""
    room.release("a")
    room.release("a")
    assert room.promise("c", "one", {"sr": 60}, {"sr": 60}) == ""


def test_an_sr_that_does_not_tell_its_size_always_has_room():
    room = Reservations()
    assert room.promise("a", "pool", {"sr": 10**18}, {}) == ""


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 60)), max_size=20))
def test_no_more_than_what_is_free_is_ever_promised(asks):
    room = Reservations()
    for tag, need in asks:
        room.promise(tag, "pool", {"sr": need}, {"sr": 100})
        assert room.promised_to_others("", "pool", "sr") <= 100


@pytest.fixture
def pool(world):
    """The world's target with one empty SR, thin or thick."""

    def set_up(*, thin, size_bytes=20 * MIB):
        storage = (StorageRepository(uuid="sr", name="SR", kind="ext", thin=thin, size_bytes=size_bytes, hosts=("h",)),)
        known = world.target.facts

        def facts() -> TargetFacts:
            return replace(known(), storage=storage)

        world.target.facts = facts
        return Reservations()

    return set_up


def with_data(world, allocated):
    disks = tuple(replace(disk, allocated_bytes=allocated) for disk in world.machine.disks)
    world.machine = replace(world.machine, disks=disks)


def test_promised_room_refuses_before_anything_is_written(world, pool):
    room = pool(thin=True)
    with_data(world, 8 * MIB)
    room.hold("other", "pool", {"sr": 5 * MIB})
    with pytest.raises(NoSpace, match=r"20 MiB free, 5 MiB of it for machines that are on their way; .* 16 MiB"):
        follow(world.work(place="pool", reservations=room))
    assert "claim" not in world.target.calls
    room.release("other")
    follow(world.work(place="pool", reservations=room))


def test_thin_storage_is_taken_as_blocks_are_sent(world, pool):
    room = pool(thin=True)
    with_data(world, 8 * MIB)
    seen = []

    class Watching(Silent):
        def progress(self, disk, count_bytes):
            seen.append(room.promised_to_others("x", "pool", "sr"))

    follow(world.work(place="pool", reservations=room, observer=Watching()))
    assert seen[0] == 14 * MIB
    assert seen == sorted(seen, reverse=True)


def test_thick_storage_is_taken_when_the_disks_are_made(world, pool):
    room = pool(thin=False, size_bytes=40 * MIB)
    room.hold("other", "pool", {"sr": 11 * MIB})
    with pytest.raises(NoSpace):
        follow(world.work(place="pool", reservations=room))
    room.release("other")
    with pytest.raises(Stopped):
        follow(world.work(place="pool", reservations=room, stopping=lambda: True))
    assert room.promised_to_others("x", "pool", "sr") == 0


def test_a_machine_that_goes_on_is_not_asked_for_room_again(world, pool):
    room = pool(thin=True)
    with_data(world, 8 * MIB)
    with pytest.raises(Stopped):
        follow(world.work(place="pool", reservations=room, stopping=lambda: True))
    fresh = Reservations()
    fresh.hold("other", "pool", {"sr": 19 * MIB})
    follow(world.work(place="pool", reservations=fresh))


def test_what_is_noted_beside_counts_all_and_yields_to_what_is_needed():
    room = Reservations()
    room.hold("a", "pool", {"sr": 50})
    assert room.spare("a", "pool", {"sr": 30, "x": 9}, {"sr": 100}) == frozenset()
    assert room.spare("b", "pool", {"sr": 30}, {"sr": 100}) == {"sr"}, "20 are left beside both"
    assert room.spare("b", "pool", {"sr": 20}, {"sr": 100}) == frozenset()
    assert room.promised_to_others("b", "pool", "sr") == 50
    assert room.promise("c", "pool", {"sr": 50}, {"sr": 100}) == "", "a machine that needs it has it"
    assert room.spare("d", "pool", {"sr": 1}, {"sr": 100}) == {"sr"}
    room.release("a")
    assert room.spare("d", "pool", {"sr": 30}, {"sr": 100}) == frozenset()
    assert room.spare("d", "pool", {"sr": 31}, {"sr": 100}) == {"sr"}, "its own note does not count against it"


class Heard(Silent):
    def __init__(self):
        self.said = []

    def warning(self, text):
        self.said.append(text)


@pytest.mark.parametrize("size", [290, 250])
def test_without_room_for_snapshots_none_is_taken_and_that_is_said(world, pool, size):
    """Two disks of 8 MiB, and 256 MiB for a conversion."""
    from tests.unit.engine.conftest import doubles

    world.target = doubles.KeepingTarget()
    room = pool(thin=True, size_bytes=size * MIB)
    with_data(world, 8 * MIB)
    heard = Heard()
    work = world.work(place="pool", reservations=room, convert=True, observer=heard)
    steps.preflight(work)
    lacks = size == 250
    assert bool(work.unkept) is lacks
    assert any("no room for that" in text for text in heard.said) is lacks
    assert goback.room_beside(work) == {"sr": 256 * MIB}
    work.warm = True
    assert goback.room_beside(work) == {"sr": 256 * MIB + 2 * (8 * MIB // 10)}
    work.thick = frozenset({"sr"})
    assert goback.room_beside(work) == {}
