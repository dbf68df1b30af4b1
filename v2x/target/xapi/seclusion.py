# SPDX-License-Identifier: Apache-2.0
"""Where test copies run: one isolated network for each network of the source, and the host that they all run on.

A network without an interface exists inside each host by itself, so machines that are to see each other run on one.
With spare VLANs they may run anywhere. The networks carry the test cutover's tags from their making on; nothing that
did not come from here is ever taken for one, whatever its name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from v2x.errors import Conflict, NoSpace, TargetError
from v2x.model.rehearsal import Seclusion, Stage
from v2x.model.units import show_bytes
from v2x.target.interface import Claim
from v2x.target.xapi import tags, vdi
from v2x.target.xapi.client import Client
from v2x.target.xapi.failures import passing_gone
from v2x.target.xapi.hosts import obstacle
from v2x.target.xapi.listing import number, records
from v2x.target.xapi.network import carrier_of, carry, take_back
from v2x.text import printable

_NAME_CHARS = 255
Records = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class _Needs:
    """What machines that are to be started ask of a host: bytes of memory, and references of SRs."""

    memory_bytes: int
    storage: frozenset[str]


def seclude(client: Client, stage: Stage, claims: Sequence[Claim]) -> Seclusion:
    """As Rehearses.seclude; `claims` are those whose copies do not run yet."""
    found = _found(client, stage.id)
    needs, carrier = _needs(client, claims), ""
    if stage.vlans:
        carrier = carrier_of(client, records(client, "PIF"), records(client, "network"), stage.uplink)
        _check_vlans(client, stage, found)
        _check_memory(client, needs)
        host, where = "", "VLAN " + ", ".join(str(vlan) for vlan in sorted(stage.vlans.values()))
    else:
        host, where = _host(client, stage, found, needs)
    networks = {}
    for key, name in stage.networks.items():
        reference = found[key][0] if key in found else _make(client, stage, key, name, host)
        if carrier:
            carry(client, reference, carrier, stage.vlans[key])
        networks[key] = str(client.call("network.get_uuid", reference))
    return Seclusion(id=stage.id, networks=networks, host=host, where=where, vlans=stage.vlans)


def _found(client: Client, id: str) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """The networks of a test cutover, by the keys of what they stand for."""
    return {
        tags.config(record).get(tags.TEST_NETWORK, ""): (reference, record)
        for reference, record in records(client, "network").items()
        if tags.config(record).get(tags.TEST) == id
    }


def _make(client: Client, stage: Stage, key: str, name: str, host: str) -> str:
    own = {tags.TEST: stage.id, tags.TEST_NETWORK: key, tags.TEST_HOST: host}
    vlan = str(stage.vlans.get(key, ""))
    record = {
        "name_label": f"[test] {name}"[:_NAME_CHARS],
        "name_description": "isolated network of a test cutover of v2x, removed with its machines",
        "MTU": 1500,
        "other_config": {**own, tags.TEST_VLAN: vlan},
        "tags": [],
    }
    return str(client.call("network.create", record))


def _check_vlans(client: Client, stage: Stage, found: Mapping[str, tuple[str, Mapping[str, Any]]]) -> None:
    """Conflict for a VLAN that any network of the pool has, of whatever interface, unless it is this test's own."""
    own = {reference: stage.vlans.get(key) for key, (reference, _) in found.items()}
    names = records(client, "network")
    for pif in records(client, "PIF").values():
        vlan, network = number(pif.get("VLAN", -1)), str(pif.get("network"))
        if vlan in stage.vlans.values() and own.get(network) != vlan:
            raise Conflict(
                f"VLAN {vlan} is no spare one: the pool's network {names.get(network, {}).get('name_label')} has it",
                hint="name a VLAN that nothing uses, on the pool or on its switches",
                code="TEST-VLAN-USED",
            )
    for key, (_, record) in found.items():
        held = tags.config(record).get(tags.TEST_VLAN, "")
        if key in stage.vlans and held != str(stage.vlans[key]):
            raise _elsewhere(f"VLAN {held}" if held else "one host")


def _host(
    client: Client, stage: Stage, found: Mapping[str, tuple[str, Mapping[str, Any]]], needs: _Needs
) -> tuple[str, str]:
    """Uuid of the one host of a test, and how to call it: where it runs already, the wanted one, or the emptiest."""
    hosts = records(client, "host")
    free = _free(client, hosts)
    wanted = {ref: host for ref, host in hosts.items() if stage.host in (host.get("uuid"), host.get("name_label"))}
    if stage.host and not wanted:
        names = ", ".join(sorted(str(host.get("name_label")) for host in hosts.values()))
        raise TargetError(f"the pool has no host {stage.host}", hint=f"it has: {names}", code="NO-HOST")
    settled = {tags.config(record).get(tags.TEST_HOST, "") for _, record in found.values()}
    if settled:
        here = {ref: host for ref, host in hosts.items() if host.get("uuid") in settled}
        if not here or (wanted and wanted.keys() != here.keys()):
            raise _elsewhere(", ".join(str(host.get("name_label")) for host in here.values()) or "VLANs")
        wanted = here
    able = [ref for ref in (wanted or hosts) if ref in free and needs.storage <= _storage(client, hosts[ref])]
    best = max(able, key=lambda ref: free[ref], default="")
    if not best:
        raise TargetError(
            "no enabled host sees all the storage that the test copies lie on",
            hint="test fewer machines at once, or give spare VLANs (--vlan), so that they may run on several hosts",
            code="TEST-NO-HOST",
        )
    name = str(hosts[best].get("name_label"))
    if free[best] < needs.memory_bytes:
        raise _no_memory(name, free[best], needs)
    return str(hosts[best].get("uuid")), name


