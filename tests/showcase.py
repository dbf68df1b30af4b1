# SPDX-License-Identifier: Apache-2.0
"""An estate as companies have it, of any size and always the same: for pictures of reports, the browser and timings.

    PYTHONPATH=. python -m tests.showcase docs/pictures

writes the pictures of the documentation anew.
"""

import random
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from v2x.assess.engine import assess
from v2x.mapping.tables import load_tables
from v2x.model.forecast import DEFAULT_PACE
from v2x.model.inventory import (
    Datastore,
    Inventory,
    MachineGroup,
    SourceCluster,
    SourceHost,
    SourceInfo,
    SourceNetwork,
    Together,
)
from v2x.model.machine import (
    CdDrive,
    Cpu,
    Device,
    Disk,
    DiskBus,
    DiskFormat,
    DiskMode,
    Estate,
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
)
from v2x.model.target import (
    ImageFormat,
    StorageRepository,
    TargetFacts,
    TargetHost,
    TargetNetwork,
    Template,
)
from v2x.model.units import GIB, MIB, TIB
from v2x.plan import forecast
from v2x.render import render_findings

NOW = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
_SYSTEMS = (
    ("windows2019srv_64Guest", "Microsoft Windows Server 2019 (64-bit)", 22),
    ("windows2019srvNext_64Guest", "Microsoft Windows Server 2022 (64-bit)", 20),
    ("windows9Server64Guest", "Microsoft Windows Server 2016 (64-bit)", 8),
    ("windows8Server64Guest", "Microsoft Windows Server 2012 (64-bit)", 4),
    ("windows9_64Guest", "Microsoft Windows 10 (64-bit)", 4),
    ("debian12_64Guest", "Debian GNU/Linux 12 (64-bit)", 16),
    ("ubuntu64Guest", "Ubuntu 22.04 LTS (64-bit)", 12),
    ("rhel9_64Guest", "Red Hat Enterprise Linux 9 (64-bit)", 10),
    ("rhel8_64Guest", "Red Hat Enterprise Linux 8 (64-bit)", 7),
    ("centos7_64Guest", "CentOS 7 (64-bit)", 4),
    ("sles15_64Guest", "SUSE Linux Enterprise 15 (64-bit)", 3),
    ("freebsd14_64Guest", "FreeBSD 14 (64-bit)", 1),
)
_ROLES = ("web", "app", "sql", "file", "print", "mail", "proxy", "git", "build", "monitor", "erp", "crm", "bi", "test")
_VLANS = {"Servers": 10, "DMZ": 20, "Clients": 30, "Backup": 40, "Lab": 50}
_TEMPLATES = (
    "windows-server-2019-64bit", "windows-server-2022-64bit", "windows-server-2016-64bit", "windows-10-64bit",
    "debian-12", "ubuntu-22.04", "rhel-9", "rhel-8", "centos-7", "sle-15-64bit", "generic-linux-bios",
    "generic-linux-uefi", "other-install-media",
)  # fmt: skip


