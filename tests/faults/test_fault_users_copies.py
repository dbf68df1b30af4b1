# SPDX-License-Identifier: Apache-2.0
"""Clones, copies and snapshots that users made carry all of our tags. Nothing that clears away touches them."""

import pytest

from tests.claims import Place, opened
from v2x.target.interface import ClaimedDisk


@pytest.fixture
def place(simulated_pool):
    pool = simulated_pool()
    with opened(pool) as target:
        yield Place(pool, target)


class Kept:
    """What a user has of a machine, to the byte."""

    def __init__(self, place, vm):
        self.place = place
        self.vms, self.vdis = place.copies(vm)
        self.before = self.now()

    def now(self):
        records = self.place.pool.records("VDI")
        disks = {one["uuid"]: one for one in records.values()}
        config = [disks[uuid]["other_config"] for uuid in self.vdis]
        machines = [self.place.vm(uuid) for uuid in self.vms]
        told = [(one["name_label"], one["other_config"], one["VBDs"], one["VIFs"]) for one in machines]
        return told, config, [self.place.content(uuid) for uuid in self.vdis]

    def check(self):
        assert self.now() == self.before


def clean_up(place):
    for claim in place.target.leftovers():
        place.target.discard(claim)
    for one in place.target.rehearsals():
        place.target.end_rehearsal(one)
    place.target.strike("b1")


def discard(place):
    place.target.discard(place.target.find("tag"))


def seal(place):
    place.target.seal(place.target.find("tag"), place.spec)


def roll_back(place):
    seal(place)
    place.target.halt(place.target.find("tag"))


def remake(place):
    for disk in place.target.find("tag").disks:
        assert isinstance(place.target.remake(place.target.find("tag"), disk), ClaimedDisk)


@pytest.mark.parametrize("act", [clean_up, discard, seal, roll_back, remake])
@pytest.mark.parametrize("tested", [False, True], ids=["alone", "with a test copy"])
def test_copies_of_a_machine_on_its_way_stay(place, act, tested):
    if tested:
        place.rehearse()
    kept = Kept(place, place.vm(place.claim.id))
    act(place)
    kept.check()
    clean_up(place)
    kept.check()


@pytest.mark.parametrize("act", [clean_up, roll_back])
def test_copies_of_a_machine_that_is_through_stay(place, act):
    """And the machine itself, of course: it belongs to its user now."""
    seal(place)
    held = [place.content(disk.id) for disk in place.claim.disks]
    kept = Kept(place, place.vm(place.claim.id))
    act(place)
    kept.check()
    machine = place.vm(place.claim.id)
    assert machine["name_label"] == "web"
    assert [place.content(one) for one in place.vdis(machine)] == held
    assert place.target.leftovers() == () and place.target.rehearsals() == ()
