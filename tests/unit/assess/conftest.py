# SPDX-License-Identifier: Apache-2.0
"""Machines and pools on which no rule has anything to say, to be changed in one place by each test."""

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from v2x.assess.engine import assess
from v2x.mapping.tables import Tables, load_tables
from v2x.model.finding import Severity
from v2x.model.inventory import (
    Datastore,
    Inventory,
    MachineGroup,
    SourceCluster,
    SourceHost,
    SourceInfo,
    SourceNetwork,
    SourceProblem,
)
from v2x.model.machine import (
    CdDrive,
    Cpu,
    Device,
    Disk,
    DiskBus,
    DiskFormat,
    Firmware,
    Guest,
    GuestAddress,
    GuestIdKind,
    GuestVolume,
    Machine,
    Memory,
    Nic,
    NicModel,
    PowerState,
    Snapshot,
    ToolsState,
    VlanRange,
)
from v2x.model.target import ImageFormat, StorageRepository, TargetFacts, TargetHost, TargetNetwork, Template, UsedMac
from v2x.model.units import GIB

TAKEN = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
OTHER_SYSTEM = Guest(os_id="freebsd14_64Guest", os_id_kind=GuestIdKind.VMWARE, os_name="FreeBSD 14 (64-bit)")


def disk(number: int = 0, **more: Any) -> Disk:
    values: dict[str, Any] = {
        "id": f"d{number}",
        "label": f"Disk {number + 1}",
        "position": number,
        "bus": DiskBus.SCSI,
        "controller": 0,
        "unit": number,
        "capacity_bytes": 10 * GIB,
        "format": DiskFormat.VMDK,
    }
    return Disk(**values | more)


def nic(number: int = 0, **more: Any) -> Nic:
    values: dict[str, Any] = {
        "position": number,
        "label": f"Card {number + 1}",
        "model": NicModel.NETFRONT,
        "network": "LAN",
        "mac": f"00:50:56:00:00:{number:02x}",
    }
    return Nic(**values | more)


def machine(**more: Any) -> Machine:
    values: dict[str, Any] = {
        "id": "vm-1",
        "name": "web",
        "cpu": Cpu(count=2),
        "memory": Memory(size_bytes=4 * GIB),
        "firmware": Firmware.BIOS,
        "power_state": PowerState.OFF,
        "guest": OTHER_SYSTEM,
        "disks": (disk(),),
        "nics": (nic(),),
        "exporter": "VMware ESXi",
    }
    return Machine(**values | more)


def guest(os_id: str = "", os_name: str = "", **more: Any) -> Guest:
    kind = GuestIdKind.VMWARE if os_id else GuestIdKind.NONE
    return Guest(os_id=os_id, os_id_kind=kind, os_name=os_name, **more)


def sr(**more: Any) -> StorageRepository:
    values: dict[str, Any] = {"uuid": "sr-1", "name": "Local", "kind": "ext", "size_bytes": 1000 * GIB}
    return StorageRepository(**values | more)


def host(**more: Any) -> TargetHost:
    values: dict[str, Any] = {
        "uuid": "host-1",
        "name": "xcp1",
        "address": "192.0.2.1",
        "cpu_count": 16,
        "memory_total_bytes": 128 * GIB,
        "memory_free_bytes": 64 * GIB,
    }
    return TargetHost(**values | more)


def facts(**more: Any) -> TargetFacts:
    values: dict[str, Any] = {
        "kind": "xapi",
        "address": "xapi://root@pool",
        "taken_at": TAKEN,
        "product": "XCP-ng",
        "version": "8.3.0",
        "xapi_version": "26.1.4",
        "hosts": (host(),),
        "storage": (sr(),),
        "networks": (TargetNetwork(uuid="net-1", name="LAN"),),
        "templates": (template("other-install-media"),),
        "secure_boot_certificates": True,
        "qcow2_import": True,
    }
    return TargetFacts(**values | more)


def template(reference_label: str, **more: Any) -> Template:
    return Template(reference_label=reference_label, name=reference_label, uuid=reference_label, **more)


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """Builders of nouns."""
    return SimpleNamespace(
        disk=disk,
        nic=nic,
        machine=machine,
        guest=guest,
        sr=sr,
        host=host,
        facts=facts,
        template=template,
        cpu=Cpu,
        memory=Memory,
        device=Device,
        drive=CdDrive,
        snapshot=Snapshot,
        network=TargetNetwork,
        source_network=SourceNetwork,
        vlan_range=VlanRange,
        used_mac=UsedMac,
        problem=SourceProblem,
        source_host=SourceHost,
        cluster=SourceCluster,
        group=MachineGroup,
        datastore=Datastore,
        volume=GuestVolume,
        address=GuestAddress,
        client=guest("windows9_64Guest", "Microsoft Windows 10 (64-bit)"),
        old_windows=guest("windows7_64Guest", "Microsoft Windows 7 (64-bit)"),
        windows=guest("windows2019srv_64Guest", "Microsoft Windows Server 2019 (64-bit)"),
        linux=guest("debian12_64Guest", "Debian GNU/Linux 12 (64-bit)"),
        tools=lambda state: Guest(os_id="freebsd14_64Guest", os_id_kind=GuestIdKind.VMWARE, tools=ToolsState(state)),
        vhd=ImageFormat.VHD,
        qcow2=ImageFormat.QCOW2,
        xva=facts(kind="xva", address="xva:/out", product="", version="", xapi_version="", hosts=(), storage=(),
                  networks=(), templates=(), secure_boot_certificates=False, qcow2_import=False),
    )  # fmt: skip


@pytest.fixture(scope="session")
def tables() -> Tables:
    return load_tables(environ={})


@pytest.fixture
def listed() -> Callable[..., Inventory]:
    """An inventory of the machines given."""

    def build(
        *machines: Machine,
        kind: str = "ovf",
        problems: tuple[SourceProblem, ...] = (),
        networks: tuple[SourceNetwork, ...] = (),
        taken: datetime = TAKEN,
        missing: tuple[str, ...] = (),
        account: str = "",
        **more: Any,
    ) -> Inventory:
        """`missing` are privileges that the source's account lacks; `more` are parts of the inventory."""
        source = SourceInfo(kind=kind, address="/srv/exports", missing_privileges=missing, account=account)
        return Inventory(source=source, taken_at=taken, machines=machines, problems=problems, networks=networks, **more)

    return build


@pytest.fixture
def speak(tables: Tables, listed: Callable[..., Inventory]) -> Callable[..., list[tuple[str, str]]]:
    """What one rule says of machines: pairs of subject and text."""

    def ask(rule: str, *machines: Machine, pool: TargetFacts | None = None, **more: Any) -> list[tuple[str, str]]:
        found = assess(listed(*machines, **more), pool, tables)
        return [
            (finding.subject, finding.text)
            for finding in found
            if finding.rule == rule and finding.severity is not Severity.UNKNOWN
        ]

    return ask


@pytest.fixture
def doubt(tables: Tables, listed: Callable[..., Inventory]) -> Callable[..., list[str]]:
    """The facts that one rule lacks."""

    def ask(rule: str, *machines: Machine, pool: TargetFacts | None = None, **more: Any) -> list[str]:
        found = assess(listed(*machines, **more), pool, tables)
        lacking = [one for one in found if one.rule == rule and one.severity is Severity.UNKNOWN]
        assert all(one.remedy and one.at_stake is not None for one in lacking)
        return [one.text for one in lacking]

    return ask