def machine(number: int, chance: random.Random) -> Machine:
    """An ordinary machine, with the small sins of its kind."""
    os_id, os_name, _ = chance.choices(_SYSTEMS, [weight for _, _, weight in _SYSTEMS])[0]
    windows = os_name.startswith("Microsoft")
    role = chance.choice(_ROLES)
    name = f"{role}-{number:03}"
    network = chance.choices(tuple(_VLANS), (60, 10, 15, 5, 10))[0]
    running = chance.random() < 0.9
    mac = f"00:50:56:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
    address = f"10.{_VLANS[network]}.{number >> 8 & 255}.{number & 255}/24"
    sizes = [chance.choice((40, 60, 80, 100)) * GIB]
    sizes += [chance.choice((50, 100, 200, 500)) * GIB for _ in range(chance.choice((0, 0, 0, 1, 1, 2)))]
    datastore = chance.choice(("SAN-Gold", "SAN-Silver", "NFS-Archive"))
    uefi = chance.random() < 0.55
    tools = ToolsState.RUNNING if running and chance.random() < 0.95 else ToolsState.INSTALLED
    return Machine(
        id=f"vm-{1000 + number}",
        name=name,
        uuid=f"4210{number:04x}-7f1e-4c0d-9d5b-{number:012x}",
        cpu=Cpu(count=chance.choice((1, 2, 2, 4, 4, 8)), cores_per_socket=1),
        memory=Memory(size_bytes=chance.choice((2, 4, 4, 8, 8, 16, 32)) * GIB),
        firmware=Firmware.UEFI if uefi else Firmware.BIOS,
        secure_boot=uefi and windows and chance.random() < 0.4,
        virtualization_based_security=False,
        power_state=PowerState.ON if running else PowerState.OFF,
        guest=Guest(
            os_id=os_id,
            os_id_kind=GuestIdKind.VMWARE,
            os_name=os_name,
            hostname=f"{name}.corp.example",
            tools=tools,
            ip_addresses=(address.partition("/")[0],),
            time_sync=chance.random() < 0.1,
            volumes=(
                GuestVolume(
                    path="C:\\" if windows else "/",
                    capacity_bytes=sizes[0],
                    free_bytes=60 * MIB if chance.random() < 0.02 else sizes[0] // 3,
                    filesystem="NTFS" if windows else "ext4",
                    disks=("2000",),
                ),
            ),
            addresses=(GuestAddress(mac=mac, addresses=(address,), dhcp=chance.random() < 0.6, interface="Ethernet0"),),
        ),
        disks=tuple(
            Disk(
                id=str(2000 + at),
                label=f"Hard disk {at + 1}",
                position=at,
                bus=DiskBus.SCSI,
                controller=0,
                unit=at,
                controller_model="pvscsi" if chance.random() < 0.35 else "lsilogicsas",
                capacity_bytes=size,
                allocated_bytes=int(size * (0.15 + 0.6 * chance.random())) if chance.random() < 0.97 else None,
                format=DiskFormat.VMDK,
                subformat="thin",
                files=(f"[{datastore}] {name}/{name}{f'_{at}' if at else ''}.vmdk",),
                datastore=datastore,
                change_tracking=False,
            )
            for at, size in enumerate(sizes)
        ),
        nics=(Nic(position=0, label="Network adapter 1", model=NicModel.VMXNET3, network=network, mac=mac),),
        cd_drives=(CdDrive(position=0, bus=DiskBus.SATA),),
        snapshots=(Snapshot(id="1", name="before update"),) if chance.random() < 0.08 else (),
        hardware_version="vmx-19",
        folder=chance.choice(("Production", "Production", "Test", "Infrastructure")),
        host=f"esx{1 + number % 4:02}.corp.example",
        cluster="Cluster A" if number % 4 < 2 else "Cluster B",
        resource_pool="Resources",
        connection_state="connected",
        encrypted=False,
        change_tracking=False,
        change_tracking_supported=True,
        consolidation_needed=False,
        fault_tolerance=False,
        latency_sensitivity="normal",
        disk_uuid_enabled=False,
        start_action="none",
        replication="none",
        ha_priority="disabled",
    )


