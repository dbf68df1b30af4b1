# SPDX-License-Identifier: Apache-2.0
"""A machine with everything, from the source's words to a started VM, on every profile of the pool."""

import http.client
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from v2x.errors import Unsupported
from v2x.mapping import load_tables
from v2x.mapping.build import build_machine
from v2x.mapping.tables import Tables
from v2x.model.machine import (
    CdDrive,
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
from v2x.model.target import TargetMachine
from v2x.model.units import GIB, KIB, MIB
from v2x.secrets import Secret
from v2x.simulators.xapi import Layout, Pool
from v2x.simulators.xapi.profiles import PROFILES
from v2x.target import open_xapi, open_xva
from v2x.target.interface import Claim
from v2x.target.xapi import tasks
from v2x.target.xapi.pool import XapiTarget
from v2x.tls import Trust

BLOCK = 2 * MIB
HUGE = 2040 * GIB + 64 * KIB
VIRIDIAN = ("", "_time_ref_count", "_reference_tsc", "_apic_assist", "_crash_ctl", "_stimer")
UUID = "564d1234-5678-9abc-def0-123456789abc"


def disk(position: int, size_bytes: int = 4 * MIB) -> Disk:
    return Disk(
        id=f"scsi0:{position}", label=f"Hard disk {position + 1}", position=position, bus=DiskBus.SCSI, controller=0,
        unit=position, capacity_bytes=size_bytes, format=DiskFormat.VMDK, allocated_bytes=MIB,
    )  # fmt: skip


def nic(position: int, network: str, **more: Any) -> Nic:
    return Nic(
        position=position, label=f"Adapter {position}", model=NicModel.VMXNET3, network=network,
        mac=f"00:50:56:00:00:0{position + 1}", **more,
    )  # fmt: skip


WINDOWS = Machine(
    id="vm-1", name="win", uuid=UUID, firmware=Firmware.UEFI, secure_boot=True, vtpm=True,
    cpu=Cpu(count=4, cores_per_socket=2, shares=8000, limit_mhz=100, affinity="0"),
    memory=Memory(size_bytes=4 * GIB, dynamic_min_bytes=GIB, dynamic_max_bytes=8 * GIB),
    guest=Guest(os_id="windows2019srvNext_64Guest", os_id_kind=GuestIdKind.VMWARE, os_name="Windows Server 2022"),
    disks=(disk(0), disk(1), disk(2), disk(3)),
    nics=(nic(1, "VLAN 10"), nic(0, "Internal", connected=False)),
    cd_drives=(CdDrive(position=0, bus=DiskBus.SATA),), boot_order=("cdrom", "disk"),
    notes="Owner: Ada\nRack 4", tags=("prod", "tier-1"), folder="Servers/Windows", group="shop", start_order=2,
    start_delay_seconds=60, host="xcp-host-1", attributes={"custom.cost": "42", "system-manufacturer": "VMware, Inc."},
)  # fmt: skip
LINUX = Machine(
    id="vm-2", name="lin", uuid=UUID, firmware=Firmware.BIOS, cpu=Cpu(count=2), memory=Memory(size_bytes=GIB),
    guest=Guest(os_id="debian11-64", os_id_kind=GuestIdKind.VMWARE), disks=(disk(0),), nics=(nic(0, "VLAN 10"),),
)  # fmt: skip


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return load_tables(environ={"XDG_CONFIG_HOME": str(tmp_path_factory.mktemp("config"))})


@pytest.fixture(scope="module")
def pools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Pool]]:
    with ExitStack() as stack:
        running: dict[str, Pool] = {}

        def of(profile: str) -> Pool:
            if profile not in running:
                folder = tmp_path_factory.mktemp("pool")
                running[profile] = stack.enter_context(
                    Pool(folder, profile=profile, login_delay=0.0, release_delay=0.0, layout=Layout(hosts=2))
                )
            return running[profile]

        yield of


@pytest.fixture(params=PROFILES)
def pool(request: pytest.FixtureRequest, pools: Callable[[str], Pool]) -> Pool:
    return pools(request.param)


@pytest.fixture
def target(pool: Pool) -> Iterator[XapiTarget]:
    host, _, port = pool.address.partition(":")
    with open_xapi(host, int(port), pool.user, Secret(pool.password), Trust(fingerprint=pool.fingerprint)) as opened:
        yield opened


