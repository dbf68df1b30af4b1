# SPDX-License-Identifier: Apache-2.0
"""VIFs of a claimed VM, and networks made on request."""

import logging
from collections.abc import Mapping
from typing import Any

from v2x.errors import Conflict, TargetError, Unsupported, V2xError
from v2x.model.target import TargetNic
from v2x.target.xapi import tags
from v2x.target.xapi.client import Client
from v2x.target.xapi.failures import GONE, passing_gone, xapi_code
from v2x.target.xapi.listing import number, records
from v2x.text import printable

_MADE = "v2x-network"
# A pool of 64 hosts with 800 VLANs has 51,200 PIFs.
_PIF_FIELDS = ("device", "network", "host", "VLAN", "management")
_log = logging.getLogger("v2x.target")


def add_vifs(client: Client, vm: str, nics: tuple[TargetNic, ...]) -> None:
    """Makes the VIFs that are not there yet; one that differs from the plan is made anew."""
    present: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for vif in client.call("VM.get_VIFs", vm):
        record = client.call("VIF.get_record", vif)
        present[str(record.get("device"))] = (str(vif), record)
    missing = []
    for nic in nics:
        network = str(client.call("network.get_by_uuid", nic.network))
        found = present.get(nic.device)
        if found is None:
            missing.append((nic, network))
        elif _differs(found[1], nic, network):
            _remove(client, found[0])
            missing.append((nic, network))
    if missing:
        allowed = {str(device) for device in client.call("VM.get_allowed_VIF_devices", vm)}
        for nic, network in missing:
            if nic.device not in allowed:
                raise Unsupported(
                    f"this pool gives a VM no network device {nic.device}",
                    hint="drop some network adapters in the plan, or update the pool",
                )
            _create(client, vm, nic, network)


def _differs(vif: Mapping[str, Any], nic: TargetNic, network: str) -> bool:
    trunks = {number(vlan) for vlan in vif.get("trunks") or ()}
    return (
        str(vif.get("network")) != network
        or bool(nic.mac and str(vif.get("MAC")).lower() != nic.mac.lower())
        or trunks != set(nic.trunks)
        or str(vif.get("locking_mode")) != nic.locking.value
    )


def _create(client: Client, vm: str, nic: TargetNic, network: str) -> None:
    client.call(
        "VIF.create",
        {
            "device": nic.device,
            "network": network,
            "VM": vm,
            "MAC": nic.mac,
            "MTU": nic.mtu,
            "locking_mode": nic.locking.value,
            "other_config": {},
            "qos_algorithm_type": "",
            "qos_algorithm_params": {},
            # A pool that does not know the field refuses a record that has it.
            **({"trunks": list(nic.trunks)} if nic.trunks else {}),
        },
    )


def _remove(client: Client, vif: str) -> None:
    with passing_gone():
        client.call("VIF.destroy", vif)


def ensure_network(client: Client, name: str, vlan: int | None, uplink: str = "") -> str:
    """The uuid of the network `name`, made where the pool has none; with `vlan`, over `uplink` on every live host.

    `uplink` is a device (eth0) or the uuid of the untagged network of its interfaces; without it, the VLAN goes over
    the interface of the coordinator's management network. An existing network of that name is taken when its VLAN is
    the same. What is made here and cannot be made whole is taken back; what another run left unfinished is found by its
    tag and completed. Conflict when a network of that name differs, or when there are several.
    """
    made = f"{name}:{'' if vlan is None else vlan}"
    pifs, networks = records(client, "PIF", *_PIF_FIELDS), records(client, "network")
    carrier = "" if vlan is None else carrier_of(client, pifs, networks, uplink)
    named = {ref: rec for ref, rec in networks.items() if rec.get("name_label") == name}
    if len(named) > 1:
        uuids = ", ".join(sorted(str(rec.get("uuid")) for rec in named.values()))
        raise Conflict(f"the pool has several networks called {name}: {uuids}", hint="name one by its uuid in the plan")
    if named:
        reference, record = next(iter(named.items()))
        ours = tags.config(record).get(_MADE) == made
        if not (ours and not record.get("PIFs") and vlan is not None):
            _check_vlan(name, vlan, record, pifs)
        if ours and vlan is not None:
            carry(client, reference, carrier, vlan)
        return str(record["uuid"])
    reference = _create_network(client, name, made)
    try:
        if vlan is not None:
            carry(client, reference, carrier, vlan)
        return str(client.call("network.get_uuid", reference))
    except BaseException:
        take_back(client, reference, name)
        raise


