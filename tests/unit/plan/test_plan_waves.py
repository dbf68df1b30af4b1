# SPDX-License-Identifier: Apache-2.0
"""Suggested waves: the order, what goes together, what goes apart, and how much fits."""

from datetime import UTC, datetime

import pytest

from v2x.model.finding import Verdict
from v2x.model.inventory import Inventory, MachineGroup, SourceInfo, Together
from v2x.plan.waves import PILOT_MACHINES, WAVE_MACHINES, WAVE_SECONDS, suggest_waves

HOUR = 3600


@pytest.fixture
def waves(make_machine):
    """The ids of each wave for machines given as name=(verdict, seconds)."""

    def suggest(groups=(), controllers=(), **machines):
        inventory = Inventory(
            source=SourceInfo(kind="vsphere", address="vc"),
            taken_at=datetime(2026, 1, 1, tzinfo=UTC),
            machines=tuple(make_machine(name, id=name) for name in machines),
            groups=tuple(groups),
        )
        verdicts = {name: verdict for name, (verdict, _) in machines.items()}
        seconds = {name: seconds for name, (_, seconds) in machines.items()}
        return suggest_waves(inventory, verdicts, seconds, controllers)

    return suggest


def ready(count, seconds=60):
    return {f"m{number:03}": (Verdict.READY, seconds + number) for number in range(count)}


def group(kind, *machines, name="G"):
    return MachineGroup(name=name, kind=kind, machines=machines)


def test_a_pilot_of_the_smallest_ready_machines_comes_first(waves):
    found = waves(**ready(10))
    assert found[0] == ("pilot: a few small machines, to learn from", ("m000", "m001", "m002"))
    assert len(found[0][1]) == PILOT_MACHINES
    assert len(found[1][1]) == 7


def test_what_is_ready_goes_before_what_needs_changes_and_that_before_the_unknown(waves):
    found = waves(
        a=(Verdict.UNKNOWN, 1), b=(Verdict.WARNINGS, 2), c=(Verdict.READY, 3), d=(Verdict.WARNINGS, 4)
    )  # fmt: skip
    assert [members for _, members in found] == [("c",), ("b", "d"), ("a",)]
    assert found[2][0].startswith("to be looked at")


def test_a_blocked_machine_is_in_no_wave(waves):
    assert waves(a=(Verdict.BLOCKED, 1)) == []
    assert waves(a=(Verdict.BLOCKED, 1), b=(Verdict.READY, 1))[0][1] == ("b",)


def test_a_wave_is_not_longer_than_a_night_nor_larger_than_25(waves):
    by_time = waves(**{f"m{number}": (Verdict.WARNINGS, 3 * HOUR) for number in range(5)})
    assert [len(members) for _, members in by_time] == [2, 2, 1]
    by_count = waves(**{f"m{number:02}": (Verdict.WARNINGS, 1) for number in range(60)})
    assert [len(members) for _, members in by_count] == [WAVE_MACHINES, WAVE_MACHINES, 10]


def test_a_machine_longer_than_a_night_has_a_wave_of_its_own(waves):
    found = waves(a=(Verdict.WARNINGS, 1), b=(Verdict.WARNINGS, 2 * WAVE_SECONDS), c=(Verdict.WARNINGS, 2))
    assert [members for _, members in found] == [("a", "c"), ("b",)]


@pytest.mark.parametrize("kind", [Together.AFFINITY, Together.SHARED_DISK, Together.VAPP])
def test_what_belongs_together_goes_in_one_wave_with_the_worst_verdict(waves, kind):
    found = waves(
        groups=[group(kind, "a", "b", name="ERP")],
        a=(Verdict.READY, 1), b=(Verdict.WARNINGS, 1), c=(Verdict.READY, 1),
    )  # fmt: skip
    assert [members for _, members in found] == [("c",), ("a", "b")]
    assert found[1][0].endswith("together: ERP")


def test_groups_that_share_a_machine_go_together(waves):
    found = waves(
        groups=[group(Together.VAPP, "a", "b"), group(Together.AFFINITY, "b", "c")],
        **dict.fromkeys("abc", (Verdict.WARNINGS, 1)),
    )
    assert [members for _, members in found] == [("a", "b", "c")]


@pytest.mark.parametrize("kind", [Together.ANTI_AFFINITY, Together.FAILOVER_CLUSTER])
def test_what_is_kept_apart_goes_in_different_waves(waves, kind):
    found = waves(groups=[group(kind, "a", "b")], **dict.fromkeys("abc", (Verdict.WARNINGS, 1)))
    assert [members for _, members in found] == [("a", "c"), ("b",)]


def test_domain_controllers_go_one_at_a_time_and_not_as_pilots(waves):
    found = waves(controllers=["a", "b"], **dict.fromkeys("abc", (Verdict.READY, 1)))
    assert [members for _, members in found] == [("c",), ("a",), ("b",)]


def test_members_that_the_inventory_does_not_hold_are_no_obstacle(waves):
    found = waves(groups=[group(Together.VAPP, "a", "elsewhere")], a=(Verdict.WARNINGS, 1))
    assert [members for _, members in found] == [("a",)]
