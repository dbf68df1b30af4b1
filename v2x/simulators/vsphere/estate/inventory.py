# SPDX-License-Identifier: Apache-2.0
"""Building the tree: datacenters, folders, clusters, hosts, pools, and looking places up by name."""

import random
import re
import uuid as uuid_module
from datetime import UTC, datetime, timedelta
from typing import Any

from pyVmomi import vim

from v2x.errors import UsageError
from v2x.simulators.vsphere.about import about
from v2x.simulators.vsphere.state import State
from v2x.simulators.vsphere.store import Entity

_BARE_PERCENT = re.compile("%(?!2f|5c|25)")
BOOTED = datetime(2026, 1, 5, 6, 0, tzinfo=UTC)
_MHZ, _CORES, _SOCKETS = 2600, 16, 2
_HOST_MEMORY = 256 * 1024**3
_FOLDER_TYPES = {
    "datacenter": ["Folder", "Datacenter"],
    "vm": ["Folder", "VirtualMachine", "VirtualApp"],
    "host": ["Folder", "ComputeResource"],
    "datastore": ["Folder", "Datastore", "StoragePod"],
    "network": ["Folder", "Network", "DistributedVirtualSwitch"],
}
_SHARED = frozenset({"datastore", "network"})
_LETTER = {"datacenter": "d", "vm": "v", "host": "h", "datastore": "s", "network": "n"}


def shown(name: str) -> str:
    """A name as the inventory shows it: per cent sign and slashes are encoded."""
    return name.replace("%", "%25").replace("/", "%2f").replace("\\", "%5c")


def entered(name: str) -> str:
    """A name that a client gives, as the inventory shows it: what is encoded already stays as it is."""
    return _BARE_PERCENT.sub("%25", name).replace("/", "%2f").replace("\\", "%5c")