def row(machine: Machine, **more: Any) -> PlanRow:
    return PlanRow(machine_id=machine.id, machine_name=machine.name, source="vc", target="pool", **more)


def migrate(target: XapiTarget, spec: TargetMachine) -> Claim:
    claim = target.claim(spec, spec.source_id)
    for one in claim.disks:
        writer = target.writer(claim, one, [0], "p")
        writer.write(0, bytearray(b"\x5a" * BLOCK))
        writer.commit()
    target.seal(claim, spec)
    return claim


def record(pool: Pool, kind: str, uuid: str) -> dict[str, Any]:
    return next(one for one in pool.records(kind).values() if one["uuid"] == uuid)


def remove(pool: Pool, target: XapiTarget, claim: Claim) -> None:
    vm = record(pool, "VM", claim.id)
    reference = target.client.call("VM.get_by_uuid", claim.id)
    if vm["power_state"] != "Halted":
        target.client.call("VM.hard_shutdown", reference)
    vdis = [pool.records("VBD")[vbd]["VDI"] for vbd in vm["VBDs"] if pool.records("VBD")[vbd]["type"] == "Disk"]
    for vdi in vdis:
        target.client.call("VDI.destroy", vdi)
    target.client.call("VM.destroy", reference)


def test_a_windows_machine_with_everything(pool: Pool, target: XapiTarget, tables: Tables) -> None:
    facts = target.facts()
    wishes = row(
        WINDOWS, bios_strings=True, autostart=True, timezone="+02:00", resource_set="U8km",
        networks={"0": "Internal", "1": "VLAN 10"}, storage={"*": "NFS storage", "scsi0:2": "Local storage"},
    )  # fmt: skip
    spec = build_machine(WINDOWS, wishes, facts, tables)
    claim = migrate(target, spec)
    vm = record(pool, "VM", claim.id)

    assert vm["HVM_boot_params"] == {"firmware": "uefi", "order": "dc"} and vm["HVM_boot_policy"] == "BIOS order"
    platform = vm["platform"]
    # No certificates on this pool: off until they are there, and on then.
    assert platform["secureboot"] == "auto" and not facts.secure_boot_certificates
    assert all(platform[f"viridian{key}"] == "true" for key in VIRIDIAN)
    assert (platform["device_id"], platform["vga"], platform["videoram"]) == ("0002", "std", "8")
    assert platform["cores-per-socket"] == "2" and platform["timeoffset"] == "7200"
    assert platform.get("device-model", "qemu-upstream-uefi") == "qemu-upstream-uefi"
    assert len(vm["VTPMs"]) == pool.profile.vtpm == facts.vtpm_supported
    if not pool.profile.vtpm:
        assert any(note.startswith("vTPM: present → none") for note in spec.notes)

    assert vm["VCPUs_max"] == vm["VCPUs_at_startup"] == 4
    # 100 MHz of processors with 2400 MHz.
    assert vm["VCPUs_params"] == {"weight": "512", "cap": "5"}
    assert vm["memory_static_max"] == vm["memory_dynamic_max"] == vm["memory_dynamic_min"] == 4 * GIB
    assert vm["memory_static_min"] <= 4 * GIB
    assert vm["generation_id"] not in ("", None) and not vm["has_vendor_device"] and vm["domain_type"] == "hvm"
    assert vm["bios_strings"]["system-manufacturer"] == "VMware, Inc."
    assert vm["bios_strings"]["system-serial-number"].startswith("VMware-56 4d")

    assert sorted(vm["tags"]) == ["prod", "tier-1"]
    assert vm["name_description"].startswith("Owner: Ada\nRack 4\nMoved by v2x from vc")
    other = vm["other_config"]
    assert other["XenCenter.CustomFields.cost"] == "42" and other["folder"] == "/Servers/Windows"
    assert other["auto_poweron"] == "true" and other["xo:resource_set"] == '"U8km"'
    assert pool.records("host")[vm["affinity"]]["name_label"] == "xcp-host-1"
    assert pool.records("VM_appliance")[vm["appliance"]]["name_label"] == "shop"
    assert (vm["order"], vm["start_delay"]) == (2, 60)
    check_devices(pool, vm)
    target.start(claim)
    assert record(pool, "VM", claim.id)["power_state"] == "Running"
    remove(pool, target, claim)


