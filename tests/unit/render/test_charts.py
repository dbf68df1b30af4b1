# SPDX-License-Identifier: Apache-2.0
"""The figures behind the charts."""

import pytest

from v2x.model.finding import Verdict
from v2x.model.machine import Disk, DiskBus, DiskFormat, Guest
from v2x.model.units import GIB, TIB
from v2x.render.assessment import assessment_of
from v2x.render.charts import size_bars, system_bars, system_family, verdict_ring


def disks(size_bytes):
    return (
        Disk(
            id="d", label="d", position=0, bus=DiskBus.SCSI, controller=0, unit=0, capacity_bytes=size_bytes,
            format=DiskFormat.RAW,
        ),
    )  # fmt: skip


def test_the_ring_goes_round_once_in_the_order_of_verdicts(build, three):
    made = assessment_of(three.inventory, None, three.findings, now=build.now, version="0.1.0")
    ring = verdict_ring(made)
    assert [share.verdict for share in ring] == [Verdict.READY, Verdict.WARNINGS, Verdict.BLOCKED]
    assert sum(share.length for share in ring) == pytest.approx(100, abs=0.01)
    assert [share.start for share in ring] == pytest.approx([0, 100 / 3, 200 / 3], abs=0.01)


def test_the_ring_of_nothing_is_empty(build):
    assert verdict_ring(assessment_of(build.inventory(), None, (), now=build.now, version="0.1.0")) == []


def test_sizes_keep_empty_tiers_between_used_ones(build):
    machines = [build.machine(f"m{at}", disks=disks(size)) for at, size in enumerate((50 * GIB, 3 * TIB, 4 * TIB))]
    bars = size_bars(machines)
    assert [(bar.label, bar.count) for bar in bars] == [
        ("20 to 100 GiB", 1),
        ("100 to 500 GiB", 0),
        ("500 GiB to 1 TiB", 0),
        ("1 to 2 TiB", 0),
        ("2 to 10 TiB", 2),
    ]
    assert (bars[0].width, bars[-1].width) == (50, 100)
    assert size_bars([]) == []


def test_the_rarest_systems_are_joined(build):
    names = [
        "Ubuntu",
        "Debian",
        "CentOS",
        "SUSE",
        "Photon",
        "FreeBSD",
        "Windows 10",
        "Windows Server 2019",
        "Fedora",
        "",
    ]
    machines = [build.machine(f"m{at}", guest=Guest(os_name=name)) for at, name in enumerate(names)]
    bars = system_bars([*machines, machines[0]])
    assert len(bars) == 8
    assert (bars[0].label, bars[0].count) == ("Ubuntu", 2)
    assert (bars[-1].label, bars[-1].count) == ("others", 3)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("Microsoft Windows Server 2022 (64-bit)", "Windows Server"),
        ("Microsoft Windows 11 (64-bit)", "Windows client"),
        ("Red Hat Enterprise Linux 9 (64-bit)", "Red Hat Enterprise Linux"),
        ("Oracle Linux 8", "Rocky, Alma, Oracle Linux"),
        ("Other 5.x Linux (64-bit)", "Other Linux"),
        ("Novell NetWare 6.x", "other"),
        ("", "unknown"),
    ],
)
def test_families(name, family):
    assert system_family(Guest(os_name=name)) == family
