# SPDX-License-Identifier: Apache-2.0
"""How much of a delta travels and how much of it is written, counted at the pool's side."""

import pytest

from tests.warming import BLOCK
from v2x.migrate import warm
from v2x.model.target import DeltaFormat
from v2x.model.units import MIB


def delta(site, *, form, touched):
    """A first pass, one write of 512 bytes in each of the `touched` areas, a second pass: its imports, and the disk."""
    machine = site.add("web01", 64 * MIB, pause=3600)
    (disk,) = site.vcenter.disks(machine).values()
    work = site.work("web01", delta_format=form)
    warm.track(work)
    warm.sync(work)
    pool = site.bench.pool
    begun = len(pool.ledger.imports)
    for area in touched:
        disk.write(area * BLOCK + 8 * 512, b"w" * 512)
    (vdi,) = work.held_claim().disks
    path = pool.vdi_path(vdi.id)
    before = path.read_bytes()
    warm.sync(work)
    assert path.read_bytes()[: disk.size_bytes] == disk.read(0, disk.size_bytes) != before[: disk.size_bytes]
    result = next(iter(work.results))
    work.source.close()
    work.target.close()
    return pool.ledger.imports[begun:], work.passes[-1], result


SCATTERED = [0, 1, 40, 97, 300, 301, 302, 640, 1023]


@pytest.mark.parametrize("touched", [SCATTERED, [5], list(range(64, 640))], ids=["scattered", "one", "dense"])
def test_a_vhd_delta_is_its_touched_blocks_and_writes_only_their_areas(site, touched):
    imports, done, _ = delta(site, form=DeltaFormat.AUTO, touched=touched)
    blocks = len({area * BLOCK // (2 * MIB) for area in touched})
    received = sum(one.received_bytes for one in imports)
    assert {one.format for one in imports} == {"vhd"}
    assert received <= 1.01 * blocks * 2 * MIB, f"{received / blocks / 2 / MIB:.4f} × touched blocks"
    assert sum(one.written_bytes for one in imports) == len(touched) * BLOCK
    assert done.sent_bytes == blocks * 2 * MIB


@pytest.mark.parametrize("touched", [SCATTERED, [5], list(range(64, 640))], ids=["scattered", "one", "dense"])
def test_a_chunked_delta_is_its_changed_areas(site, touched):
    imports, done, _ = delta(site, form=DeltaFormat.CHUNKED, touched=touched)
    received = sum(one.received_bytes for one in imports)
    assert {one.format for one in imports} == {"chunked"}
    assert received <= 1.1 * len(touched) * BLOCK, f"{received / len(touched) / BLOCK:.4f} × changed areas"
    assert sum(one.written_bytes for one in imports) == len(touched) * BLOCK
    assert done.sent_bytes == len(touched) * BLOCK


def test_nothing_changed_sends_nothing(site):
    machine = site.add("web01", 8 * MIB, pause=3600)
    work = site.work("web01")
    warm.sync(work)
    begun = len(site.bench.pool.ledger.imports)
    warm.sync(work)
    assert len(site.bench.pool.ledger.imports) == begun and work.passes[-1].sent_bytes == 0
    assert machine.values["config"].changeTrackingEnabled
    work.source.close()
    work.target.close()


@pytest.mark.parametrize("seed", range(2))
def test_under_a_writer_with_chunked_deltas(site, seed):
    machine = site.add("web01", 20 * MIB, 6 * MIB + 512, seed=seed)
    ran = site.migrate("web01", "--delta", "chunked")
    assert ran.code == 0, ran.err
    site.identical("web01", machine)
    assert {"vhd", "chunked"} <= {one.format for one in site.bench.pool.ledger.imports}