def _characters(first: int, chance: random.Random) -> list[Machine]:
    """The machines that every estate has one of."""

    def one(name: str, os_name: str = "", **more: object) -> Machine:
        nonlocal first
        first += 1
        plain = machine(first, chance)
        guest = plain.guest if not os_name else replace(plain.guest, os_id="", os_name=os_name)
        return replace(plain, name=name, snapshots=(), **({"guest": guest} | more))  # type: ignore[arg-type]

    server = "Microsoft Windows Server 2022 (64-bit)"
    made = [
        one("BER-DC01", server),
        one("BER-DC02", server),
        one("sqlcluster-1", server),
        one("sqlcluster-2", server),
        one("vCLS-4c1d9f6e-2f6c-4a8e-9b0c-1d2e3f405162", "Other 3.x Linux", estate=Estate.CLUSTER_SERVICE,
            estate_reason="Made by vSphere Cluster Services"),
        one("vcenter01", "VMware Photon OS (64-bit)", estate=Estate.APPLIANCE,
            estate_reason="The vCenter Server that was asked"),
        one("veeam-proxy-1", server, estate=Estate.BACKUP_PROXY, estate_reason="Disks of other machines are attached"),
        one("hmi-panel", "Microsoft Windows 7 (32-bit)"),
        one("cad-licence", server, devices=(Device(kind="usb", label="Aladdin HASP key"),)),
        one("gpu-render", "Ubuntu 22.04 LTS (64-bit)", devices=(Device(kind="passthrough", label="NVIDIA A2"),)),
        one("laptop-image", "Microsoft Windows 11 (64-bit)", firmware=Firmware.UEFI, vtpm=True, secure_boot=True),
        one("old-orphan", connection_state="orphaned"),
        one("lost-contact", power_state=PowerState.UNKNOWN),
        one("dev-mac", "Apple macOS 12 (64-bit)"),
        one("archive-2015", power_state=PowerState.SUSPENDED),
        one("golden-debian-12", "Debian GNU/Linux 12 (64-bit)", is_template=True),
    ]  # fmt: skip
    big = machine(first + 1, chance)
    wide = replace(big.disks[0], id="2001", label="Hard disk 2", position=1, unit=1, capacity_bytes=6 * TIB,
                   allocated_bytes=5 * TIB)  # fmt: skip
    made.append(replace(big, name="video-archive", disks=(big.disks[0], wide)))
    loose = replace(made[0].disks[0], mode=DiskMode.INDEPENDENT_PERSISTENT)
    made.append(replace(machine(first + 2, chance), name="fax-gateway", disks=(loose,)))
    held = Snapshot(id="9", name="VEEAM BACKUP TEMPORARY SNAPSHOT", description="Please do not delete this snapshot")
    made.append(replace(machine(first + 3, chance), name="exchange-1", snapshots=(held,), change_tracking=True))
    return made


def estate(count: int = 120) -> Inventory:
    """`count` machines of a vCenter with two clusters of two hosts."""
    chance = random.Random(20260601)
    special = _characters(count, chance)
    plain = [machine(number, chance) for number in range(1, max(1, count - len(special) + 1))]
    by_name = {one.name: one for one in special}
    cluster = (by_name["sqlcluster-1"].id, by_name["sqlcluster-2"].id)
    return Inventory(
        source=SourceInfo(kind="vsphere", address="vsphere://assess@vcenter.corp.example", version="8.0.3",
                          product="VMware vCenter Server", account="assess@vsphere.local"),
        taken_at=datetime(2026, 6, 1, 7, 42, tzinfo=UTC),
        machines=(*special, *plain)[:count],
        networks=tuple(
            SourceNetwork(name=name, kind="distributed", vlan=vlan, switch="DSwitch", uplinks=("vmnic0", "vmnic1"))
            for name, vlan in _VLANS.items()
        ),
        datastores=tuple(
            Datastore(name=name, kind=kind, capacity_bytes=40 * TIB, free_bytes=9 * TIB, accessible=True,
                      maintenance="normal")
            for name, kind in (("SAN-Gold", "VMFS"), ("SAN-Silver", "VMFS"), ("NFS-Archive", "NFS"))
        ),
        hosts=tuple(
            SourceHost(name=f"esx{number:02}.corp.example", version="VMware ESXi 8.0.3", connection_state="connected",
                       cluster="Cluster A" if number % 2 else "Cluster B", read_only_licence=False)
            for number in range(1, 5)
        ),
        clusters=(
            SourceCluster(name="Cluster A", drs="fullyAutomated", dpm=False, ha=True),
            SourceCluster(name="Cluster B", drs="manual", dpm=False, ha=True),
        ),
        groups=(
            MachineGroup(name="SQL cluster", kind=Together.FAILOVER_CLUSTER, machines=cluster),
            MachineGroup(name="ERP", kind=Together.AFFINITY, machines=tuple(one.id for one in plain[:3])),
        ),
    )  # fmt: skip


