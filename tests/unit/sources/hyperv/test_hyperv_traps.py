# SPDX-License-Identifier: Apache-2.0
"""Everything that goes wrong between Hyper-V and XCP-ng: trap → the fact in the model by which it can be told.

The rules over these facts are the assessment's; what is held to here is that no trap is lost on the way into the model.
Traps that no host tells of have their facts elsewhere: an unclean VHDX log and a changed parent are found when the disk
is opened (tests/unit/disks), drivers, device names and boot files when the guest is looked into.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.hyperv_estates import GIB, PATH, estate, inventory, read, virtual_machine
from tests.hyperv_estates import document as collected
from v2x.model.inventory import Together
from v2x.model.machine import (
    Device,
    DiskBacking,
    DiskBus,
    DiskFormat,
    Firmware,
    Machine,
    NicModel,
    Other,
    PowerState,
    VlanRange,
)
from v2x.simulators.hyperv.described import Adapter, Checkpoint, Dvd, HardDisk, Image

IMAGE = Image(path=PATH, size=GIB)
AVHDX = "D:\\VMs\\web\\web_1.avhdx"


def disks(*given: HardDisk) -> dict[str, Any]:
    return {"disks": list(given)}


def nic(**changes: Any) -> dict[str, Any]:
    return {"adapters": [Adapter(**{"mac": "00155D010203", **changes})]}


def image(**changes: Any) -> dict[str, Any]:
    return {"images": [Image(**{"path": PATH, "size": GIB, **changes})]}


Fact = Callable[[Machine], bool]

TRAPS: list[tuple[str, dict[str, Any], Fact]] = [
    ("a saved state", {"state": "Saved"}, lambda m: m.power_state is PowerState.SUSPENDED),
    ("a fast-saved state", {"state": "FastSaved"}, lambda m: m.power_state is PowerState.SUSPENDED),
    ("a paused machine", {"state": "Paused"}, lambda m: m.power_state is PowerState.SUSPENDED),
    ("a running machine", {"state": "Running"}, lambda m: m.power_state is PowerState.ON),
    (
        "a critical state",
        {"state": "OffCritical"},
        lambda m: m.power_state is PowerState.UNKNOWN and m.power_state_text == "OffCritical",
    ),
    (
        "a passing state",
        {"state": "Stopping"},
        lambda m: m.power_state is PowerState.UNKNOWN and m.power_state_text == "Stopping",
    ),
    (
        "a checkpoint",
        {"checkpoints": [Checkpoint(id="c1", name="before", state="Saved")], "current_checkpoint": "c1"},
        lambda m: (m.snapshots[0].kind, m.snapshots[0].with_memory, m.snapshots[0].current) == ("standard", True, True),
    ),
    (
        "a differencing disk in use, with no checkpoint in the list",
        {
            **disks(HardDisk(path=AVHDX)),
            "images": [Image(path=AVHDX, size=GIB, type="Differencing", parent=PATH), IMAGE],
        },
        lambda m: not m.snapshots and m.disks[0].subformat == "differencing" and m.disks[0].files == (AVHDX, PATH),
    ),
    (
        "a parent that is missing",
        {**disks(HardDisk(path=AVHDX)), "images": [Image(path=AVHDX, size=GIB, type="Differencing", parent=PATH)]},
        lambda m: m.disks[0].backing is DiskBacking.MISSING and m.disks[0].files == (AVHDX, PATH),
    ),
    (
        "a running backup",
        {"checkpoints": [Checkpoint(id="c1", name="nightly", type="Recovery")]},
        lambda m: m.locks == ("a backup holds the recovery checkpoint nightly",),
    ),
    (
        "a merge that is pending",
        {"status": ["InService", "MergingDisks"]},
        lambda m: m.consolidation_needed is True and m.locks == ("disks are being merged",),
    ),
    (
        "a move of the machine or its storage",
        {"status": ["InService", "StorageMigrationPhaseOne"]},
        lambda m: m.locks == ("its storage is being moved",),
    ),
    (
        "sectors of 4096 bytes",
        image(logical=4096),
        lambda m: (m.disks[0].logical_sector_bytes, m.disks[0].physical_sector_bytes) == (4096, 4096),
    ),
    ("a disk shared by reservations", disks(HardDisk(path=PATH, shared=True)), lambda m: m.disks[0].shared),
    (
        "a VHD set",
        {**disks(HardDisk(path="D:\\a.vhds")), "images": [Image(path="D:\\a.vhds", format="VHDSet", size=GIB)]},
        lambda m: m.disks[0].shared and m.disks[0].format == Other("vhds"),
    ),
    (
        "a physical disk, whose path is no file",
        disks(HardDisk(disk_number=3)),
        lambda m: m.disks[0].backing is DiskBacking.RAW_DEVICE and m.disks[0].files == (),
    ),
    (
        "a disk beyond 2040 GiB",
        image(size=3000 * GIB),
        lambda m: m.disks[0].capacity_bytes == 3000 * GIB,
    ),
    (
        "a VHD of a size of cylinders",
        {
            **disks(HardDisk(path="D:\\a.vhd", controller="IDE")),
            "images": [Image(path="D:\\a.vhd", format="VHD", size=10653696)],
        },
        lambda m: m.disks[0].format is DiskFormat.VHD and m.disks[0].capacity_bytes == 10653696,
    ),
    ("a disk limited in IOPS", disks(HardDisk(path=PATH, maximum_iops=500)), lambda m: m.disks[0].iops_limit == 500),
    ("generation 2 is UEFI", {}, lambda m: m.firmware is Firmware.UEFI and m.generation == 2),
    (
        "generation 2 boots the first disk of its order, not the first one",
        {
            **disks(HardDisk(path="D:\\data.vhdx"), HardDisk(path=PATH, number=1, location=3)),
            "boot": ["SCSI:1:3"],
            "images": [IMAGE, Image(path="D:\\data.vhdx", size=GIB)],
        },
        lambda m: [disk.id for disk in m.disks] == ["scsi1:3", "scsi0:0"],
    ),
    (
        "generation 1 is BIOS and boots IDE before SCSI",
        {
            "generation": 1,
            **disks(HardDisk(path="D:\\d.vhdx"), HardDisk(path=PATH, controller="IDE", location=1)),
            "images": [IMAGE, Image(path="D:\\d.vhdx", size=GIB)],
        },
        lambda m: (
            m.firmware is Firmware.BIOS
            and m.generation == 1
            and [(disk.bus, disk.position) for disk in m.disks] == [(DiskBus.IDE, 0), (DiskBus.SCSI, 1)]
        ),
    ),
    (
        "Secure Boot and whose certificates",
        {"template": "MicrosoftUEFICertificateAuthority"},
        lambda m: m.secure_boot and m.secure_boot_template == "MicrosoftUEFICertificateAuthority",
    ),
    ("Secure Boot that is off", {"secure_boot": "Off"}, lambda m: not m.secure_boot),
    ("a vTPM", {"tpm": True}, lambda m: m.vtpm and m.attributes["security.key_protector"] == "present"),
    ("a shielded machine", {"shielded": True}, lambda m: m.shielded is True),
    ("encrypted state", {"encrypted": True}, lambda m: m.encrypted is True),
    (
        "dynamic memory, whose maximum is a limit and no size",
        {"state": "Running", "dynamic": True, "startup": GIB, "maximum": 1 << 40, "demand": 3 * GIB},
        lambda m: (
            (m.memory.size_bytes, m.memory.dynamic_min_bytes, m.memory.dynamic_max_bytes, m.memory.demand_bytes)
            == (GIB, 512 << 20, 1 << 40, 3 * GIB)
        ),
    ),
    (
        "a minimum and maximum that stand there without dynamic memory",
        {},
        lambda m: m.memory.dynamic_min_bytes is None and m.memory.dynamic_max_bytes is None,
    ),
    ("nested virtualisation", {"nested": True}, lambda m: m.cpu.nested_virtualization),
    ("a limited processor", {"cpu_limit": 50}, lambda m: m.attributes["cpu.limit_percent"] == "50"),
    (
        "a device passed through",
        {"devices": [{"kind": "dda", "label": "PCIROOT(0)#PCI(0100)"}]},
        lambda m: m.devices == (Device(kind="passthrough", label="PCIROOT(0)#PCI(0100)"),),
    ),
    (
        "a part of a GPU",
        {"devices": [{"kind": "gpup", "label": "GPU"}]},
        lambda m: m.devices == (Device(kind="vgpu", label="GPU"),),
    ),
    (
        "Fibre Channel",
        {"devices": [{"kind": "fibrechannel", "label": "C003FF"}]},
        lambda m: m.devices == (Device(kind="fibre_channel", label="C003FF"),),
    ),
    (
        "persistent memory",
        {"devices": [{"kind": "pmem", "label": "0"}]},
        lambda m: m.devices == (Device(kind="persistent_memory", label="0"),),
    ),
    (
        "a serial port and a floppy in use",
        {"devices": [{"kind": "serial", "label": "\\\\.\\pipe\\x"}, {"kind": "floppy", "label": "D:\\a.vfd"}]},
        lambda m: [one.kind for one in m.devices] == ["serial", "floppy"],
    ),
    ("SR-IOV", nic(iov_weight=100), lambda m: m.nics[0].model is NicModel.SRIOV),
    ("a legacy adapter", nic(legacy=True), lambda m: m.nics[0].model is NicModel.LEGACY),
    (
        "a dynamic MAC address that was never given out",
        nic(mac="000000000000"),
        lambda m: m.nics[0].mac == "" and not m.nics[0].mac_is_static,
    ),
    (
        "a static MAC address",
        nic(dynamic_mac=False),
        lambda m: (m.nics[0].mac, m.nics[0].mac_is_static) == ("00:15:5d:01:02:03", True),
    ),
    ("MAC address spoofing", nic(spoofing="On"), lambda m: m.nics[0].mac_spoofing is True),
    ("teaming inside the guest", nic(teaming="On"), lambda m: m.nics[0].teaming is True),
    ("a bandwidth limit", nic(bandwidth=100_000_000), lambda m: m.nics[0].bandwidth_limit_bps == 100_000_000),
    ("an access VLAN", nic(vlan={"vlanMode": "Access", "accessVlan": 20}), lambda m: m.nics[0].vlan == 20),
    (
        "a trunk",
        nic(vlan={"vlanMode": "Trunk", "allowedVlans": "10-12,200", "nativeVlan": 5}),
        lambda m: (
            m.nics[0].trunk == (VlanRange(first=10, last=12), VlanRange(first=200, last=200))
            and m.nics[0].vlan is None
            and m.attributes["nic0.native_vlan"] == "5"
        ),
    ),
    (
        "a private VLAN",
        nic(vlan={"vlanMode": "Private", "privateVlanMode": "Isolated", "primaryVlan": 10, "secondaryVlan": 11}),
        lambda m: m.nics[0].private_vlan == "isolated 10/11",
    ),
    (
        "a VLAN by isolation",
        nic(vlan={"isolationMode": "Vlan", "isolationId": 30}),
        lambda m: m.nics[0].vlan == 30,
    ),
    ("an adapter without a switch", nic(switch="gone"), lambda m: not m.nics[0].connected and m.nics[0].network == ""),
    (
        "an image in the DVD drive",
        {"dvds": [Dvd(path="D:\\a.iso")]},
        lambda m: m.cd_drives[0].image == "D:\\a.iso" and m.cd_drives[0].connected,
    ),
    (
        "a static address inside the guest",
        {
            "state": "Running",
            **nic(
                guest={
                    "dhcp": False,
                    "addresses": ["192.0.2.20", "2001:db8::20"],
                    "subnets": ["255.255.254.0", "64"],
                    "gateways": ["192.0.2.1"],
                    "dns": ["192.0.2.53"],
                }
            ),
        },
        lambda m: (
            m.guest.addresses[0].addresses == ("192.0.2.20/23", "2001:db8::20/64")
            and m.guest.addresses[0].dhcp is False
            and m.guest.addresses[0].gateways == ("192.0.2.1",)
            and m.guest.addresses[0].mac == "00:15:5d:01:02:03"
        ),
    ),
    (
        "which system is inside",
        {"state": "Running", "kvp": {"OSName": "Ubuntu", "FullyQualifiedDomainName": "web.example"}},
        lambda m: (m.guest.os_name, m.guest.hostname, m.guest.os_id_kind) == ("Ubuntu", "web.example", "hyperv"),
    ),
    ("the host's clock inside the guest", {"time_sync": True}, lambda m: m.guest.time_sync is True),
    ("no clock from the host", {"time_sync": False}, lambda m: m.guest.time_sync is False),
    (
        "automatic virtual machine activation, by the edition",
        {"state": "Running", "kvp": {"OSName": "Windows Server 2022 Datacenter"}},
        lambda m: m.guest.os_name.endswith("Datacenter"),
    ),
    (
        "SMBIOS identifiers that licences know",
        {"bios_serial": "1234-5678", "asset_tag": "A-7"},
        lambda m: (
            (m.uuid, m.serial_number, m.asset_tag) == ("967df1ba-2c00-4998-9f1b-d60bcc0c4b90", "1234-5678", "A-7")
        ),
    ),
    (
        "replication",
        {"replication": {"state": "Replicating", "mode": "Primary", "replica": "hv9"}},
        lambda m: m.replication == "Primary, Replicating, to hv9",
    ),
    (
        "the replica of a machine, which has the machine's id",
        {"replication": {"state": "Replicating", "mode": "Replica", "primary": "hv1"}},
        lambda m: m.estate == "backup_replica" and m.estate_reason == "Hyper-V Replica of the machine on hv1",
    ),
    ("a cluster role", {"role_priority": 2000}, lambda m: m.cluster_role is True),
    (
        "an automatic start",
        {"start_action": "Start", "start_delay": 30, "stop_action": "Save"},
        lambda m: (m.start_action, m.start_delay_seconds, m.stop_action) == ("Start", 30, "Save"),
    ),
    ("odd characters in a name", {"name": "web [1] * ?"}, lambda m: m.name == "web [1] * ?"),
    ("notes", {"notes": "über\nzwei Zeilen"}, lambda m: m.notes == "über\nzwei Zeilen"),
]


@pytest.mark.parametrize(("changes", "holds"), [trap[1:] for trap in TRAPS], ids=[trap[0] for trap in TRAPS])
def test_a_trap_has_its_fact(changes: dict[str, Any], holds: Fact, tmp_path: Path) -> None:
    given = dict(changes)
    found = read(
        virtual_machine(**{k: v for k, v in given.items() if k != "images"}), tmp_path, images=given.get("images", ())
    )
    assert holds(found), found


def test_names_are_not_unique_and_ids_are(tmp_path: Path) -> None:
    twins = [virtual_machine(id=f"11112222-3333-4444-8555-66667777888{number}") for number in range(2)]
    found = inventory(collected(estate(*twins, images=[IMAGE]), tmp_path))
    assert len({one.id for one in found.machines}) == 2


def test_a_disk_of_two_machines_ties_them_together(tmp_path: Path) -> None:
    pair = [
        virtual_machine(id=f"11112222-3333-4444-8555-66667777888{number}", disks=[HardDisk(path=PATH, shared=True)])
        for number in range(2)
    ]
    (group,) = inventory(collected(estate(*pair, images=[IMAGE]), tmp_path)).groups
    assert group.kind is Together.SHARED_DISK
    assert set(group.machines) == {one.id for one in pair}


def test_switches_become_networks_that_do_not_tag(tmp_path: Path) -> None:
    made = estate(virtual_machine(), images=[IMAGE])
    made.hosts[0].switches[0].type = "Private"
    (network,) = inventory(collected(made, tmp_path)).networks
    assert (network.name, network.vlan, network.internal, network.kind) == ("LAN", 0, True, "private")
