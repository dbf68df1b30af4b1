# SPDX-License-Identifier: Apache-2.0
"""Segments grow where a task costs much, on a pool whose attaching takes 0, 2 and 10 s."""

import pytest

from tests.e2e.conftest import make_raw
from v2x.model.units import MIB
from v2x.simulators.appliance import ApplianceSpec, CreateType, DiskSpec, write_vmx_folder
from v2x.target.xapi.pool import XapiTarget

# Smaller segments than these would vanish in socket buffers, and their rate could not be measured.
LEAST, MOST = 64 * MIB, 128 * MIB
BLOCKS = 96


@pytest.fixture
def small_segments(monkeypatch):
    """The real program with limits that fit a test's disk."""
    monkeypatch.setattr(
        "v2x.target.open_xapi",
        lambda *words, **options: XapiTarget(*words, **options, least_segment_bytes=LEAST, most_segment_bytes=MOST),
    )


@pytest.fixture
def flat(tmp_path):
    raw = make_raw(tmp_path / "d.raw", BLOCKS * 2 * MIB, [(0, BLOCKS * 2 * MIB)])
    spec = ApplianceSpec(name="web", disks=(DiskSpec(raw=raw),))
    return write_vmx_folder(tmp_path / "web", spec, expected=tmp_path / "e", disk_type=CreateType.VMFS).vmx, raw


def sent_blocks(bench):
    return [round(one.received_bytes / (2 * MIB + 512)) for one in bench.pool.ledger.imports]


@pytest.mark.parametrize("delay", [0, 2, 10])
def test_segments_follow_the_cost_of_a_task(bench, small_segments, flat, same_bytes, tmp_path, delay):
    vmx, raw = flat
    bench.pool.settings.attach_delay = delay
    bench.pool.settings.read_rate = 48 * MIB
    ran = bench.migrate(vmx, "--verify", "none", "--json")
    assert ran.code == 0, ran.err
    blocks = sent_blocks(bench)
    assert sum(blocks) == BLOCKS
    assert blocks[0] == LEAST // (2 * MIB)
    if delay:
        # 50 times 2 s at 48 MiB/s is far above the limit: the next segment is the largest there is, here all the rest.
        assert blocks == [32, 64]
    assert ran.json["migrations"][0]["disks"][0]["segments"] == len(blocks)
    same_bytes(bench.vdis_of(bench.vm("web"))[0], raw, "raw", tmp_path)


def test_a_cut_costs_one_segment(bench, small_segments, flat, same_bytes, tmp_path):
    vmx, raw = flat
    bench.pool.faults.arm("cut_import", at=40 * MIB, times=1)
    ran = bench.migrate(vmx, "--verify", "none", "--json")
    assert ran.code == 0, ran.err
    assert "continuing from the last mark" in ran.err
    (vdi,) = [one for one in bench.pool.records("VDI").values() if "v2x-disk" in one["other_config"]]
    counts = bench.pool.ledger.blocks(vdi["uuid"])
    assert set(counts) == set(range(BLOCKS))
    assert sum(count - 1 for count in counts.values()) <= LEAST // (2 * MIB)
    assert not [key for key in vdi["other_config"] if key.startswith("v2x-hwm")], "marks go when the machine is sealed"
    same_bytes(bench.vdis_of(bench.vm("web"))[0], raw, "raw", tmp_path)
