# SPDX-License-Identifier: Apache-2.0
"""A small inventory with findings of each severity, and the report of a small run."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from v2x.model.finding import Finding, Severity
from v2x.model.forecast import DEFAULT_PACE, Forecast, Outlook, Wave
from v2x.model.inventory import Inventory, SourceInfo
from v2x.model.machine import Cpu, Disk, DiskBus, DiskFormat, Firmware, Guest, Machine, Memory, Nic, NicModel
from v2x.model.migration import BlockDigests, DiskResult, Failure, Migration, Outcome, Phase, Report, VerifyLevel
from v2x.model.target import TargetFacts
from v2x.model.units import GIB, MIB

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
UUID = "0f0f4f2e-88a1-4b9e-a3a5-5d7a3f1c2b10"


def machine(name: str = "web", **more: Any) -> Machine:
    values: dict[str, Any] = {
        "id": f"id-{name}",
        "name": name,
        "cpu": Cpu(count=2),
        "memory": Memory(size_bytes=4 * GIB),
        "firmware": Firmware.UEFI,
        "guest": Guest(os_name="Debian 12"),
        "disks": (
            Disk(id="d", label="Disk 1", position=0, bus=DiskBus.SCSI, controller=0, unit=0, capacity_bytes=GIB,
                 format=DiskFormat.VMDK),
        ),
        "nics": (Nic(position=0, label="Card 1", model=NicModel.VMXNET3, network="LAN"),),
    }  # fmt: skip
    return Machine(**values | more)


def finding(of: Machine | None = None, severity: str = "warning", **more: Any) -> Finding:
    values: dict[str, Any] = {
        "rule": f"some.{severity}",
        "severity": Severity(severity),
        "label": f"A {severity} of some kind",
        "text": "What was found.",
        "remedy": "What to do.",
        "machine_id": of.id if of else "",
        "machine_name": of.name if of else "",
        "source": "a document",
    }
    return Finding(**values | more)


def unknown(rule: str, **more: Any) -> Finding:
    values: dict[str, Any] = {
        "rule": rule,
        "severity": Severity.UNKNOWN,
        "at_stake": Severity.BLOCKER,
        "label": "What could be wrong",
        "text": "Nobody knows.",
        "remedy": "Ask somebody.",
    }
    return Finding(**values | more)


def inventory(*machines: Machine) -> Inventory:
    return Inventory(source=SourceInfo(kind="ovf", address="/srv/exports"), taken_at=NOW, machines=machines)


def migration(**more: Any) -> Migration:
    values: dict[str, Any] = {
        "id": "m-1",
        "machine_id": "id-web",
        "machine_name": "web",
        "target_name": "web-new",
        "source": "/srv/exports",
        "target": "xapi://root@pool",
        "phase": Phase.DONE,
        "outcome": Outcome.MIGRATED,
        "started": NOW,
        "finished": NOW + timedelta(minutes=2, seconds=5),
        "vm_uuid": UUID,
        "disks": (
            DiskResult(
                source_disk="d", label="Disk 1", vdi="vdi-1", capacity_bytes=GIB, target_bytes=GIB,
                data_bytes=512 * MIB, sent_bytes=512 * MIB, segments=1, seconds=4.0, verified=VerifyLevel.FULL,
                digests=BlockDigests(
                    algorithm="xxh3-128", block_bytes=2 * MIB, size_bytes=GIB, runs=((0, 1),), digests=bytes(16)
                ),
            ),
        ),
    }  # fmt: skip
    return Migration(**values | more)


def report(*migrations: Migration, **more: Any) -> Report:
    return Report(id="run-1", created=NOW, version="0.1.0", migrations=migrations, **more)


@pytest.fixture(scope="session")
def build() -> SimpleNamespace:
    """Builders of what reports show."""
    return SimpleNamespace(
        now=NOW,
        uuid=UUID,
        machine=machine,
        finding=finding,
        unknown=unknown,
        inventory=inventory,
        migration=migration,
        report=report,
        facts=TargetFacts(kind="xapi", address="xapi://root@pool", taken_at=NOW, product="XCP-ng", version="8.3.0"),
        failure=Failure,
        outcome=Outcome,
    )


@pytest.fixture
def three(build: SimpleNamespace) -> SimpleNamespace:
    """Three machines, one of each verdict, and the findings behind it."""
    good, warned, blocked = build.machine("alpha"), build.machine("beta"), build.machine("gamma")
    findings = (
        build.finding(blocked, "blocker", subject="Disk 1"),
        build.finding(None, "warning", rule="estate.warning", label="Of the whole estate"),
        build.finding(warned, "warning"),
        build.finding(blocked, "warning"),
        build.finding(good, "info"),
    )
    return SimpleNamespace(inventory=build.inventory(good, warned, blocked), findings=findings)


@pytest.fixture
def forecast(three: SimpleNamespace) -> Forecast:
    """What is suggested for the three: the ready one first, the blocked one not at all."""
    outlooks = {
        key: Outlook(machine_id=key, data_bytes=GIB, seconds=134, wave=wave, sized=wave == 1)
        for key, wave in (("id-alpha", 1), ("id-beta", 2), ("id-gamma", 0))
    }
    waves = tuple(
        Wave(number=number, reason=f"reason {number}", machines=(key,), data_bytes=GIB, seconds=134)
        for number, key in ((1, "id-alpha"), (2, "id-beta"))
    )
    return Forecast(
        pace=DEFAULT_PACE,
        outlooks=outlooks,
        waves=waves,
        left_out=("id-gamma",),
        data_bytes=2 * GIB,
        capacity_bytes=2 * GIB,
        seconds=268,
        unsized=1,
    )
