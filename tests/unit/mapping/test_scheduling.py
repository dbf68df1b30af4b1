# SPDX-License-Identifier: Apache-2.0
"""Weights and caps from shares and limits, and what a draft takes over of starting and HA."""

from dataclasses import replace

import pytest

from v2x.mapping.build import build_machine
from v2x.mapping.scheduling import cap, slowest_mhz, weight
from v2x.mapping.starting import ha_priority, starts_by_itself
from v2x.model.machine import Cpu, Guest, GuestIdKind
from v2x.model.target import HaPriority


def with_speeds(facts, *speeds):
    hosts = tuple(replace(facts.hosts[0], uuid=f"h{number}", cpu_mhz=mhz) for number, mhz in enumerate(speeds))
    return replace(facts, hosts=hosts)


@pytest.mark.parametrize(
    ("kind", "count", "shares", "expected"),
    [
        (GuestIdKind.VMWARE, 4, 4000, 256),
        (GuestIdKind.VMWARE, 4, 8000, 512),
        (GuestIdKind.VMWARE, 4, 2000, 128),
        (GuestIdKind.VMWARE, 1, 1_000_000, 65535),
        (GuestIdKind.VMWARE, 64, 1, 1),
        (GuestIdKind.CIM, 2, 4000, 512),
        (GuestIdKind.HYPERV, 8, 200, 512),
        (GuestIdKind.HYPERV, 8, 100, 256),
        (GuestIdKind.TEXT, 2, 200, None),
        (GuestIdKind.VMWARE, 2, None, None),
        (GuestIdKind.VMWARE, 2, 0, None),
    ],
)
def test_shares_become_a_weight_in_proportion_to_the_normal_ones(make_machine, kind, count, shares, expected):
    machine = make_machine(cpu=Cpu(count=count, shares=shares), guest=Guest(os_id="x", os_id_kind=kind))
    assert weight(machine) == expected


@pytest.mark.parametrize(
    ("limit", "vcpus", "mhz", "expected"),
    [
        (2600, 2, 2600, 100),
        (1300, 2, 2600, 50),
        (1301, 2, 2600, 51),
        (5200, 2, 2600, None),
        (9999, 2, 2600, None),
        (1000, 2, 0, None),
        (None, 2, 2600, None),
    ],
)
def test_a_limit_becomes_a_cap_in_hundredths_of_a_processor(limit, vcpus, mhz, expected):
    assert cap(limit, vcpus, mhz) == expected


def test_a_cap_is_reckoned_by_the_slowest_host():
    assert slowest_mhz((3000, 0, 2400)) == 2400
    assert slowest_mhz(()) == slowest_mhz((0,)) == 0


def test_the_machine_gets_them_and_every_change_is_said(facts, tables, make_machine, make_row):
    machine = make_machine(cpu=Cpu(count=4, shares=8000, limit_mhz=3000, affinity="0-3"))
    made = build_machine(machine, make_row(), with_speeds(facts, 2000, 3000), tables)
    assert made.vcpus_params == {"weight": "512", "cap": "150"}
    told = " ".join(made.notes)
    assert "CPU shares: 8,000 → weight 512" in told
    assert "CPU limit: 3,000 MHz → cap 150, that is 1.5 processors of 2,000 MHz." in told
    assert "CPU affinity: none" in told


def test_what_limits_nothing_is_left_out_and_said(facts, tables, make_machine, make_row):
    machine = make_machine(cpu=Cpu(count=1, shares=1000, limit_mhz=9000))
    made = build_machine(machine, make_row(), with_speeds(facts, 2000), tables)
    assert made.vcpus_params == {}
    assert "CPU limit: 9,000 MHz → none, because 1 vCPUs are less." in made.notes
    made = build_machine(machine, make_row(), facts, tables)
    assert "CPU limit: 9,000 MHz → none, because the speed of the target's processors is not known." in made.notes
    assert build_machine(make_machine(), make_row(), facts, tables).vcpus_params == {}


@pytest.mark.parametrize(
    ("action", "starts"),
    [("powerOn", True), ("Start", True), ("always-start", True), ("StartIfRunning", False), ("none", False),
     ("systemDefault", False), ("Nothing", False), ("", False)],
)  # fmt: skip
def test_only_a_wish_to_start_counts(make_machine, action, starts):
    assert starts_by_itself(make_machine(start_action=action)) is starts


@pytest.mark.parametrize(
    ("priority", "expected"),
    [("high", HaPriority.RESTART), ("medium", HaPriority.RESTART), ("Highest", HaPriority.RESTART),
     ("low", HaPriority.BEST_EFFORT), ("lowest", HaPriority.BEST_EFFORT), ("disabled", HaPriority.NONE),
     ("", HaPriority.NONE), ("clusterRestartPriority", HaPriority.NONE)],
)  # fmt: skip
def test_ha_priorities(make_machine, priority, expected):
    assert ha_priority(make_machine(ha_priority=priority)) is expected


def test_a_resource_set_goes_along_from_the_row(facts, tables, make_machine, make_row):
    assert build_machine(make_machine(), make_row(resource_set=" U8km "), facts, tables).resource_set == "U8km"


def test_a_groups_delay_and_the_sources_own_serial_number(facts, tables, make_machine, make_row):
    machine = make_machine(
        group="shop", start_order=2, start_delay_seconds=90, serial_number="1234-5678", asset_tag="A 7",
        guest=Guest(os_name="Windows Server 2022"),
    )  # fmt: skip
    made = build_machine(machine, make_row(bios_strings=True), facts, tables)
    assert made.start_group is not None and made.start_group.start_delay_seconds == 90
    assert made.bios_strings == {"system-serial-number": "1234-5678", "enclosure-asset-tag": "A 7"}
