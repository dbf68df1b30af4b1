# SPDX-License-Identifier: Apache-2.0
"""What ties machines together, and how they start: DRS rules, vApps, automatic start, HA priorities, shared disks."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from v2x.model.inventory import MachineGroup, Together
from v2x.model.machine import Disk, Machine
from v2x.sources.vsphere.machine import Start
from v2x.sources.vsphere.names import decoded
from v2x.sources.vsphere.pages import TYPE, Plain, Ref, at, dicts, flag, number, reference, text
from v2x.sources.vsphere.surroundings import Surroundings, references

NameOf = Callable[[Ref | None], str]
_RULES = {
    "ClusterAffinityRuleSpec": Together.AFFINITY,
    "ClusterAntiAffinityRuleSpec": Together.ANTI_AFFINITY,
}


def read_starts(near: Surroundings) -> dict[str, Start]:
    """How machines start, by moref: with their vApp, or with a host that starts them itself."""
    starts: dict[str, Start] = {}
    for host in near.kind("HostSystem"):
        for one in dicts(at(host.values, "config.autoStart", "powerInfo")):
            _add(starts, one, one.get("key"))
    for app in near.kind("VirtualApp"):
        for one in dicts(app.values.get("vAppConfig.entityConfig")):
            _add(starts, one, one.get("key"))
    return starts


def _add(starts: dict[str, Start], row: Plain, key: Any) -> None:
    """An order of -1 stands for none."""
    if not isinstance(key, Ref):
        return
    order, delay = number(row, "startOrder"), number(row, "startDelay")
    starts[key.id] = Start(
        order=order if order is not None and order >= 0 else None,
        delay_seconds=delay if delay is not None and delay >= 0 else None,
        start_action=text(row, "startAction"),
        stop_action=text(row, "stopAction"),
    )


def read_priorities(near: Surroundings) -> dict[str, str]:
    """HA restart priorities by moref, where a machine has another one than its cluster."""
    found: dict[str, str] = {}
    for cluster in near.kind("ClusterComputeResource"):
        config = cluster.values.get("configurationEx")
        for one in dicts(at(config, "dasVmConfig")):
            ref = reference(one, "key")
            priority = text(one, "dasSettings", "restartPriority") or text(one, "restartPriority")
            if ref and priority and priority != "clusterRestartPriority":
                found[ref.id] = priority
    return found


def read_groups(
    near: Surroundings, machines: Iterable[Machine], datacenters: Mapping[str, str]
) -> tuple[MachineGroup, ...]:
    """Groups of two or more listed machines, and ties to hosts. `datacenters` are those of machines by moref."""
    machines = tuple(machines)
    ids = {machine.reference: machine.id for machine in machines}
    found = [*_rules(near, ids), *_vapps(machines), *_shared(machines, datacenters)]
    return tuple(one for one in found if len(one.machines) > 1 or (one.machines and one.hosts))


def _rules(near: Surroundings, ids: Mapping[str, str]) -> Iterator[MachineGroup]:
    for cluster in near.kind("ClusterComputeResource"):
        config = cluster.values.get("configurationEx")
        groups = {text(one, "name"): one for one in dicts(at(config, "group"))}
        for rule in dicts(at(config, "rule")):
            if flag(rule, "enabled") is False:
                continue
            kind, name = text(rule, TYPE), decoded(text(rule, "name"))
            mandatory = flag(rule, "mandatory") is True
            if kind in _RULES:
                members = _ids(references(rule.get("vm")), ids)
                yield MachineGroup(name=name, kind=_RULES[kind], machines=members, mandatory=mandatory)
            elif kind == "ClusterVmHostRuleInfo":
                members = _ids(references(at(groups.get(text(rule, "vmGroupName")), "vm")), ids)
                hosts = references(at(groups.get(text(rule, "affineHostGroupName")), "host"))
                if hosts:
                    yield MachineGroup(
                        name=name,
                        kind=Together.HOST_AFFINITY,
                        machines=members,
                        hosts=tuple(near.name(one) for one in hosts),
                        mandatory=mandatory,
                    )


def _ids(refs: Iterable[Ref], ids: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(ids[one.id] for one in refs if one.id in ids)


def _vapps(machines: Iterable[Machine]) -> Iterator[MachineGroup]:
    members: dict[str, list[str]] = {}
    for machine in machines:
        if machine.group:
            members.setdefault(machine.group, []).append(machine.id)
    for name, ids in members.items():
        yield MachineGroup(name=name, kind=Together.VAPP, machines=tuple(ids))


def _shared(machines: Iterable[Machine], datacenters: Mapping[str, str]) -> Iterator[MachineGroup]:
    """Machines that have one disk in common; a lent one is no common property."""
    holders: dict[tuple[str, str], dict[str, Disk]] = {}
    for machine in machines:
        for disk in machine.disks:
            if disk.files and not disk.lent_by:
                place = datacenters.get(machine.reference, ""), disk.files[0]
                holders.setdefault(place, {})[machine.id] = disk
    for (_, file), held in holders.items():
        if len(held) > 1:
            yield MachineGroup(name=file, kind=Together.SHARED_DISK, machines=tuple(held), mandatory=True)