def pool() -> TargetFacts:
    """A pool of three hosts with a trunk of VLANs, to which one network is still missing."""
    hosts = ("h1", "h2", "h3")
    devices = dict.fromkeys(hosts, "bond0")
    carrier = TargetNetwork(uuid="n0", name="Pool-wide network associated with bond0", hosts=hosts, devices=devices,
                            carrier="n0", is_bond=True, is_management=True)  # fmt: skip
    tagged = tuple(
        TargetNetwork(uuid=f"n{vlan}", name=name, vlan=vlan, hosts=hosts, devices=devices, carrier="n0")
        for name, vlan in _VLANS.items()
        if name != "Lab"
    )
    return TargetFacts(
        kind="xapi",
        address="xapi://root@xcp01.corp.example",
        taken_at=NOW,
        product="XCP-ng",
        version="8.3.0",
        xapi_version="26.1.4",
        pool_name="Pool 1",
        hosts=tuple(
            TargetHost(uuid=uuid, name=f"xcp{number:02}", address=f"10.10.0.{number}", cpu_count=64,
                       memory_total_bytes=768 * GIB, memory_free_bytes=740 * GIB)
            for number, uuid in enumerate(hosts, 1)
        ),
        storage=(
            StorageRepository(uuid="s1", name="NFS fast", kind="nfs", shared=True, is_default=True, size_bytes=30 * TIB,
                              used_bytes=2 * TIB, image_formats=(ImageFormat.VHD, ImageFormat.QCOW2), hosts=hosts),
            StorageRepository(uuid="s2", name="NFS archive", kind="nfs", shared=True, size_bytes=60 * TIB,
                              used_bytes=5 * TIB, image_formats=(ImageFormat.VHD, ImageFormat.QCOW2), hosts=hosts),
        ),
        networks=(carrier, *tagged),
        templates=tuple(Template(reference_label=label, name=label, uuid=label) for label in _TEMPLATES),
        machine_names=("xoa",),
        secure_boot_certificates=True,
        qcow2_import=True,
    )  # fmt: skip


def page(count: int = 120, facts: TargetFacts | None = None) -> bytes:
    """The HTML report of the estate."""
    return page_of(estate(count), facts)


def page_of(inventory: Inventory, facts: TargetFacts | None) -> bytes:
    """The HTML report of an inventory."""
    tables = load_tables(environ={})
    findings = assess(inventory, facts, tables)
    outlook = forecast(inventory, facts, tables, findings=findings, pace=DEFAULT_PACE)
    return render_findings("html", inventory, facts, findings, now=NOW, version="0.1.0", forecast=outlook)


def pictures(folder: Path) -> None:
    """Writes the pictures that the documentation shows."""
    from tests.browser import Browser

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        report = Path(work) / "report.html"
        report.write_bytes(page(120, pool()))
        browser = Browser(Path(work) / "profile")
        try:
            for name, width, height, more, fragment in (
                ("report-desktop", 1180, 1250, {}, ""),
                ("report-dark", 1180, 800, {"dark": True}, "#machines"),
                ("report-machine", 1180, 1150, {}, "#machine-12"),
                ("report-phone", 390, 844, {"phone": True}, ""),
            ):
                browser.screen(width, height, **more)  # type: ignore[arg-type]
                browser.open(report, fragment)
                (folder / f"{name}.png").write_bytes(browser.picture())
        finally:
            browser.close()


if __name__ == "__main__":
    pictures(Path(sys.argv[1]))
