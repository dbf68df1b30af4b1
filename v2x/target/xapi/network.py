# SPDX-License-Identifier: Apache-2.0
"""VIFs of a claimed VM, and networks made on request."""

from collections.abc import Mapping
from typing import Any

from v2x.errors import Conflict, TargetError, Unsupported, V2xError
from v2x.model.target import TargetNic
from v2x.target.xapi import tags
from v2x.target.xapi.client import Client
from v2x.target.xapi.facts import number, records
from v2x.target.xapi.failures import GONE, xapi_code

_MADE = "v2x-network"


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
        elif (
            str(found[1].get("network")) != network
            or (nic.mac and str(found[1].get("MAC")).lower() != nic.mac.lower())
            or str(found[1].get("locking_mode")) != nic.locking.value
        ):
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
        },
    )


def _remove(client: Client, vif: str) -> None:
    try:
        client.call("VIF.destroy", vif)
    except V2xError as error:
        if xapi_code(error) not in GONE:
            raise


def ensure_network(client: Client, name: str, vlan: int | None, device: str = "") -> str:
    """The uuid of the network `name`, made where the pool has none; with `vlan`, on every host's physical `device`.

    Without `device`, the VLAN goes over the interface of the coordinator's management network. An existing network of
    that name is taken when its VLAN is the same. Conflict when it differs, or when there are several of that name.
    """
    made = f"{name}:{'' if vlan is None else vlan}"
    pifs = records(client, "PIF")
    named = {ref: rec for ref, rec in records(client, "network").items() if rec.get("name_label") == name}
    if len(named) > 1:
        uuids = ", ".join(sorted(str(rec.get("uuid")) for rec in named.values()))
        raise Conflict(f"the pool has several networks called {name}: {uuids}", hint="name one by its uuid in the plan")
    if named:
        reference, record = next(iter(named.items()))
        unfinished = tags.config(record).get(_MADE) == made and not record.get("PIFs")
        if not (unfinished and vlan is not None):
            _check_vlan(name, vlan, record, pifs)
            return str(record["uuid"])
    else:
        reference = str(
            client.call(
                "network.create",
                {
                    "name_label": name,
                    "name_description": "made by v2x",
                    "MTU": 1500,
                    "other_config": {_MADE: made},
                    "tags": [],
                },
            )
        )
    if vlan is not None:
        client.call("pool.create_VLAN_from_PIF", _carrier(client, pifs, device), reference, vlan)
    return str(client.call("network.get_uuid", reference))


def _check_vlan(name: str, vlan: int | None, record: Mapping[str, Any], pifs: Mapping[str, Mapping[str, Any]]) -> None:
    found = {number(pifs[str(pif)].get("VLAN", -1)) for pif in record.get("PIFs") or () if str(pif) in pifs}
    if found != ({-1 if vlan is None else vlan} if found or vlan is not None else set()):
        told = ", ".join("untagged" if tag < 0 else str(tag) for tag in sorted(found)) or "internal"
        raise Conflict(
            f"the pool's network {name} is {told}, not VLAN {'none' if vlan is None else vlan}",
            hint="name another network in the plan",
        )


def _carrier(client: Client, pifs: Mapping[str, Mapping[str, Any]], device: str) -> str:
    """The untagged PIF of the coordinator that a VLAN shall go over."""
    master = str(next(iter(records(client, "pool").values()), {}).get("master", ""))
    own = {
        reference: pif
        for reference, pif in pifs.items()
        if str(pif.get("host")) == master and str(pif.get("VLAN", "-1")) == "-1"
    }
    for reference, pif in sorted(own.items()):
        if pif.get("device") == device if device else pif.get("management"):
            return reference
    raise TargetError(
        f"the coordinator has no network interface {device}" if device else "the coordinator has no untagged interface",
        hint="; ".join(sorted(str(pif.get("device")) for pif in own.values())),
    )
