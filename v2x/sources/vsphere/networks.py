# SPDX-License-Identifier: Apache-2.0
"""Port groups of standard and distributed switches, and networks that another product brings (NSX)."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from v2x.model.inventory import SourceNetwork
from v2x.model.machine import VlanRange
from v2x.sources.vsphere.names import decoded
from v2x.sources.vsphere.pages import TYPE, Plain, Ref, Row, at, dicts, flag, many, number, reference, text

NameOf = Callable[[Ref | None], str]
_PNIC = "key-vim.host.PhysicalNic-"
_UPLINKS = re.compile(r"-DVUplinks(-[0-9]+)?$")


def read_networks(rows: Iterable[Row], name_of: NameOf) -> tuple[tuple[SourceNetwork, ...], dict[str, str]]:
    """All networks, and the names of all by moref, port group key and opaque id."""
    rows = list(rows)
    switches = {row.ref.id: row for row in rows if row.ref.kind.endswith("DistributedVirtualSwitch")}
    found: list[SourceNetwork] = list(_standard(row for row in rows if row.ref.kind == "HostSystem"))
    names: dict[str, str] = {}
    known = {one.name for one in found}
    for row in rows:
        name = decoded(text(row.values, "name"))
        if row.ref.kind == "DistributedVirtualPortgroup":
            names[row.ref.id] = names[text(row.values, "key")] = name
            if not _is_uplink(row):
                found.append(_distributed(name, row, switches))
        elif row.ref.kind == "OpaqueNetwork":
            names[row.ref.id] = names[text(row.values, "summary", "opaqueNetworkId")] = name
            kind = text(row.values, "summary", "opaqueNetworkType")
            found.append(SourceNetwork(name=name, kind="opaque", switch=kind))
        elif row.ref.kind == "Network":
            names[row.ref.id] = name
            if name not in known:
                # Its hosts did not tell of it: not permitted, or not connected.
                found.append(SourceNetwork(name=name, hosts=_hosts(row, name_of)))
    names.pop("", None)
    return tuple(found), names


def _hosts(row: Row, name_of: NameOf) -> tuple[str, ...]:
    refs = [one for one in many(row.values.get("host")) if isinstance(one, Ref)]
    return tuple(name_of(ref) for ref in refs if name_of(ref))


def _standard(hosts: Iterable[Row]) -> Iterator[SourceNetwork]:
    """Each port group once for all hosts that have it alike; `hosts` stays empty where that is every one."""
    groups: dict[SourceNetwork, list[str]] = {}
    all_hosts = []
    for host in hosts:
        name = decoded(text(host.values, "name"))
        all_hosts.append(name)
        switches = {text(one, "name"): one for one in dicts(host.values.get("config.network.vswitch"))}
        for group in dicts(host.values.get("config.network.portgroup")):
            groups.setdefault(_standard_group(group, switches), []).append(name)
    for network, having in groups.items():
        yield network if len(having) == len(all_hosts) else replace(network, hosts=tuple(having))


def _standard_group(group: Plain, switches: dict[str, Plain]) -> SourceNetwork:
    switch = text(group, "spec", "vswitchName")
    uplinks = [one.rpartition(_PNIC)[2] for one in many(at(switches.get(switch), "pnic")) if isinstance(one, str)]
    policies = [at(group, "computedPolicy", "security"), at(group, "spec", "policy", "security")]
    return SourceNetwork(
        name=decoded(text(group, "spec", "name")),
        vlan=number(group, "spec", "vlanId"),
        switch=switch,
        uplinks=tuple(uplinks),
        internal=switch in switches and not uplinks,
        promiscuous=any(flag(one, "allowPromiscuous") for one in policies),
        forged_transmits=any(flag(one, "forgedTransmits") for one in policies),
    )


def _is_uplink(row: Row) -> bool:
    """The port group of a distributed switch's own uplinks; no machine is ever on it."""
    if flag(row.values, "config", "uplink"):
        return True
    trunk = at(row.values, "config", "defaultPortConfig", "vlan")
    return bool(_UPLINKS.search(text(row.values, "name"))) and text(trunk, TYPE).endswith("TrunkVlanSpec")


def _distributed(name: str, row: Row, switches: dict[str, Row]) -> SourceNetwork:
    config: Any = row.values.get("config")
    owner = reference(config, "distributedVirtualSwitch")
    switch = switches.get(owner.id) if owner else None
    port: Any = at(config, "defaultPortConfig")
    vlan, trunk, private = _tags(at(port, "vlan"), switch)
    safety, learning = at(port, "securityPolicy"), at(port, "macManagementPolicy")
    uplinks = at(switch.values, "config", "uplinkPortPolicy", "uplinkPortName") if switch else None
    return SourceNetwork(
        name=name,
        kind="nsx" if text(config, "backingType") == "nsx" else "distributed",
        vlan=vlan,
        trunk=trunk,
        private_vlan=private,
        switch=decoded(text(switch.values, "name")) if switch else "",
        uplinks=tuple(one for one in many(uplinks) if isinstance(one, str)),
        promiscuous=any(
            flag(one, "allowPromiscuous", "value") or flag(one, "allowPromiscuous") for one in (safety, learning)
        ),
        forged_transmits=any(
            flag(one, "forgedTransmits", "value") or flag(one, "forgedTransmits") for one in (safety, learning)
        ),
        mac_learning=flag(learning, "macLearningPolicy", "enabled") is True,
    )


def _tags(spec: Any, switch: Row | None) -> tuple[int | None, tuple[VlanRange, ...], str]:
    """VLAN, trunk and private VLAN of a distributed port group."""
    kind = text(spec, TYPE)
    if kind.endswith("TrunkVlanSpec"):
        ends = [(number(one, "start"), number(one, "end")) for one in dicts(at(spec, "vlanId"))]
        return None, tuple(VlanRange(first=a, last=b) for a, b in ends if a is not None and b is not None), ""
    if kind.endswith("PvlanSpec"):
        wanted = number(spec, "pvlanId")
        for one in dicts(at(switch.values, "config", "pvlanConfig")) if switch else []:
            if number(one, "secondaryVlanId") == wanted:
                return None, (), f"{text(one, 'pvlanType')} {number(one, 'primaryVlanId')}/{wanted}"
        return None, (), f"private {wanted}"
    return number(spec, "vlanId"), (), ""
