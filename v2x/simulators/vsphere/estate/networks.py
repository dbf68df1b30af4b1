# SPDX-License-Identifier: Apache-2.0
"""Networks: standard port groups of each host, distributed switches with VLAN, trunk and private VLAN, NSX segments."""

from collections.abc import Sequence
from typing import Any

from pyVmomi import vim

from v2x.simulators.vsphere.estate.inventory import BOOTED, Inventory, shown
from v2x.simulators.vsphere.store import Entity

_dvs = vim.dvs.VmwareDistributedVirtualSwitch


def standard_switch(host: Entity, name: str, uplinks: Sequence[str], *, mtu: int = 1500) -> None:
    network = host.values["_network"]
    network.vswitch.append(
        vim.host.VirtualSwitch(
            name=name,
            key=f"key-vim.host.VirtualSwitch-{name}",
            numPorts=1536,
            numPortsAvailable=1500,
            mtu=mtu,
            pnic=[f"key-vim.host.PhysicalNic-{u}" for u in uplinks],
            spec=vim.host.VirtualSwitch.Specification(
                numPorts=128,
                bridge=vim.host.VirtualSwitch.BondBridge(nicDevice=list(uplinks)) if uplinks else None,
                mtu=mtu,
            ),
        )
    )
    known = {p.device for p in network.pnic}
    for number, uplink in enumerate(u for u in uplinks if u not in known):
        network.pnic.append(
            vim.host.PhysicalNic(
                key=f"key-vim.host.PhysicalNic-{uplink}",
                device=uplink,
                pci=f"0000:01:00.{number}",
                spec=vim.host.PhysicalNic.Specification(),
                wakeOnLanSupported=True,
                mac=f"00:25:90:00:{len(known):02x}:{number:02x}",
                linkSpeed=vim.host.PhysicalNic.LinkSpeedDuplex(speedMb=10000, duplex=True),
            )
        )


def port_group(
    inventory: Inventory,
    datacenter: Entity,
    hosts: Sequence[Entity],
    name: str,
    vlan: int,
    switch: str = "vSwitch0",
    *,
    forged: bool = False,
) -> Entity:
    """A standard port group of the same name on each host: one network of the datacenter. 4095 is every VLAN."""
    store = inventory.store
    for host in hosts:
        policy = vim.host.NetworkPolicy(
            security=vim.host.NetworkPolicy.SecurityPolicy(
                allowPromiscuous=False, macChanges=forged, forgedTransmits=forged
            ),
            nicTeaming=vim.host.NetworkPolicy.NicTeamingPolicy(
                policy="loadbalance_srcid",
                nicOrder=vim.host.NetworkPolicy.NicOrderPolicy(activeNic=["vmnic0"], standbyNic=["vmnic1"]),
            ),
        )
        host.values["_network"].portgroup.append(
            vim.host.PortGroup(
                key=f"key-vim.host.PortGroup-{name}",
                vswitch=f"key-vim.host.VirtualSwitch-{switch}",
                computedPolicy=policy,
                spec=vim.host.PortGroup.Specification(name=name, vlanId=vlan, vswitchName=switch, policy=policy),
            )
        )
    moid = store.next_id("network-") if inventory.state.profile.vcenter else f"HaNetwork-{name}"
    made = store.add(vim.Network, moid, name=shown(name), _plain=name)
    made.values["summary"] = vim.Network.Summary(network=made.ref, name=shown(name), accessible=True, ipPoolName="")
    _place(inventory, datacenter, made, hosts)
    return made


def _place(inventory: Inventory, datacenter: Entity, made: Entity, hosts: Sequence[Entity]) -> None:
    folder = inventory.child(datacenter, "network")
    made.values["parent"] = folder.ref
    made.values.setdefault("vm", vim.VirtualMachine.Array([]))
    made.values["host"] = vim.HostSystem.Array([h.ref for h in hosts])
    inventory.hang(folder, "childEntity", made.ref)
    if issubclass(made.kind, vim.Network):
        inventory.hang(datacenter, "network", made.ref)
        for host in hosts:
            inventory.hang(host, "network", made.ref)
            inventory.hang(inventory.store.get(host.values["parent"]), "network", made.ref)


