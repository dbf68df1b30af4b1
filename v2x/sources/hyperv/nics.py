# SPDX-License-Identifier: Apache-2.0
"""Network adapters of a collected machine, and what its guest says of its addresses."""

import ipaddress
import re

from v2x.model.inventory import SourceNetwork
from v2x.model.machine import GuestAddress, Nic, NicModel, VlanRange
from v2x.sources.hyperv.config_machine import plain_mac
from v2x.sources.hyperv.fields import Fields
from v2x.sources.hyperv.words import ISOLATION_MODES, ON_OFF, PRIVATE_MODES, SWITCHES, VLAN_MODES

_GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_HIGHEST_VLAN = 4094


def read_nics(machine: Fields) -> tuple[Nic, ...]:
    """In the host's order, which is the order the guest's slots were made in."""
    return tuple(_nic(position, row) for position, row in enumerate(machine.rows("nics")))


def _nic(position: int, row: Fields) -> Nic:
    network = row.text("switchName")
    vlan, trunk, private = _vlan(row)
    spoofing, teaming = row.word("macSpoofing", ON_OFF), row.word("teaming", ON_OFF)
    return Nic(
        position=position,
        label=row.text("name"),
        model=_model(row),
        network=network,
        mac=plain_mac(row.text("mac")),
        mac_is_static=row.flag("dynamicMac") is False,
        vlan=vlan,
        trunk=trunk,
        connected=bool(network) and row.flag("connected") is not False,
        ip_addresses=row.texts("addresses"),
        mac_spoofing=None if not spoofing else spoofing == "On",
        private_vlan=private,
        bandwidth_limit_bps=row.positive("maximumBandwidth"),
        teaming=None if not teaming else teaming == "On",
    )


def _model(row: Fields) -> NicModel:
    if row.flag("legacy"):
        return NicModel.LEGACY
    return NicModel.SRIOV if row.positive("iovWeight") else NicModel.SYNTHETIC


def _vlan(row: Fields) -> tuple[int | None, tuple[VlanRange, ...], str]:
    """The access VLAN, the trunk, and the private VLAN in words. Untagged is what its switch is anyway."""
    if row.word("isolationMode", ISOLATION_MODES) == "Vlan" and row.positive("isolationId"):
        return row.positive("isolationId"), (), ""
    match row.word("vlanMode", VLAN_MODES):
        case "Access":
            return row.positive("accessVlan"), (), ""
        case "Trunk":
            return None, vlan_ranges(row.text("allowedVlans")), ""
        case "Private":
            mode = row.word("privateVlanMode", PRIVATE_MODES).lower() or "private"
            second = row.text("secondaryVlans") or row.text("secondaryVlan")
            return None, (), f"{mode} {row.text('primaryVlan') or '?'}/{second or '?'}"
    return None, (), ""


def vlan_ranges(text: str) -> tuple[VlanRange, ...]:
    """`1-100,200` as ranges; what is no VLAN id is left out."""
    found = []
    for part in re.split(r"[,;\s]+", text):
        first, dash, last = part.partition("-")
        if first.isdecimal() and (last.isdecimal() or not dash):
            low, high = int(first), int(last) if dash else int(first)
            if 0 <= low <= high <= _HIGHEST_VLAN:
                found.append(VlanRange(first=low, last=high))
    return tuple(found)


def native_vlans(machine: Fields) -> dict[str, str]:
    """The VLAN of untagged frames of trunked adapters, as attributes: no field of an adapter has a place for it."""
    rows = enumerate(machine.rows("nics"))
    return {
        f"nic{position}.native_vlan": str(row.positive("nativeVlan"))
        for position, row in rows
        if row.word("vlanMode", VLAN_MODES) == "Trunk" and row.positive("nativeVlan")
    }


def read_addresses(machine: Fields) -> tuple[GuestAddress, ...]:
    """The guest's interface settings by the adapter they belong to; only synthetic ones have any."""
    macs = {guid: plain_mac(row.text("mac")) for row in machine.rows("nics") for guid in _guids(row.text("id"))[-1:]}
    found = []
    for row in machine.rows("guestNetwork"):
        adapter = _guids(row.text("nic"))
        mac = macs.get(adapter[-1] if adapter else "", "")
        if not mac:
            continue
        found.append(
            GuestAddress(
                mac=mac,
                addresses=_with_prefixes(row.texts("addresses"), row.texts("subnets")),
                gateways=row.texts("gateways"),
                dns=row.texts("dns"),
                dhcp=row.flag("dhcp"),
            )
        )
    return tuple(found)


def _guids(text: str) -> list[str]:
    return _GUID.findall(text.lower())


def _with_prefixes(addresses: tuple[str, ...], subnets: tuple[str, ...]) -> tuple[str, ...]:
    """`ADDRESS/PREFIX`; an address whose mask is missing or no mask is left out, since a guess would cut it off."""
    found = []
    for address, subnet in zip(addresses, subnets, strict=False):
        try:
            interface = ipaddress.ip_interface(f"{address.partition('%')[0]}/{subnet.lstrip('/')}")
        except ValueError:
            continue
        found.append(f"{interface.ip}/{interface.network.prefixlen}")
    return tuple(found)


def read_switches(host: Fields, name: str) -> tuple[SourceNetwork, ...]:
    """The host's switches. A switch does not tag by itself: VLANs are settings of adapters."""
    return tuple(
        SourceNetwork(
            name=row.text("name"),
            kind=row.word("type", SWITCHES).lower() or "external",
            vlan=0,
            switch=row.text("name"),
            uplinks=row.texts("uplinks"),
            internal=row.word("type", SWITCHES) in {"Private", "Internal"},
            hosts=(name,),
        )
        for row in host.rows("switches")
        if row.text("name")
    )
