# SPDX-License-Identifier: Apache-2.0
"""The forecast: what each machine becomes, where its parts go, and what the move takes."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from v2x.model.finding import Finding, Severity
from v2x.model.forecast import DEFAULT_PACE, Pace, measured_pace
from v2x.model.migration import DiskResult, Migration, Report
from v2x.model.units import GIB, MIB, TIB
from v2x.plan.forecast import OVERHEAD_SECONDS, forecast


@pytest.fixture
def told(facts, tables, make_inventory):
    def make(*machines, pool=facts, findings=(), pace=DEFAULT_PACE):
        return forecast(make_inventory(*machines), pool, tables, findings=findings, pace=pace)

    return make


def finding(machine, severity, rule="some.rule"):
    return Finding(
        rule=rule, severity=severity, label="L", text="T", remedy="R.", machine_id=machine.id, machine_name=machine.name
    )


def test_a_machine_with_its_storage_networks_and_hardware(told, make_machine):
    machine = make_machine("web")
    one = told(machine).outlooks[machine.id]
    assert one.made is not None
    assert one.made.vcpus == machine.cpu.count
    assert {place.target for place in one.storage} == {"NFS"}
    assert all(place.reason for place in one.networks)


def test_time_is_data_by_pace_and_a_little_for_each_machine(told, make_machine):
    machine = make_machine("web")
    data = sum(disk.allocated_bytes or disk.capacity_bytes for disk in machine.disks)
    pace = Pace(bytes_per_second=MIB, origin="a test")
    found = told(machine, pace=pace)
    assert found.outlooks[machine.id].seconds == OVERHEAD_SECONDS + data // MIB
    assert (found.data_bytes, found.seconds) == (data, OVERHEAD_SECONDS + data // MIB)
    assert found.capacity_bytes == machine.capacity_bytes


def test_a_disk_whose_data_is_not_known_counts_whole_and_is_said(told, make_machine):
    plain = make_machine("web")
    machine = replace(plain, disks=tuple(replace(disk, allocated_bytes=None) for disk in plain.disks))
    found = told(machine)
    assert not found.outlooks[machine.id].sized
    assert (found.unsized, found.data_bytes) == (1, machine.capacity_bytes)


def test_blocked_machines_are_left_out_of_sums_and_waves(told, make_machine):
    good, bad = make_machine("good"), make_machine("bad", id="bad")
    found = told(good, bad, findings=[finding(bad, Severity.BLOCKER)])
    assert found.left_out == ("bad",)
    assert [wave.machines for wave in found.waves] == [(good.id,)]
    assert (found.outlooks["bad"].wave, found.outlooks[good.id].wave) == (0, 1)
    assert found.data_bytes == found.outlooks[good.id].data_bytes


def test_domain_controllers_that_a_rule_found_are_kept_apart(told, make_machine):
    pair = [make_machine(name, id=name) for name in ("dc1", "dc2")]
    found = told(*pair, findings=[finding(one, Severity.WARNING, "identity.domain-controller") for one in pair])
    assert [wave.machines for wave in found.waves] == [("dc1",), ("dc2",)]


def test_a_network_that_is_not_certain_says_what_it_could_be(told, make_machine):
    plain = make_machine("web")
    machine = replace(plain, nics=(replace(plain.nics[0], network="nowhere"),))
    (place,) = told(machine).outlooks[machine.id].networks
    assert place.target == ""
    assert "it could be" in place.reason


def test_without_a_pool_the_machine_is_that_of_a_current_one(told, make_machine):
    plain = make_machine("web")
    machine = replace(plain, disks=(replace(plain.disks[0], capacity_bytes=3 * TIB),))
    one = told(machine, pool=None).outlooks[machine.id]
    assert one.made is not None
    assert one.made.template
    assert one.problem == ""
    assert (one.storage, one.networks) == ((), ())


def test_a_machine_that_cannot_be_made_says_why(told, make_machine):
    plain = make_machine("web")
    machine = replace(plain, disks=(replace(plain.disks[0], capacity_bytes=0),))
    one = told(machine).outlooks[machine.id]
    assert one.made is None
    assert "size" in one.problem


def test_the_pace_of_a_run_is_its_bytes_by_its_seconds():
    def run(*disks):
        made = Migration(id="m", machine_id="m", machine_name="m", target_name="m", source="s", target="t", disks=disks)
        return Report(id="r1", created=datetime(2026, 5, 1, tzinfo=UTC), version="0.1.0", migrations=(made,))

    disk = DiskResult(source_disk="d", label="d", vdi="v", sent_bytes=10 * GIB, seconds=100.0)
    found = measured_pace(run(disk, disk, replace(disk, sent_bytes=0, seconds=5.0)))
    assert found is not None
    assert (found.bytes_per_second, found.measured) == (10 * GIB // 100, True)
    assert found.origin == "measured in run r1 of 2026-05-01"
    assert measured_pace(run(replace(disk, sent_bytes=0))) is None