def _create_network(client: Client, name: str, made: str) -> str:
    record = {
        "name_label": name,
        "name_description": "made by v2x",
        "MTU": 1500,
        "other_config": {_MADE: made},
        "tags": [],
    }
    return str(client.call("network.create", record))


def carry(client: Client, network: str, carrier: str, vlan: int) -> None:
    """The VLAN on every live host that has the carrier's network; hosts that have it already are left alone.

    TargetError where a live host stays without, as a machine on that network could not run there.
    """
    if not client.call("network.get_PIFs", network):
        client.call("pool.create_VLAN_from_PIF", carrier, network, vlan)
    pifs, hosts, metrics = (
        records(client, "PIF", *_PIF_FIELDS),
        records(client, "host"),
        records(client, "host_metrics"),
    )
    below = str(pifs.get(carrier, {}).get("network"))
    served = {str(pif.get("host")) for pif in pifs.values() if str(pif.get("network")) == network}
    for reference, pif in sorted(pifs.items()):
        host = str(pif.get("host"))
        live = metrics.get(str(hosts.get(host, {}).get("metrics")), {}).get("live")
        if str(pif.get("network")) != below or host in served or not live:
            continue
        client.call("VLAN.create", reference, vlan, network)
        served.add(host)


def take_back(client: Client, network: str, name: str) -> None:
    """Removes a network made a moment ago, with its VLANs; what resists is told, and adopted by the next run."""
    try:
        for pif in client.call("network.get_PIFs", network):
            client.call("VLAN.destroy", client.call("PIF.get_VLAN_master_of", pif))
        client.call("network.destroy", network)
    except V2xError as error:
        if xapi_code(error) not in GONE:
            _log.warning("the network %s is left on the pool half made: %s", printable(name), error)


def _check_vlan(name: str, vlan: int | None, record: Mapping[str, Any], pifs: Mapping[str, Mapping[str, Any]]) -> None:
    found = {number(pifs[str(pif)].get("VLAN", -1)) for pif in record.get("PIFs") or () if str(pif) in pifs}
    if found != ({-1 if vlan is None else vlan} if found or vlan is not None else set()):
        told = ", ".join("untagged" if tag < 0 else str(tag) for tag in sorted(found)) or "internal"
        raise Conflict(
            f"the pool's network {name} is {told}, not VLAN {'none' if vlan is None else vlan}",
            hint="name another network in the plan",
        )


def carrier_of(
    client: Client, pifs: Mapping[str, Mapping[str, Any]], networks: Mapping[str, Mapping[str, Any]], uplink: str
) -> str:
    """The untagged PIF of the coordinator that a VLAN shall go over."""
    master = str(next(iter(records(client, "pool").values()), {}).get("master", ""))
    own = {
        reference: pif
        for reference, pif in pifs.items()
        if str(pif.get("host")) == master and str(pif.get("VLAN", "-1")) == "-1"
    }
    for reference, pif in sorted(own.items()):
        names = (pif.get("device"), networks.get(str(pif.get("network")), {}).get("uuid"))
        if uplink in names if uplink else pif.get("management"):
            return reference
    raise TargetError(
        f"the coordinator has no network interface {uplink}" if uplink else "the coordinator has no untagged interface",
        hint="it has: " + (", ".join(sorted(str(pif.get("device")) for pif in own.values())) or "none"),
    )