class Inventory:
    """The tree under construction. Names are given as people write them and kept as the API shows them."""

    def __init__(self, state: State, seed: int = 1) -> None:
        self.state = state
        self.store = state.store
        self.random = random.Random(seed)
        vcenter = state.profile.vcenter
        name = "Datacenters" if vcenter else "ha-folder-root"
        self.root = self.store.add(
            vim.Folder,
            "group-d1" if vcenter else "ha-folder-root",
            name=name,
            childEntity=vim.ManagedEntity.Array([]),
            childType=["Folder", "Datacenter"],
        )

    def uuid(self) -> str:
        """A UUID that depends on the seed alone."""
        return str(uuid_module.UUID(int=self.random.getrandbits(128), version=4))

    def hang(self, parent: Entity, name: str, ref: Any) -> None:
        """Adds a reference to an array of the parent; what is shared by many is added once."""
        array = parent.values.get(name)
        if array is None:
            kind = {"childEntity": vim.ManagedEntity, "host": vim.HostSystem, "vm": vim.VirtualMachine}.get(name)
            kind = kind or {"datastore": vim.Datastore, "network": vim.Network}.get(name, vim.ResourcePool)
            array = parent.values[name] = kind.Array([])
        if name not in _SHARED or all(each._moId != ref._moId for each in array):
            array.append(ref)
            self.store.moved()
            self.store.touch(parent)

    def folder(self, parent: Entity, name: str, kind: str) -> Entity:
        moid = self.store.next_id(f"group-{_LETTER[kind]}")
        while self.store.find(moid) is not None:
            moid = self.store.next_id(f"group-{_LETTER[kind]}")
        made = self.store.add(
            vim.Folder,
            moid,
            name=shown(name),
            parent=parent.ref,
            childEntity=vim.ManagedEntity.Array([]),
            childType=_FOLDER_TYPES[kind],
        )
        if issubclass(parent.kind, vim.Folder):
            self.hang(parent, "childEntity", made.ref)
        return made

    def datacenter(self, name: str, parent: Entity | None = None) -> Entity:
        home = parent or self.root
        vcenter = self.state.profile.vcenter
        moid = self.store.next_id("datacenter-") if vcenter else "ha-datacenter"
        made = self.store.add(
            vim.Datacenter,
            moid,
            name=shown(name),
            parent=home.ref,
            datastore=vim.Datastore.Array([]),
            network=vim.Network.Array([]),
        )
        self.hang(home, "childEntity", made.ref)
        for kind in ("vm", "host", "datastore", "network"):
            child = self.folder(made, kind, kind)
            made.values[f"{kind}Folder"] = child.ref
        return made

    def child(self, datacenter: Entity, kind: str) -> Entity:
        """The datacenter's folder for machines, hosts, datastores or networks."""
        return self.store.get(datacenter.values[f"{kind}Folder"])

    def cluster(self, datacenter: Entity, name: str, config: Any = None) -> Entity:
        folder = self.child(datacenter, "host")
        made = self.store.add(
            vim.ClusterComputeResource,
            self.store.next_id("domain-c"),
            name=shown(name),
            parent=folder.ref,
            host=vim.HostSystem.Array([]),
            datastore=vim.Datastore.Array([]),
            network=vim.Network.Array([]),
            configurationEx=config
            or vim.cluster.ConfigInfoEx(
                vmSwapPlacement="vmDirectory",
                dasConfig=vim.cluster.DasConfigInfo(),
                drsConfig=vim.cluster.DrsConfigInfo(),
            ),
        )
        self.hang(folder, "childEntity", made.ref)
        self._root_pool(made)
        return made

    def alone(self, datacenter: Entity, name: str) -> Entity:
        """The compute resource of a host in no cluster."""
        folder = self.child(datacenter, "host")
        moid = self.store.next_id("domain-s") if self.state.profile.vcenter else "ha-compute-res"
        made = self.store.add(
            vim.ComputeResource,
            moid,
            name=shown(name),
            parent=folder.ref,
            host=vim.HostSystem.Array([]),
            datastore=vim.Datastore.Array([]),
            network=vim.Network.Array([]),
            configurationEx=vim.ComputeResource.ConfigInfo(vmSwapPlacement="vmDirectory"),
        )
        self.hang(folder, "childEntity", made.ref)
        self._root_pool(made)
        return made

    def _root_pool(self, owner: Entity) -> None:
        pool = self.pool(owner, "Resources", owner)
        owner.values["resourcePool"] = pool.ref

    def pool(self, parent: Entity, name: str, owner: Entity, kind: Any = None, **values: Any) -> Entity:
        prefix = "resgroup-v" if kind is not None else "resgroup-"
        moid = self.store.next_id(prefix) if self.state.profile.vcenter else "ha-root-pool"
        if self.store.find(moid) is not None:
            moid = self.store.next_id("pool")
        made = self.store.add(
            kind or vim.ResourcePool,
            moid,
            name=shown(name),
            parent=parent.ref,
            owner=owner.ref,
            vm=vim.VirtualMachine.Array([]),
            resourcePool=vim.ResourcePool.Array([]),
            config=vim.ResourceConfigSpec(cpuAllocation=_allocation(), memoryAllocation=_allocation()),
            **values,
        )
        if issubclass(parent.kind, vim.ResourcePool):
            self.hang(parent, "resourcePool", made.ref)
        return made

    def vapp(self, parent: Entity, owner: Entity, name: str, folder: Entity) -> Entity:
        config = vim.vApp.VAppConfigInfo(
            ipAssignment=vim.vApp.IPAssignmentInfo(), installBootRequired=False, installBootStopDelay=0, annotation=""
        )
        made = self.pool(parent, name, owner, vim.VirtualApp, vAppConfig=config, parentFolder=folder.ref)
        self.hang(folder, "childEntity", made.ref)
        return made

    def host(self, compute: Entity, name: str, *, maintenance: bool = False, connected: bool = True) -> Entity:
        vcenter = self.state.profile.vcenter
        moid = self.store.next_id("host-") if vcenter else "ha-host"
        runtime = vim.host.RuntimeInfo(
            connectionState="connected" if connected else "notResponding",
            powerState="poweredOn" if connected else "unknown",
            inMaintenanceMode=maintenance,
            bootTime=BOOTED,
            hostMaxVirtualDiskCapacity=62 * 1024**4,
        )
        made = self.store.add(
            vim.HostSystem,
            moid,
            name=shown(name),
            parent=compute.ref,
            runtime=runtime,
            vm=vim.VirtualMachine.Array([]),
            datastore=vim.Datastore.Array([]),
            network=vim.Network.Array([]),
            _uuid=self.uuid(),
            _network=vim.host.NetworkInfo(vnic=_vmkernel_adapters()),
        )
        made.values["config"] = self._host_config(made)
        made.values["hardware"] = vim.host.HardwareInfo(
            systemInfo=vim.host.SystemInfo(vendor="Simulated", model="S1", uuid=made.values["_uuid"]),
            cpuInfo=vim.host.CpuInfo(
                numCpuPackages=_SOCKETS, numCpuCores=_CORES, numCpuThreads=2 * _CORES, hz=_MHZ * 1_000_000
            ),
            memorySize=_HOST_MEMORY,
            cpuPkg=[
                vim.host.CpuPackage(
                    index=0,
                    vendor="intel",
                    hz=_MHZ * 1_000_000,
                    busHz=100_000_000,
                    description="Simulated CPU",
                    threadId=[0],
                    cpuFeature=[],
                )
            ],
        )
        self._autostart(made)
        self.hang(compute, "host", made.ref)
        return made

    def _autostart(self, host: Entity) -> None:
        manager = self.store.add(
            vim.host.AutoStartManager,
            "ha-autostart-mgr"
            if not self.state.profile.vcenter
            else f"autoStartManager-{host.moid.removeprefix('host-')}",
            config=vim.host.AutoStartManager.Config(
                defaults=vim.host.AutoStartManager.SystemDefaults(
                    enabled=False, startDelay=120, stopDelay=120, waitForHeartbeat=False, stopAction="PowerOff"
                )
            ),
            _host=host.moid,
        )
        host.values["configManager"] = vim.host.ConfigManager(autoStartManager=manager.ref)

    def _host_config(self, host: Entity) -> Any:
        profile = self.state.profile
        product = vim.AboutInfo(
            name="VMware ESXi",
            fullName=f"VMware ESXi {profile.version} build-{profile.build}",
            vendor="VMware, Inc.",
            version=profile.version,
            build=profile.build,
            osType="vmnix-x86",
            productLineId="embeddedEsx",
            apiType="HostAgent",
            apiVersion=profile.api,
        )
        return vim.host.ConfigInfo(
            host=host.ref,
            product=product if profile.vcenter else about(profile, self.state.instance_uuid),
            network=host.values["_network"],
        )

    # looking up

    def named(self, kind: type, name: str, *, among: Any = None) -> Entity:
        """The first object of a type with this name as the API shows it (any without a name). UsageError for none."""
        refs = {r._moId for r in among} if among is not None else None
        for each in self.store.all(kind):
            fits = not name or self.store.value(each, "name") == name
            if fits and (refs is None or each.moid in refs):
                return each
        raise UsageError(f"The simulated vSphere has no {kind.__name__.rpartition('.')[2]} called {name!r}")

    def days_ago(self, days: float) -> datetime:
        return datetime.now(UTC) - timedelta(days=days)


def _allocation() -> Any:
    return vim.ResourceAllocationInfo(
        reservation=0,
        limit=-1,
        expandableReservation=True,
        shares=vim.SharesInfo(shares=4000, level="normal"),
    )


def _vmkernel_adapters() -> list[Any]:
    """What a host has of its own on its networks; only the one named Backup leads anywhere, on loopback."""
    return [
        vim.host.VirtualNic(
            device=f"vmk{number}",
            key=f"key-vim.host.VirtualNic-vmk{number}",
            portgroup=group,
            spec=vim.host.VirtualNic.Specification(
                ip=vim.host.IpConfig(dhcp=False, ipAddress=address, subnetMask="255.255.255.255"),
                mac=f"00:50:56:6a:00:{number:02x}",
                mtu=1500,
            ),
        )
        for number, (group, address) in enumerate(
            (("Management Network", "127.0.0.8"), ("Backup", "127.0.0.1"), ("", "127.0.0.9"))
        )
    ]
