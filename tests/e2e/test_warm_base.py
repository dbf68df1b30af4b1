# SPDX-License-Identifier: Apache-2.0
"""The base copy is verified before the outage; in the outage only what was written since is read back."""

import pytest

from tests.warming import BLOCK
from v2x.migrate import warm
from v2x.migrate.outage import MOST_PASSES
from v2x.migrate.work import Next
from v2x.model.migration import VerifyLevel
from v2x.model.units import MIB
from v2x.sources.interface import TrackingLost


@pytest.fixture
def working(site):
    made = []

    def factory(name, **changes):
        made.append(site.work(name, **changes))
        return made[-1]

    yield factory
    for work in made:
        work.source.close()
        work.target.close()


def brought_to_outage(work):
    """Passes until the outage would begin; how much was read back by then."""
    warm.track(work)
    for _ in range(MOST_PASSES):
        warm.sync(work)
        if warm.next_pass(work) is Next.GO_ON:
            return sum(work.observer.read_back.values())
    raise AssertionError("it never settles")


def snapshots_on(pool):
    return [one for one in pool.records("VDI").values() if one["is_a_snapshot"]]


def sealed(work):
    warm.verify(work)
    work.target.seal(work.held_claim(), work.spec)


def test_the_outage_reads_back_only_what_was_written_since(site, working):
    machine = site.add("web01", 64 * MIB, 6 * MIB + 512, pause=3600)
    work = working("web01")
    before = brought_to_outage(work)
    assert before >= 64 * MIB, "the base, all of it, before the outage"
    assert len(snapshots_on(site.bench.pool)) == 2
    disk = site.vcenter.disks(machine)[2000]
    for area in (3, 500, 501, 900):
        disk.write(area * BLOCK, b"o" * 512)
    disk.zero(32 * BLOCK, 2 * MIB)
    warm.shut_down(work)
    warm.last_sync(work)
    work.observer.read_back.clear()
    sealed(work)
    touched = {area * BLOCK // (2 * MIB) for area in (3, 500, 501, 900, 32)}
    assert work.observer.read_back["2000"] == len(touched) * 2 * MIB
    assert work.observer.read_back["2001"] == 0
    assert {one.verified for one in work.results} == {VerifyLevel.FULL}
    site.identical("web01", machine)
    assert not snapshots_on(site.bench.pool), "the pool's snapshots go with the seal"


def test_under_a_writer_by_the_command(site):
    machine = site.add("web01", 24 * MIB, 6 * MIB + 512)
    ran = site.migrate("web01", "--verify", "full", "--outage", "5")
    assert ran.code == 0, ran.err
    site.identical("web01", machine)
    assert "as a whole" not in ran.err
    assert len(site.bench.pool.ledger.calls_of("VDI.snapshot")) == 4, "before the first changes, and as verified"
    assert not snapshots_on(site.bench.pool)


def spoil(site, vdi, offset):
    path = site.bench.pool.vdi_path(vdi.id)
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xee" * 512)


def test_a_base_that_differs_is_made_anew_before_the_outage(site, working):
    machine = site.add("web01", 16 * MIB, pause=3600)
    work = working("web01")
    warm.track(work)
    warm.sync(work)
    spoil(site, work.held_claim().disks[0], 4 * MIB)
    brought_to_outage(work)
    assert work.observer.said("copied once more") == 1
    assert str(machine.values["runtime"].powerState) == "poweredOn"
    warm.shut_down(work)
    warm.last_sync(work)
    sealed(work)
    site.identical("web01", machine)
    assert not snapshots_on(site.bench.pool)


@pytest.mark.parametrize("where", ["written since", "elsewhere"])
def test_damage_after_the_base_was_verified_is_found_in_the_outage(site, working, where):
    machine = site.add("web01", 16 * MIB, pause=3600)
    work = working("web01")
    brought_to_outage(work)
    site.vcenter.disks(machine)[2000].write(0, b"n" * 512)
    warm.shut_down(work)
    warm.last_sync(work)
    spoil(site, work.held_claim().disks[0], 4096 if where == "written since" else 9 * MIB)
    sealed(work)
    assert work.observer.said("what came after its snapshot is sent once more") == 1
    site.identical("web01", machine)


def test_a_pool_that_gives_no_difference_is_read_back_whole(site, working):
    machine = site.add("web01", 16 * MIB, pause=3600)
    work = working("web01")
    brought_to_outage(work)
    site.vcenter.disks(machine)[2000].write(0, b"n" * 512)
    warm.shut_down(work)
    warm.last_sync(work)
    work.target.written = lambda claim, disk: None
    work.observer.read_back.clear()
    sealed(work)
    assert work.observer.read_back["2000"] == 16 * MIB
    site.identical("web01", machine)


def test_a_delta_that_the_pool_lost_is_found(site, working):
    """A block that was sent and is not among those written: its digest alone would not tell."""
    machine = site.add("web01", 16 * MIB, pause=3600)
    work = working("web01")
    brought_to_outage(work)
    disk = site.vcenter.disks(machine)[2000]
    old = site.bench.pool.vdi_path(work.held_claim().disks[0].id).read_bytes()
    disk.write(6 * MIB, b"n" * 4096)
    warm.shut_down(work)
    warm.last_sync(work)
    path = site.bench.pool.vdi_path(work.held_claim().disks[0].id)
    with path.open("r+b") as file:
        file.seek(6 * MIB)
        file.write(old[6 * MIB : 6 * MIB + 4096])
    sealed(work)
    assert work.observer.said("is verified as a whole") == 1
    assert work.observer.said("what came after its snapshot is sent once more") == 1
    site.identical("web01", machine)


def test_what_was_verified_before_a_restart_is_known_after_it(site, working):
    """As in a batch: the results are kept, and the pool has the snapshot."""
    machine = site.add("web01", 16 * MIB, pause=3600)
    first = working("web01")
    brought_to_outage(first)
    results = list(first.results)
    first.source.close()
    first.target.close()
    later = working("web01", results=results)
    warm.look_up(later)
    assert brought_to_outage(later) == 0
    warm.shut_down(later)
    warm.last_sync(later)
    sealed(later)
    assert sum(later.observer.read_back.values()) == 0
    site.identical("web01", machine)


def test_without_these_results_it_is_verified_again(site, working):
    machine = site.add("web01", 16 * MIB, pause=3600)
    first = working("web01")
    brought_to_outage(first)
    first.source.close()
    first.target.close()
    later = working("web01")
    assert brought_to_outage(later) == 16 * MIB
    assert len(snapshots_on(site.bench.pool)) == 1, "in place of the one before"
    warm.shut_down(later)
    warm.last_sync(later)
    sealed(later)
    site.identical("web01", machine)


@pytest.mark.parametrize("level", [VerifyLevel.SAMPLE, VerifyLevel.NONE])
def test_less_than_full_needs_no_base(site, working, level):
    site.add("web01", 8 * MIB, pause=3600)
    work = working("web01", verify=level)
    assert brought_to_outage(work) == 0
    assert not snapshots_on(site.bench.pool)


def test_what_is_discarded_leaves_no_snapshot_on_the_pool(site, working):
    site.add("web01", 8 * MIB, pause=3600)
    work = working("web01")
    brought_to_outage(work)
    assert snapshots_on(site.bench.pool)
    work.target.discard(work.target.find(work.tag))
    assert not snapshots_on(site.bench.pool)


def test_a_disk_that_is_copied_whole_in_every_pass_is_verified_in_the_outage(site, working):
    """Its base is lost with each copy: it is verified once before the outage, and no pass is made for it again."""
    machine = site.add("web01", 6 * MIB, pause=3600)
    work = working("web01")
    changed = work.source.changed

    def lost(*words):
        site.vcenter.disks(machine)[2000].tracker.reset()
        raise TrackingLost("tracking began anew")
        yield from changed(*words)

    work.source.changed = lost
    brought_to_outage(work)
    assert len(work.passes) <= 5
    assert work.observer.said("will be verified as a whole in the outage") == 1
    warm.shut_down(work)
    warm.last_sync(work)
    sealed(work)
    site.identical("web01", machine)