def distributed_switch(inventory: Inventory, datacenter: Entity, name: str, hosts: Sequence[Entity]) -> Entity:
    """A distributed switch with three private VLANs of the primary 200, and its uplink port group."""
    store = inventory.store
    uuid = " ".join(inventory.uuid().replace("-", "")[i : i + 2] for i in range(0, 32, 2))
    uuid = f"{uuid[:23]}-{uuid[24:]}"
    moid = store.next_id("dvs-")
    product = vim.dvs.ProductSpec(name="DVS", vendor="VMware, Inc.", version="7.0.3", build="1")
    config = _dvs.ConfigInfo(
        uuid=uuid,
        name=shown(name),
        numStandalonePorts=0,
        numPorts=64,
        maxPorts=32768,
        uplinkPortPolicy=vim.DistributedVirtualSwitch.NameArrayUplinkPortPolicy(
            uplinkPortName=["Uplink 1", "Uplink 2"]
        ),
        defaultPortConfig=_dvs.VmwarePortConfigPolicy(vlan=_dvs.VlanIdSpec(inherited=False, vlanId=0)),
        productInfo=product,
        configVersion="5",
        contact=vim.DistributedVirtualSwitch.ContactInfo(),
        createTime=BOOTED,
        networkResourceManagementEnabled=True,
        maxMtu=9000,
        pvlanConfig=[
            _dvs.PvlanMapEntry(primaryVlanId=200, secondaryVlanId=200, pvlanType="promiscuous"),
            _dvs.PvlanMapEntry(primaryVlanId=200, secondaryVlanId=201, pvlanType="isolated"),
            _dvs.PvlanMapEntry(primaryVlanId=200, secondaryVlanId=202, pvlanType="community"),
        ],
    )
    made = store.add(
        vim.dvs.VmwareDistributedVirtualSwitch,
        moid,
        name=shown(name),
        uuid=uuid,
        config=config,
        portgroup=vim.dvs.DistributedVirtualPortgroup.Array([]),
        summary=vim.DistributedVirtualSwitch.Summary(
            name=shown(name), uuid=uuid, numPorts=64, productInfo=product, hostMember=[h.ref for h in hosts]
        ),
    )
    _place(inventory, datacenter, made, hosts)
    del made.values["host"], made.values["vm"]
    trunk = _dvs.TrunkVlanSpec(inherited=False, vlanId=[vim.NumericRange(start=0, end=4094)])
    distributed_port_group(inventory, datacenter, made, f"{name}-DVUplinks", trunk, hosts, uplink=True)
    return made


def distributed_port_group(
    inventory: Inventory,
    datacenter: Entity,
    switch: Entity,
    name: str,
    vlan: Any,
    hosts: Sequence[Entity],
    *,
    uplink: bool = False,
    nsx: str = "",
) -> Entity:
    """A distributed port group with a VlanIdSpec, TrunkVlanSpec or PvlanSpec; `nsx` is a logical switch behind it."""
    store = inventory.store
    moid = store.next_id("dvportgroup-")
    config = vim.dvs.DistributedVirtualPortgroup.ConfigInfo(
        key=moid,
        name=shown(name),
        numPorts=8,
        distributedVirtualSwitch=switch.ref,
        defaultPortConfig=_dvs.VmwarePortConfigPolicy(
            vlan=vlan,
            securityPolicy=_dvs.SecurityPolicy(
                inherited=False,
                allowPromiscuous=vim.BoolPolicy(inherited=False, value=False),
                macChanges=vim.BoolPolicy(inherited=False, value=False),
                forgedTransmits=vim.BoolPolicy(inherited=False, value=False),
            ),
        ),
        type="earlyBinding",
        policy=vim.dvs.DistributedVirtualPortgroup.PortgroupPolicy(),
        configVersion="1",
        autoExpand=True,
        uplink=uplink,
        backingType="nsx" if nsx else "standard",
        logicalSwitchUuid=nsx or None,
        segmentId=f"/infra/segments/{name}" if nsx else None,
    )
    made = store.add(
        vim.dvs.DistributedVirtualPortgroup, moid, name=shown(name), key=moid, config=config, portKeys=["0"]
    )
    made.values["summary"] = vim.Network.Summary(network=made.ref, name=shown(name), accessible=True, ipPoolName="")
    _place(inventory, datacenter, made, hosts)
    switch.values["portgroup"].append(made.ref)
    if uplink:
        switch.values["config"].uplinkPortgroup.append(made.ref)
    return made


def opaque_network(inventory: Inventory, datacenter: Entity, name: str, hosts: Sequence[Entity]) -> Entity:
    """A segment of NSX-T on an N-VDS."""
    network_id = inventory.uuid()
    made = inventory.store.add(vim.OpaqueNetwork, inventory.store.next_id("network-o"), name=shown(name))
    made.values["summary"] = vim.OpaqueNetwork.Summary(
        network=made.ref,
        name=shown(name),
        accessible=True,
        ipPoolName="",
        opaqueNetworkId=network_id,
        opaqueNetworkType="nsx.LogicalSwitch",
    )
    _place(inventory, datacenter, made, hosts)
    return made


def backing(inventory: Inventory, network: Entity) -> Any:
    """What a card on this network has behind it."""
    card = vim.vm.device.VirtualEthernetCard
    if issubclass(network.kind, vim.dvs.DistributedVirtualPortgroup):
        switch = inventory.store.get(network.values["config"].distributedVirtualSwitch)
        port = vim.dvs.PortConnection(switchUuid=switch.values["uuid"], portgroupKey=network.moid, portKey="0")
        return card.DistributedVirtualPortBackingInfo(port=port)
    if issubclass(network.kind, vim.OpaqueNetwork):
        summary = network.values["summary"]
        return card.OpaqueNetworkBackingInfo(
            opaqueNetworkId=summary.opaqueNetworkId, opaqueNetworkType=summary.opaqueNetworkType
        )
    return card.NetworkBackingInfo(deviceName=network.values["_plain"], network=network.ref, useAutoDetect=False)
