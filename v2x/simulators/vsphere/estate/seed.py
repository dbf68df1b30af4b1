# SPDX-License-Identifier: Apache-2.0
"""The estates that a fresh stand-in can hold: `empty` has places and no machines, `standard` an estate as found."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from v2x.errors import UsageError
from v2x.simulators.vsphere.estate import networks, oddities
from v2x.simulators.vsphere.estate.inventory import Inventory
from v2x.simulators.vsphere.estate.machines import add_machine
from v2x.simulators.vsphere.estate.storage import datastore
from v2x.simulators.vsphere.store import Entity

_dvs = vim.dvs.VmwareDistributedVirtualSwitch
ESTATES = ("standard", "empty")


@dataclass(frozen=True, slots=True)
class Site:
    """A datacenter with what is in it."""

    datacenter: Entity
    cluster: Entity
    hosts: Sequence[Entity]


def seed(inventory: Inventory, estate: str) -> None:
    """Fills an empty store. UsageError for an estate that there is not."""
    if estate not in ESTATES:
        raise UsageError(f"No estate {estate!r} of the simulated vSphere", hint=f"one of {', '.join(ESTATES)}")
    if not inventory.state.profile.vcenter:
        _lone_host(inventory, estate)
        return
    _attributes(inventory)
    site = _main_site(inventory)
    if estate == "empty":
        return
    _second_site(inventory, site)
    machines = {spec.name: add_machine(inventory, spec) for spec in oddities.machines()}
    for each in oddities.in_vapp(inventory, site.cluster, site.datacenter):
        machines[each.values["name"]] = each
    _rules(site, machines)
    oddities.elsewhere(inventory)
    oddities.snapshots(inventory, machines)


def _attributes(inventory: Inventory) -> None:
    manager = inventory.store.get(vim.CustomFieldsManager("CustomFieldsManager"))
    manager.values["field"] = vim.CustomFieldsManager.FieldDef.Array([])
    for number, name in enumerate(("Owner", "Cost center", "Last backup", "NB_LAST_BACKUP"), start=100):
        manager.values["field"].append(
            vim.CustomFieldsManager.FieldDef(
                key=number, name=name, type=str, managedObjectType=None if name == "Owner" else vim.VirtualMachine
            )
        )


def _main_site(inventory: Inventory) -> Site:
    """`Europe/DC 1`: two clusters' worth of what networks and storage can be."""
    folder = inventory.folder(inventory.root, "Europe", "datacenter")
    datacenter = inventory.datacenter("DC 1", folder)
    cluster = inventory.cluster(datacenter, "Cluster A/B", _cluster_config())
    hosts = [inventory.host(cluster, f"esx{n:02d}.example.test") for n in (1, 2, 3)]
    for host in hosts:
        networks.standard_switch(host, "vSwitch0", ["vmnic0", "vmnic1"])
        networks.standard_switch(host, "vSwitch1", [], mtu=9000)
    for name, vlan, switch in (
        ("VM Network", 0, "vSwitch0"),
        ("LAN-10", 10, "vSwitch0"),
        ("DMZ 20/30", 20, "vSwitch0"),
        ("Trunk", 4095, "vSwitch0"),
        ("Internal", 0, "vSwitch1"),
    ):
        networks.port_group(inventory, datacenter, hosts, name, vlan, switch, forged=name == "Trunk")
    dvs = networks.distributed_switch(inventory, datacenter, "DVS-Prod", hosts)
    for name, spec in (
        ("DPG-100", _dvs.VlanIdSpec(inherited=False, vlanId=100)),
        ("DPG-Trunk", _dvs.TrunkVlanSpec(inherited=False, vlanId=_ranges((100, 199), (300, 310)))),
        ("DPG-PVLAN", _dvs.PvlanSpec(inherited=False, pvlanId=201)),
        ("DPG-None", _dvs.VlanIdSpec(inherited=True, vlanId=0)),
    ):
        networks.distributed_port_group(inventory, datacenter, dvs, name, spec, hosts)
    plain = _dvs.VlanIdSpec(inherited=False, vlanId=0)
    networks.distributed_port_group(
        inventory, datacenter, dvs, "NSX-Seg-VDS", plain, hosts, nsx="6d0f2a1c-0000-4000-8000-000000000001"
    )
    networks.opaque_network(inventory, datacenter, "NSX-Seg-Opaque", hosts)
    for name, kind in (
        ("vmfs6-ssd", "VMFS6"),
        ("vmfs5-old", "VMFS5"),
        ("nfs-share", "NFS"),
        ("vsanDatastore", "vsan"),
        ("50% off/backup", "NFS41"),
    ):
        datastore(inventory, datacenter, name, kind, hosts)
    root_pool = inventory.store.get(cluster.values["resourcePool"])
    inventory.pool(root_pool, "Production", cluster)
    inventory.pool(root_pool, "Test/Dev", cluster)
    return Site(datacenter, cluster, hosts)