def check_devices(pool: Pool, vm: dict[str, Any]) -> None:
    vbds = {pool.records("VBD")[vbd]["userdevice"]: pool.records("VBD")[vbd] for vbd in vm["VBDs"]}
    assert sorted(vbds) == ["0", "1", "2", "3", "4"]
    assert vbds["3"]["type"] == "CD" and vbds["3"]["empty"] and vbds["3"]["mode"] == "RO"
    assert [vbds[device]["bootable"] for device in "0124"] == [True, False, False, False]
    names = {device: pool.records("VDI")[vbds[device]["VDI"]]["name_label"] for device in "0124"}
    assert names == {device: f"win Hard disk {number + 1}" for number, device in enumerate("0124")}
    srs = [pool.records("SR")[pool.records("VDI")[vbds[d]["VDI"]]["SR"]]["name_label"] for d in "0124"]
    assert srs == ["NFS storage", "NFS storage", "Local storage", "NFS storage"]
    vifs = {pool.records("VIF")[vif]["device"]: pool.records("VIF")[vif] for vif in vm["VIFs"]}
    networks = pool.records("network")
    assert [(vifs[d]["MAC"], networks[vifs[d]["network"]]["name_label"], vifs[d]["locking_mode"]) for d in "01"] == [
        ("00:50:56:00:00:01", "Internal", "disabled"),
        ("00:50:56:00:00:02", "VLAN 10", "network_default"),
    ]
    assert all(vif["MTU"] == networks[vif["network"]]["MTU"] for vif in vifs.values())


def test_a_linux_machine_with_bios(pool: Pool, target: XapiTarget, tables: Tables) -> None:
    spec = build_machine(LINUX, row(LINUX, networks={"*": "VLAN 10"}, as_template=False), target.facts(), tables)
    claim = migrate(target, spec)
    vm = record(pool, "VM", claim.id)
    assert vm["HVM_boot_params"]["firmware"] == "bios" and vm["VTPMs"] == []
    assert vm["platform"]["device_id"] == "0001" and vm["platform"]["viridian"] == "false"
    assert vm["platform"]["secureboot"] == "false" and "timeoffset" not in vm["platform"]
    assert vm["platform"].get("device-model", "qemu-upstream-compat") == "qemu-upstream-compat"
    assert vm["generation_id"] == "" and "cores-per-socket" not in vm["platform"]
    assert [pool.records("VBD")[vbd]["userdevice"] for vbd in vm["VBDs"]] == ["0"]
    target.start(claim)
    assert record(pool, "VM", claim.id)["power_state"] == "Running"
    remove(pool, target, claim)


def test_a_disk_above_the_limit_of_vhd(pool: Pool, target: XapiTarget, tables: Tables) -> None:
    """QCOW2 where the pool takes it, else a refusal that says what would help; never a VHD that cannot hold it."""
    machine = replace(LINUX, id="vm-3", name="huge", disks=(disk(0, HUGE),))
    facts, wishes = target.facts(), row(machine, networks={"*": "VLAN 10"}, storage={"*": "NFS storage"})
    assert facts.qcow2_import == pool.profile.qcow2
    if not pool.profile.qcow2:
        with pytest.raises(Unsupported, match="does not fit on SR 'NFS storage', which has no QCOW2") as refused:
            build_machine(machine, wishes, facts, tables)
        assert "25.27" in refused.value.hint
        return
    claim = migrate(target, build_machine(machine, wishes, facts, tables))
    vdi = record(pool, "VDI", claim.disks[0].id)
    assert vdi["sm_config"]["image-format"] == "qcow2" and vdi["virtual_size"] == HUGE
    with Path(pool.vdi_path(vdi["uuid"])).open("rb") as content:
        assert content.read(BLOCK) == b"\x5a" * BLOCK and content.read(BLOCK) == bytes(BLOCK)
    assert pool.ledger.imports[-1].format == "qcow2"
    remove(pool, target, claim)


def test_secure_boot_is_true_where_the_pool_has_certificates(pool: Pool, target: XapiTarget, tables: Tables) -> None:
    store, reference = pool.state.store, pool.state.pool_ref
    before = store.get("pool", reference, "uefi_certificates")
    store.set("pool", reference, uefi_certificates="Y2VydHM=")
    try:
        facts = target.facts()
        assert facts.secure_boot_certificates
        spec = build_machine(WINDOWS, row(WINDOWS, networks={"*": "VLAN 10"}), facts, tables)
        assert spec.platform["secureboot"] == "true"
    finally:
        store.set("pool", reference, uefi_certificates=before)


