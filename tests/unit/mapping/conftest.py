# SPDX-License-Identifier: Apache-2.0
"""A pool with the templates of XCP-ng 8.3, three SRs and four networks, and makers of machines and plan rows."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from v2x.mapping import Tables, load_tables
from v2x.model.machine import (
    Cpu,
    Disk,
    DiskBus,
    DiskFormat,
    Firmware,
    Guest,
    GuestIdKind,
    Machine,
    Memory,
    Nic,
    NicModel,
)
from v2x.model.plan import PlanRow
from v2x.model.target import (
    ImageFormat,
    StorageRepository,
    TargetFacts,
    TargetHost,
    TargetNetwork,
    Template,
)
from v2x.model.units import GIB, TIB

TEMPLATES = Path(__file__).parents[1] / "templates_xcp_ng_8_3.json"


@pytest.fixture(scope="session")
def template_records() -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(TEMPLATES.read_text())
    return records


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return load_tables(environ={"XDG_CONFIG_HOME": str(tmp_path_factory.mktemp("config"))})


@pytest.fixture(scope="session")
def templates(template_records: list[dict[str, Any]]) -> tuple[Template, ...]:
    return tuple(
        Template(
            reference_label=record["reference_label"],
            name=record["name"],
            uuid=record["uuid"],
            firmware=Firmware(record["firmware"]),
            boot_order=record["boot_order"],
            platform=record["platform"],
            recommendations=f"<restrictions name='{record['reference_label']}'/>",
        )
        for record in template_records
        if not record["pv_package_only"]
    )


@pytest.fixture
def facts(templates: tuple[Template, ...]) -> TargetFacts:
    hosts = ("h1", "h2")
    return TargetFacts(
        kind="xapi",
        address="pool.example",
        taken_at=datetime(2026, 1, 2, tzinfo=UTC),
        product="XCP-ng",
        version="8.3.0",
        xapi_version="26.1.4",
        hosts=tuple(TargetHost(uuid=uuid, name=uuid, address=uuid) for uuid in hosts),
        storage=(
            StorageRepository(
                uuid="sr-nfs",
                name="NFS",
                kind="nfs",
                shared=True,
                is_default=True,
                size_bytes=10 * TIB,
                used_bytes=9 * TIB,
                image_formats=(ImageFormat.VHD, ImageFormat.QCOW2),
                hosts=hosts,
            ),
            StorageRepository(
                uuid="sr-lvm",
                name="SAN",
                kind="lvmohba",
                shared=True,
                thin=False,
                size_bytes=20 * TIB,
                used_bytes=2 * TIB,
                hosts=hosts,
            ),
            StorageRepository(
                uuid="sr-local1", name="Local storage", kind="ext", size_bytes=500 * GIB, used_bytes=0, hosts=("h1",)
            ),
            StorageRepository(
                uuid="sr-local2", name="Local storage", kind="ext", size_bytes=600 * GIB, used_bytes=0, hosts=("h2",)
            ),
            StorageRepository(
                uuid="sr-iso", name="ISOs", kind="iso", content_type="iso", shared=True, hosts=hosts, size_bytes=TIB
            ),
            StorageRepository(uuid="sr-gone", name="Unplugged", kind="nfs", shared=True, size_bytes=TIB),
        ),
        networks=(
            TargetNetwork(uuid="net-lan", name="LAN", bridge="xenbr0", hosts=hosts, is_management=True),
            TargetNetwork(uuid="net-dmz", name="DMZ", vlan=20, mtu=9000, hosts=hosts),
            TargetNetwork(uuid="net-30", name="Storage 30", vlan=30, hosts=("h1",)),
            TargetNetwork(uuid="net-30b", name="Storage both", vlan=30, hosts=hosts),
        ),
        templates=templates,
        qcow2_import=True,
    )


@pytest.fixture
def make_disk() -> Callable[..., Disk]:
    def make(position: int = 0, **changes: Any) -> Disk:
        fields: dict[str, Any] = {
            "id": f"scsi0:{position}",
            "label": f"Hard disk {position + 1}",
            "position": position,
            "bus": DiskBus.SCSI,
            "controller": 0,
            "unit": position,
            "capacity_bytes": 16 * GIB,
            "format": DiskFormat.VMDK,
        }
        return Disk(**(fields | changes))

    return make


@pytest.fixture
def make_nic() -> Callable[..., Nic]:
    def make(position: int = 0, **changes: Any) -> Nic:
        fields: dict[str, Any] = {
            "position": position,
            "label": f"Network adapter {position + 1}",
            "model": NicModel.VMXNET3,
            "network": "LAN",
            "mac": f"00:50:56:00:00:{position:02x}",
        }
        return Nic(**(fields | changes))

    return make


@pytest.fixture
def make_machine(make_disk: Callable[..., Disk], make_nic: Callable[..., Nic]) -> Callable[..., Machine]:
    def make(**changes: Any) -> Machine:
        fields: dict[str, Any] = {
            "id": "4213-web01",
            "name": "web01",
            "cpu": Cpu(count=4, cores_per_socket=2),
            "memory": Memory(size_bytes=8 * GIB),
            "firmware": Firmware.UEFI,
            "guest": Guest(os_id="debian12_64Guest", os_id_kind=GuestIdKind.VMWARE),
            "disks": (make_disk(0),),
            "nics": (make_nic(0),),
        }
        return Machine(**(fields | changes))

    return make


@pytest.fixture
def make_row() -> Callable[..., PlanRow]:
    def make(**changes: Any) -> PlanRow:
        fields: dict[str, Any] = {
            "machine_id": "4213-web01",
            "machine_name": "web01",
            "source": "vcenter",
            "target": "pool",
        }
        return PlanRow(**(fields | changes))

    return make
