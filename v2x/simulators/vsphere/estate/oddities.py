# SPDX-License-Identifier: Apache-2.0
"""The machines of the standard estate: ordinary ones, and one for each thing that a migration must notice."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pyVmomi import vim

from v2x.simulators.vsphere.estate.devices import passthrough_device, usb_device, vgpu_device
from v2x.simulators.vsphere.estate.inventory import Inventory
from v2x.simulators.vsphere.estate.machines import add_machine
from v2x.simulators.vsphere.estate.specs import GIB, Allocation, DiskSpec, MachineSpec, NicSpec, SnapshotSpec
from v2x.simulators.vsphere.store import Entity

_WINDOWS: dict[str, Any] = {
    "guest_id": "windows2019srv_64Guest",
    "guest_name": "Microsoft Windows Server 2019 (64-bit)",
}
_RHEL: dict[str, Any] = {"guest_id": "rhel8_64Guest", "guest_name": "Red Hat Enterprise Linux 8 (64-bit)"}
_ON: dict[str, Any] = {"power": "poweredOn"}
_MIB = 1024**2


def machines() -> Iterator[MachineSpec]:
    """The machines of `Europe/DC 1`."""
    yield from _ordinary()
    yield from _disks()
    yield from _hardware()
    yield from _noise()


def _ordinary() -> Iterator[MachineSpec]:
    web = MachineSpec(
        name="web01",
        **_ON,
        disks=(DiskSpec(size_bytes=16 * GIB), DiskSpec(size_bytes=40 * GIB, datastore="nfs-share")),
        nics=(NicSpec(network="LAN-10"), NicSpec(network="DPG-100")),
        host_name="web01.example.test",
        addresses=("192.0.2.11", "2001:db8::11"),
        filesystems={"/": 15 * GIB, "/srv": 39 * GIB},
        annotation="Front end.\nAsk the web team before touching.",
        fields={"Owner": "Web team", "Cost center": "4711"},
        tags=("Production", "Gold"),
        tracking=True,
        folder="Web/Front",
        pool="Production",
        cdrom="client",
    )
    yield web
    yield replace(
        web, name="web02", host_name="web02.example.test", addresses=("192.0.2.12",), host="esx02.example.test"
    )
    yield MachineSpec(
        name="db-primary",
        **_ON,
        **_RHEL,
        cpus=8,
        cores_per_socket=4,
        memory_mib=32768,
        scsi=("lsilogic", "pvscsi", "pvscsi", "pvscsi"),
        disks=(
            DiskSpec(size_bytes=60 * GIB, thin=False),
            DiskSpec(size_bytes=200 * GIB, controller=1, unit=0),
            DiskSpec(size_bytes=200 * GIB, controller=1, unit=5, iops_limit=2000),
            DiskSpec(size_bytes=10 * GIB, controller=3, unit=15, thin=False, eager=True),
        ),
        nics=(NicSpec(network="DPG-100", kind="e1000e", limit_mbps=500),),
        addresses=("192.0.2.21",),
        gateway="192.0.2.1",
        host_name="db1",
        cpu=Allocation(reservation=4000, shares=16000),
        memory=Allocation(reservation=32768),
        extra_config={"numa.nodeAffinity": "0"},
        memory_hot_add=True,
        cpu_hot_add=True,
        memory_locked=True,
        latency="high",
        pool="Production",
        tags=("Production",),
    )
    yield MachineSpec(
        name="db-standby", **_RHEL, cpus=8, memory_mib=32768, affinity=(0, 1, 2, 3), nics=(NicSpec(network="DPG-100"),)
    )
    yield MachineSpec(
        name="dc01",
        **_ON,
        **_WINDOWS,
        firmware="efi",
        secure_boot=True,
        vtpm=True,
        encrypted=True,
        scsi=("lsisas",),
        disks=(DiskSpec(size_bytes=80 * GIB),),
        nics=(NicSpec(network="LAN-10", mac="00:50:56:ab:cd:01", manual_mac=True),),
        addresses=("192.0.2.31",),
        dhcp=True,
        host_name="dc01.corp.example.test",
        tools="old",
        boot=("disk:0", "nic:0"),
    )
    yield MachineSpec(name="app/one 50%", folder="Names%2fwith", annotation="A slash and a per cent sign in its name")
    yield MachineSpec(name="Ünïcode – 機械", nics=(NicSpec(network="DMZ 20/30"),), annotation="日本語 ✓")
    yield MachineSpec(name="twin", folder="A", uuid="42110000-1111-4222-8333-444444444444")
    yield MachineSpec(
        name="twin", folder="B", directory="twin_1", uuid="42110000-1111-4222-8333-444444444444", annotation="A clone"
    )
    yield MachineSpec(
        name="template-ubuntu", template=True, disks=(DiskSpec(size_bytes=8 * GIB),), folder="Templates", tags=("Gold",)
    )


def _disks() -> Iterator[MachineSpec]:
    """One machine for each kind of disk."""
    yield MachineSpec(
        name="all-buses",
        scsi=("buslogic", "lsilogic", "lsisas", "pvscsi"),
        disks=(
            DiskSpec(size_bytes=128 * _MIB, bus="ide", controller=0),
            DiskSpec(size_bytes=128 * _MIB, bus="ide", controller=1, unit=1),
            DiskSpec(size_bytes=128 * _MIB, controller=0),
            DiskSpec(size_bytes=128 * _MIB, controller=2, unit=3),
            DiskSpec(size_bytes=128 * _MIB, controller=3, unit=14),
            DiskSpec(size_bytes=128 * _MIB, bus="sata", controller=0, unit=2),
            DiskSpec(size_bytes=128 * _MIB, bus="sata", controller=1, unit=29),
            DiskSpec(size_bytes=128 * _MIB, bus="nvme", controller=0),
            DiskSpec(size_bytes=128 * _MIB, bus="nvme", controller=0, unit=7),
        ),
    )
    yield MachineSpec(
        name="disk-modes",
        disks=(
            DiskSpec(size_bytes=2 * GIB),
            DiskSpec(size_bytes=2 * GIB, mode="independent_persistent"),
            DiskSpec(size_bytes=2 * GIB, mode="independent_nonpersistent"),
        ),
        datastore="vmfs5-old",
    )
    shared = DiskSpec(size_bytes=GIB, controller=1, shared=True, thin=False, eager=True, mode="independent_persistent")
    yield MachineSpec(
        name="cluster-node-1",
        **_ON,
        scsi=("pvscsi", "pvscsi"),
        scsi_sharing="physicalSharing",
        disks=(DiskSpec(), shared),
    )
    yield MachineSpec(
        name="cluster-node-2",
        **_ON,
        scsi=("pvscsi", "pvscsi"),
        scsi_sharing="physicalSharing",
        disks=(DiskSpec(), replace(shared, borrowed="[vmfs6-ssd] cluster-node-1/cluster-node-1_1.vmdk")),
    )
    yield MachineSpec(
        name="rdm-physical",
        disks=(DiskSpec(), DiskSpec(size_bytes=100 * GIB, rdm="physicalMode", mode="independent_persistent")),
    )
    yield MachineSpec(name="rdm-virtual", disks=(DiskSpec(), DiskSpec(size_bytes=100 * GIB, rdm="virtualMode")))
    yield MachineSpec(name="encrypted-disk", disks=(DiskSpec(), DiskSpec(encrypted=True)))
    yield MachineSpec(name="filtered", disks=(DiskSpec(filters=("VMW_spm_1.0.0", "zerto_drf")),))
    yield MachineSpec(name="huge", disks=(DiskSpec(size_bytes=3 * 1024 * GIB),), datastore="vsanDatastore")
    yield MachineSpec(name="odd-size", disks=(DiskSpec(size_bytes=GIB + 512),))
    yield MachineSpec(name="no-disk", disks=(), nics=())
    yield MachineSpec(
        name="snapshots-of-others",
        **_ON,
        disks=(DiskSpec(size_bytes=4 * GIB),),
        datastore="vmfs5-old",
        snapshots=(
            SnapshotSpec(
                name="before update",
                description="by the administrator",
                age_days=200,
                children=(
                    SnapshotSpec(name="VEEAM BACKUP TEMPORARY SNAPSHOT", description="do not delete", quiesced=True),
                ),
            ),
        ),
    )
    yield MachineSpec(name="on-backup-share", datastore="50%25 off%2fbackup", folder="Archive")


def _hardware() -> Iterator[MachineSpec]:
    """One machine for each piece of hardware that a target may lack."""
    yield MachineSpec(name="suspended", power="suspended", **_WINDOWS, firmware="efi")
    yield MachineSpec(name="gpu", extras=(passthrough_device(),), memory_locked=True)
    yield MachineSpec(name="vgpu", extras=(vgpu_device(),), memory_locked=True, **_WINDOWS, firmware="efi")
    yield MachineSpec(name="dongle", usb=True, extras=(usb_device(),), **_WINDOWS)
    yield MachineSpec(
        name="old-ports",
        hardware="vmx-07",
        guest_id="winXPProGuest",
        guest_name="Microsoft Windows XP Professional (32-bit)",
        scsi=("buslogic",),
        nics=(NicSpec(kind="pcnet32"), NicSpec(kind="vmxnet2"), NicSpec(kind="e1000", start_connected=False)),
        serial="telnet://192.0.2.90:9001",
        floppy=True,
        cdrom="[nfs-share] iso/tools.iso",
        tools="not-running",
        boot=("floppy", "cdrom", "disk:0"),
    )
    yield MachineSpec(
        name="networks",
        nics=tuple(
            NicSpec(network=name, kind="sriov" if name == "DPG-None" else "vmxnet3")
            for name in ("Trunk", "DPG-Trunk", "DPG-PVLAN", "NSX-Seg-VDS", "NSX-Seg-Opaque", "Internal", "DPG-None")
        ),
        tools="none",
    )
    yield MachineSpec(name="nested-hv", nested=True, guest_id="vmkernel7Guest", guest_name="VMware ESXi 7.0", cpus=4)
    yield MachineSpec(name="ft-primary", **_ON, fault_tolerance="running", **_RHEL)
    yield MachineSpec(
        name="mac-os", guest_id="darwin20_64Guest", guest_name="Apple macOS 11 (64-bit)", firmware="efi", usb=True
    )


def _noise() -> Iterator[MachineSpec]:
    """What is in every estate and is not to be migrated."""
    for number in (1, 2, 3):
        yield MachineSpec(
            name=f"vCLS-{number:08x}-0000-4000-8000-00000000000{number}",
            **_ON,
            guest_id="crxPod1Guest",
            guest_name="CRX Pod 1 (64-bit)",
            cpus=1,
            memory_mib=128,
            disks=(DiskSpec(size_bytes=2 * GIB),),
            nics=(),
            folder="vCLS",
            managed_by=("com.vmware.vim.eam", "cluster-agent"),
            extra_config={"HDCS.agent": "TRUE"},
        )
    yield MachineSpec(
        name="vcsa",
        **_ON,
        guest_id="other3xLinux64Guest",
        guest_name="Other 3.x or later Linux (64-bit)",
        product=("VMware vCenter Server Appliance", "VMware Inc."),
        addresses=("192.0.2.2",),
        host_name="vcsa.example.test",
    )
    yield MachineSpec(
        name="nsxmanager-1", **_ON, product=("NSX Unified Appliance", "VMware, Inc."), tags=("Infrastructure",)
    )
    yield MachineSpec(name="vSphere Replication Appliance", product=("vSphere Replication Appliance", "VMware Inc."))
    yield MachineSpec(
        name="web01_replica",
        annotation="Veeam replica of web01; do not power on",
        folder="VeeamReplicas",
        snapshots=(SnapshotSpec(name="Restore Point 2026-11-01 01:00"),),
    )
    yield MachineSpec(
        name="mail-placeholder",
        placeholder=True,
        disks=(),
        nics=(),
        annotation="Placeholder for a protected machine",
        managed_by=("com.vmware.vcDr", "placeholderVm"),
    )
    yield MachineSpec(
        name="backup-proxy",
        **_ON,
        **_WINDOWS,
        disks=(
            DiskSpec(size_bytes=60 * GIB),
            DiskSpec(mode="independent_nonpersistent", borrowed="[vmfs6-ssd] web01/web01.vmdk", unit=9),
        ),
        product=("Veeam Backup Proxy", "Veeam"),
    )


def in_vapp(inventory: Inventory, cluster: Entity, datacenter: Entity) -> list[Entity]:
    """A vApp of two machines that start one after the other."""
    store = inventory.store
    root = store.get(cluster.values["resourcePool"])
    vapp = inventory.vapp(root, cluster, "Shop", inventory.child(datacenter, "vm"))
    made = [
        add_machine(inventory, MachineSpec(name=name, pool="Shop", nics=(NicSpec(network="LAN-10"),)))
        for name in ("shop-db", "shop-front")
    ]
    vapp.values["vAppConfig"].entityConfig = [
        vim.vApp.EntityConfigInfo(
            key=each.ref,
            tag=each.values["name"],
            startOrder=number,
            startDelay=120,
            waitingForGuest=number == 1,
            startAction="powerOn",
            stopDelay=120,
            stopAction="guestShutdown",
        )
        for number, each in enumerate(made, start=1)
    ]
    return made


def elsewhere(inventory: Inventory) -> None:
    """Machines of the second datacenter, with names of the first, and some that cannot be reached."""
    home = "esx09.example.test"
    for name in ("web01", "twin", "file%server"):
        add_machine(inventory, MachineSpec(name=name, host=home, directory=name.replace("%", "_"), folder="Web"))
    for state in ("disconnected", "inaccessible", "orphaned", "invalid"):
        add_machine(
            inventory, MachineSpec(name=f"lost-{state}", host="esx-down.example.test", connection=state, nics=())
        )


def on_lone_host() -> Iterator[MachineSpec]:
    """The machines of a lone ESXi host."""
    yield MachineSpec(
        name="web01", **_ON, tracking=True, disks=(DiskSpec(size_bytes=16 * GIB),), addresses=("192.0.2.11",)
    )
    yield MachineSpec(name="db01", datastore="vmfs5-old", nics=(NicSpec(network="LAN-10"),), **_RHEL)
    yield MachineSpec(name="off/line 50%", **_WINDOWS, firmware="efi")
    yield MachineSpec(
        name="with-snapshots", disks=(DiskSpec(size_bytes=4 * GIB),), snapshots=(SnapshotSpec(name="before update"),)
    )


def snapshots(inventory: Inventory, made: Mapping[str, Entity]) -> None:
    """Takes the snapshots that machines have from the start."""
    from v2x.simulators.vsphere.calls.snapshots import take_seeded

    for each in made.values():
        for spec in each.values["_spec"].snapshots:
            take_seeded(inventory.state, each, spec)
