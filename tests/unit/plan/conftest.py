# SPDX-License-Identifier: Apache-2.0
"""A source of three machines and a pool with two SRs and two networks."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from v2x.mapping import Tables, load_tables
from v2x.model.inventory import Inventory, SourceInfo, SourceNetwork
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
from v2x.model.plan import Endpoint, Plan, PlanRow
from v2x.model.target import (
    ImageFormat,
    StorageRepository,
    TargetFacts,
    TargetHost,
    TargetNetwork,
    Template,
    UsedMac,
)
from v2x.model.units import GIB, TIB
from v2x.plan.store import plan_id

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return load_tables(environ={"XDG_CONFIG_HOME": str(tmp_path_factory.mktemp("config"))})


@pytest.fixture
def facts() -> TargetFacts:
    return TargetFacts(
        kind="xapi",
        address="pool.example",
        taken_at=NOW,
        product="XCP-ng",
        version="8.3.0",
        xapi_version="26.1.4",
        hosts=(TargetHost(uuid="h1", name="host1", address="h1", cpu_count=64, memory_total_bytes=512 * GIB),),
        storage=(
            StorageRepository(
                uuid="sr-nfs",
                name="NFS",
                kind="nfs",
                shared=True,
                is_default=True,
                size_bytes=TIB,
                used_bytes=TIB - 100 * GIB,
                image_formats=(ImageFormat.VHD, ImageFormat.QCOW2),
                hosts=("h1",),
            ),
            StorageRepository(
                uuid="sr-san",
                name="SAN; tier=1",
                kind="lvmohba",
                shared=True,
                thin=False,
                size_bytes=20 * TIB,
                used_bytes=0,
                hosts=("h1",),
            ),
        ),
        networks=(
            TargetNetwork(
                uuid="net-lan",
                name="LAN",
                hosts=("h1",),
                is_management=True,
                devices={"h1": "eth0"},
                carrier="net-lan",
            ),
            TargetNetwork(
                uuid="net-20", name="Servers", vlan=20, hosts=("h1",), devices={"h1": "eth0"}, carrier="net-lan"
            ),
        ),
        templates=(
            Template(reference_label="debian-12", name="Debian Bookworm 12", uuid="t1", firmware=Firmware.UEFI),
            Template(reference_label="other-install-media", name="Other install media", uuid="t2"),
        ),
        machine_names=("old01",),
        macs=(UsedMac(mac="00:50:56:00:00:99", machine="old01"),),
        qcow2_import=True,
    )


@pytest.fixture
def make_machine() -> Callable[..., Machine]:
    def make(name: str = "web01", number: int = 1, **changes: Any) -> Machine:
        fields: dict[str, Any] = {
            "id": f"uuid-{number}",
            "name": name,
            "cpu": Cpu(count=2, cores_per_socket=1),
            "memory": Memory(size_bytes=4 * GIB),
            "firmware": Firmware.UEFI,
            "guest": Guest(os_id="debian12_64Guest", os_id_kind=GuestIdKind.VMWARE),
            "disks": (
                Disk(
                    id="scsi0:0",
                    label="Hard disk 1",
                    position=0,
                    bus=DiskBus.SCSI,
                    controller=0,
                    unit=0,
                    capacity_bytes=60 * GIB,
                    format=DiskFormat.VMDK,
                ),
            ),
            "nics": (
                Nic(
                    position=0,
                    label="Network adapter 1",
                    model=NicModel.VMXNET3,
                    network="VM Network",
                    mac=f"00:50:56:00:00:{number:02x}",
                ),
            ),
        }
        return Machine(**(fields | changes))

    return make


@pytest.fixture
def make_inventory() -> Callable[..., Inventory]:
    def make(*machines: Machine, kind: str = "ovf") -> Inventory:
        return Inventory(
            source=SourceInfo(kind=kind, address="appliances"),
            taken_at=NOW,
            machines=machines,
            networks=(SourceNetwork(name="VM Network", vlan=20),),
        )

    return make


@pytest.fixture
def make_row() -> Callable[..., PlanRow]:
    def make(number: int = 1, **changes: Any) -> PlanRow:
        fields: dict[str, Any] = {
            "machine_id": f"uuid-{number}",
            "machine_name": f"web{number:02}",
            "source": "files",
            "target": "pool",
        }
        return PlanRow(**(fields | changes))

    return make


@pytest.fixture
def make_plan(make_inventory: Callable[..., Inventory], make_machine: Callable[..., Machine]) -> Callable[..., Plan]:
    """A plan over machines uuid-1 to uuid-3, web01 to web03, with the given rows."""

    def make(*rows: PlanRow, machines: tuple[Machine, ...] = (), kind: str = "ovf") -> Plan:
        listed = machines or tuple(make_machine(f"web{number:02}", number) for number in (1, 2, 3))
        return Plan(
            id=plan_id(rows),
            created=NOW,
            rows=rows,
            sources=(Endpoint(alias="files", address="/srv/ova"),),
            targets=(Endpoint(alias="pool", address="xapi://root@pool.example", fingerprint="sha256:aa"),),
            inventories={"files": make_inventory(*listed, kind=kind)},
        )

    return make