def _second_site(inventory: Inventory, first: Site) -> None:
    """A datacenter whose name needs every encoding, and in which names of the first are used again."""
    folder = inventory.folder(inventory.root, "100% Other\\Sites", "datacenter")
    datacenter = inventory.datacenter("DC/2 100%", folder)
    compute = inventory.alone(datacenter, "esx09.example.test")
    host = inventory.host(compute, "esx09.example.test")
    networks.standard_switch(host, "vSwitch0", ["vmnic0"])
    networks.port_group(inventory, datacenter, [host], "VM Network", 0)
    networks.port_group(inventory, datacenter, [host], "LAN-10", 11)
    datastore(inventory, datacenter, "vmfs6-ssd", "VMFS6", [host])
    datastore(inventory, datacenter, "data 2", "VMFS5", [host])
    other = inventory.alone(first.datacenter, "esx-down.example.test")
    down = inventory.host(other, "esx-down.example.test", connected=False)
    networks.port_group(inventory, first.datacenter, [down], "Old net", 0)
    datastore(inventory, first.datacenter, "lost-lun", "VMFS5", [down], accessible=False)
    resting = inventory.host(first.cluster, "esx04.example.test", maintenance=True)
    for ref in first.hosts[0].values["datastore"]:
        inventory.hang(resting, "datastore", ref)


def _ranges(*spans: tuple[int, int]) -> list[Any]:
    return [vim.NumericRange(start=start, end=end) for start, end in spans]


def _cluster_config() -> Any:
    return vim.cluster.ConfigInfoEx(
        vmSwapPlacement="vmDirectory",
        dasConfig=vim.cluster.DasConfigInfo(
            enabled=True, vmMonitoring="vmMonitoringDisabled", hostMonitoring="enabled", admissionControlEnabled=True
        ),
        drsConfig=vim.cluster.DrsConfigInfo(
            enabled=True, enableVmBehaviorOverrides=True, defaultVmBehavior="fullyAutomated", vmotionRate=3
        ),
        dpmConfigInfo=vim.cluster.DpmConfigInfo(enabled=True, defaultDpmBehavior="manual", hostPowerActionRate=3),
    )


def _rules(site: Site, machines: dict[str, Entity]) -> None:
    config = site.cluster.values["configurationEx"]
    web = [machines[name].ref for name in ("web01", "web02")]
    database = [machines[name].ref for name in ("db-primary", "db-standby")]
    config.group = [
        vim.cluster.VmGroup(name="licensed", vm=database, userCreated=True),
        vim.cluster.HostGroup(name="licensed hosts", host=[h.ref for h in site.hosts[:2]], userCreated=True),
    ]
    config.rule = [
        vim.cluster.AntiAffinityRuleSpec(
            key=1, name="web apart", enabled=True, mandatory=False, userCreated=True, vm=web
        ),
        vim.cluster.AffinityRuleSpec(
            key=2, name="database together", enabled=True, mandatory=True, userCreated=True, vm=database
        ),
        vim.cluster.VmHostRuleInfo(
            key=3,
            name="licence",
            enabled=True,
            mandatory=True,
            userCreated=True,
            vmGroupName="licensed",
            affineHostGroupName="licensed hosts",
        ),
    ]
    config.dasVmConfig = [
        vim.cluster.DasVmConfigInfo(
            key=database[0], dasSettings=vim.cluster.DasVmSettings(restartPriority="high", isolationResponse="none")
        )
    ]
    config.drsVmConfig = [vim.cluster.DrsVmConfigInfo(key=database[1], enabled=True, behavior="manual")]


def _lone_host(inventory: Inventory, estate: str) -> None:
    datacenter = inventory.datacenter("ha-datacenter")
    compute = inventory.alone(datacenter, "esx.example.test")
    host = inventory.host(compute, "esx.example.test")
    networks.standard_switch(host, "vSwitch0", ["vmnic0"])
    networks.port_group(inventory, datacenter, [host], "VM Network", 0)
    networks.port_group(inventory, datacenter, [host], "LAN-10", 10)
    datastore(inventory, datacenter, "datastore1", "VMFS6", [host])
    datastore(inventory, datacenter, "vmfs5-old", "VMFS5", [host])
    if estate == "standard":
        made = {spec.name: add_machine(inventory, spec) for spec in oddities.on_lone_host()}
        oddities.snapshots(inventory, made)
        host_refs = [m.ref for m in made.values()]
        manager = inventory.store.get(host.values["configManager"].autoStartManager)
        manager.values["config"].defaults.enabled = True
        manager.values["config"].powerInfo = [
            vim.host.AutoStartManager.AutoPowerInfo(
                key=host_refs[0],
                startOrder=1,
                startDelay=30,
                waitForHeartbeat="systemDefault",
                startAction="powerOn",
                stopDelay=60,
                stopAction="systemDefault",
            )
        ]