def test_a_template_becomes_one(pool: Pool, target: XapiTarget, tables: Tables) -> None:
    machine = replace(LINUX, id="vm-4", name="golden", is_template=True)
    spec = build_machine(machine, row(machine, networks={"*": "VLAN 10"}, as_template=True), target.facts(), tables)
    claim = migrate(target, spec)
    assert record(pool, "VM", claim.id)["is_a_template"]
    remove(pool, target, claim)


def imported(pool: Pool, target: XapiTarget, file: Path, *, restore: bool) -> dict[str, Any]:
    """What the pool makes of an XVA: PUT /import, by the standard library alone."""
    client = target.client
    task = client.call("task.create", "import", "")
    sr = pool.ref_by_name("SR", "NFS storage")
    connection = http.client.HTTPSConnection(pool.address, context=ssl._create_unverified_context())
    query = f"session_id={client.reference}&task_id={task}&sr_id={sr}&restore={str(restore).lower()}"
    connection.request("PUT", f"/import?{query}", body=file.read_bytes())
    connection.getresponse().read()
    connection.close()
    found = tasks.wait(client, task, patience_seconds=10.0)
    assert found.status == tasks.SUCCESS, found.error
    made = re.search(r"OpaqueRef:[0-9a-f-]+", client.call("task.get_result", task))
    assert made is not None
    tasks.forget(client, task)
    return pool.records("VM")[made[0]]


@pytest.mark.parametrize("restore", [True, False])
def test_a_file_brings_the_same_machine(
    pool: Pool, target: XapiTarget, tables: Tables, tmp_path: Path, restore: bool
) -> None:
    """One file serves all versions. Restoring keeps the uuid and the addresses; plain importing makes new ones."""
    wishes = row(WINDOWS, bios_strings=True, autostart=True, timezone="+02:00", resource_set="U8km")
    with open_xva(tmp_path) as folder:
        spec = build_machine(WINDOWS, wishes, folder.facts(), tables)
        assert spec.uuid == UUID
        claim = folder.claim(spec, "tag")
        for one in claim.disks:
            writer = folder.writer(claim, one, [0], "p")
            writer.write(0, bytearray(b"\x5a" * BLOCK))
            writer.commit()
        folder.seal(claim, spec)
    vm = imported(pool, target, next(tmp_path.glob("*.xva")), restore=restore)
    assert (vm["uuid"] == UUID) is restore
    vifs = {pool.records("VIF")[vif]["device"]: pool.records("VIF")[vif] for vif in vm["VIFs"]}
    assert ([vifs[d]["MAC"] for d in "01"] == ["00:50:56:00:00:01", "00:50:56:00:00:02"]) is restore
    names = [pool.records("network")[vifs[d]["network"]]["name_label"] for d in "01"]
    assert names == ["Internal", "VLAN 10"]
    assert vm["HVM_boot_params"] == {"firmware": "uefi", "order": "dc"} and not vm["is_a_template"]
    assert all(vm["platform"][f"viridian{key}"] == "true" for key in VIRIDIAN)
    assert (vm["platform"]["cores-per-socket"], vm["platform"]["timeoffset"]) == ("2", "7200")
    assert vm["platform"]["secureboot"] == "auto" and vm["VCPUs_params"] == {"weight": "512"}
    assert vm["bios_strings"]["system-manufacturer"] == "VMware, Inc." and sorted(vm["tags"]) == ["prod", "tier-1"]
    assert vm["other_config"]["xo:resource_set"] == '"U8km"' and vm["other_config"]["auto_poweron"] == "true"
    assert vm["other_config"]["folder"] == "/Servers/Windows" and vm["blocked_operations"] == {}
    slots = sorted(pool.records("VBD")[vbd]["userdevice"] for vbd in vm["VBDs"])
    assert slots == ["0", "1", "2", "3", "4"]
    for vbd in vm["VBDs"]:
        drive = pool.records("VBD")[vbd]
        if drive["type"] == "Disk":
            held = pool.vdi_path(pool.records("VDI")[drive["VDI"]]["uuid"]).read_bytes()
            assert held[:BLOCK] == b"\x5a" * BLOCK and not any(held[BLOCK:])
    remove(pool, target, Claim(tag="tag", id=vm["uuid"], name="win"))