def _elsewhere(where: str) -> Conflict:
    return Conflict(
        f"the test cutover of this batch runs on {where} already",
        hint="leave it there, or end it first (v2x batch test --end)",
        code="TEST-ELSEWHERE",
    )


def _no_memory(where: str, free_bytes: int, needs: _Needs) -> NoSpace:
    return NoSpace(
        f"{where} has {show_bytes(free_bytes)} of memory free; the test copies need {show_bytes(needs.memory_bytes)}",
        hint="test fewer machines at once, or name another host (--host)",
        code="TEST-NO-MEMORY",
    )


def _check_memory(client: Client, needs: _Needs) -> None:
    free = sum(_free(client, records(client, "host")).values())
    if free < needs.memory_bytes:
        raise _no_memory("the pool", free, needs)


def _free(client: Client, hosts: Records) -> dict[str, int]:
    """Bytes of memory free on the hosts that take new machines."""
    metrics = records(client, "host_metrics")
    found = {}
    for reference, host in hosts.items():
        own = metrics.get(str(host.get("metrics")), {})
        if not obstacle(host, live=bool(own.get("live", True))):
            found[reference] = number(own.get("memory_free"))
    return found


def _storage(client: Client, host: Mapping[str, Any]) -> frozenset[str]:
    """References of the SRs that a host sees."""
    pbds = records(client, "PBD")
    own = (pbds[str(pbd)] for pbd in host.get("PBDs") or () if str(pbd) in pbds)
    return frozenset(str(pbd.get("SR")) for pbd in own if pbd.get("currently_attached"))


def _needs(client: Client, claims: Sequence[Claim]) -> _Needs:
    memory, storage = 0, set()
    for claim in claims:
        reference = str(client.call("VM.get_by_uuid", claim.id))
        record = client.call("VM.get_record", reference)
        memory += number(record.get("memory_static_max")) + number(client.call("VM.compute_memory_overhead", reference))
        storage |= {str(own["SR"]) for _, own in vdi.of_machine(client, record, claim.tag)}
    return _Needs(memory, frozenset(storage))


def strike(client: Client, id: str) -> tuple[str, ...]:
    """As Rehearses.strike. A network that somebody else's machine is on becomes that one's: it only loses the tags."""
    said = []
    for reference, record in _found(client, id).values():
        name = printable(str(record.get("name_label")))
        with passing_gone():  # of machines whose copies end at once, one takes the network back
            others = _others(client, reference)
            if not others:
                take_back(client, reference, name)
                continue
            for key in (tags.TEST, tags.TEST_NETWORK, tags.TEST_HOST, tags.TEST_VLAN):
                tags.drop(client, "network", reference, key)
            said.append(f"the network {name} stays on the pool: {', '.join(map(printable, others))} is on it")
    return tuple(said)


def _others(client: Client, network: str) -> list[str]:
    names = []
    for vif in client.call("network.get_VIFs", network):
        with passing_gone():
            names.append(str(client.call("VM.get_name_label", client.call("VIF.get_VM", vif))))
    return sorted(names)


def assert_secluded(client: Client, vm: str, name: str, seclusion: Seclusion) -> None:
    """Conflict unless every adapter of the VM is on a network of the test, and each of these leads nowhere else.

    Read from the pool right before a start, whatever was made there before.
    """
    for vif in client.call("VM.get_VIFs", vm):
        record = client.call("network.get_record", client.call("VIF.get_network", vif))
        own = tags.config(record)
        key = own.get(tags.TEST_NETWORK, "")
        ours = own.get(tags.TEST) == seclusion.id and seclusion.networks.get(key) == record.get("uuid")
        allowed = {seclusion.vlans[key]} if key in seclusion.vlans else set()
        carried = {number(client.call("PIF.get_VLAN", pif)) for pif in record.get("PIFs") or ()}
        if not ours or not carried <= allowed:
            raise Conflict(
                f"{name} is not started: an adapter is on {record.get('name_label')}, which is no isolated network",
                hint="somebody moved it: v2x batch test --end, then again",
                code="TEST-NOT-ISOLATED",
            )
