# SPDX-License-Identifier: Apache-2.0
"""What of a source may be retired with machines that were moved for good, from saved facts alone."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from v2x.assess.backup import marks_of, product_of_snapshot
from v2x.model.decommission import Emptied, Retired
from v2x.model.inventory import Inventory
from v2x.model.machine import Machine
from v2x.model.plan import PlanRow
from v2x.plan.relations import Key

_PATHS = ("vsphere.path", "path")
"""Attributes that name a machine's configuration file, or its folder (Hyper-V)."""


def retired(machine: Machine, row: PlanRow, target_name: str, vm_uuid: str) -> Retired:
    """What is known of one finalized machine."""
    return Retired(
        source=row.source,
        name=machine.name,
        machine_id=machine.id,
        target_name=target_name,
        vm_uuid=vm_uuid,
        host=machine.host,
        cluster=machine.cluster,
        folder=machine.folder,
        reference=machine.reference,
        files=_once([*_homes(machine), *(file for disk in machine.disks if not disk.lent_by for file in disk.files)]),
        datastores=tuple(sorted(datastores_of(machine))),
        snapshots=_once(one.name for one in machine.snapshots if not product_of_snapshot(one)),
        backups=_once(_backups(machine)),
        names=_once([machine.guest.hostname]),
        addresses=_once(_addresses(machine)),
        others=_once(_others(machine, row)),
        todos=_once(part.strip() for part in row.retire.split(";")),
        checks=row.checks,
        note=row.note,
        change=row.change,
    )


def _once(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for word in words if word))


def _homes(machine: Machine) -> list[str]:
    return [machine.attributes[key] for key in _PATHS if machine.attributes.get(key)]


def _backups(machine: Machine) -> Iterator[str]:
    for product, where in marks_of(machine):
        yield f"{product}: {where}"
    for one in machine.snapshots:
        product = product_of_snapshot(one)
        if product:
            yield f"{product}: snapshot {one.name}"
    if machine.replication:
        yield f"replication: {machine.replication}"


def _addresses(machine: Machine) -> Iterator[str]:
    told = {one.mac.lower(): one for one in machine.guest.addresses}
    for nic in machine.nics:
        guest = told.get(nic.mac.lower())
        ips = _once([*nic.ip_addresses, *(guest.addresses if guest else ())])
        how = "" if guest is None or guest.dhcp is None else ", by DHCP" if guest.dhcp else ", fixed"
        shown = f"{', '.join(ips)} ({nic.mac or 'no MAC address'} on {nic.network or 'no network'}{how})"
        yield shown if ips else f"{nic.mac} on {nic.network or 'no network'}" if nic.mac else ""
    known = {one.partition("/")[0] for nic in machine.nics for one in nic.ip_addresses}
    known |= {one.partition("/")[0] for guest in machine.guest.addresses for one in guest.addresses}
    yield from (one for one in machine.guest.ip_addresses if one.partition("/")[0] not in known)


def _others(machine: Machine, row: PlanRow) -> Iterator[str]:
    yield from (f"group or rule {group}" for group in row.groups)
    if machine.group:
        yield f"vApp or start order {machine.group}"
    if machine.cluster_role:
        yield "its role in the failover cluster"
    if machine.ha_priority:
        yield f"HA priority {machine.ha_priority}"
    if machine.start_action:
        yield f"automatic start ({machine.start_action})"
    yield from (f"tag {tag}" for tag in machine.tags)


def datastores_of(machine: Machine) -> set[str]:
    """The datastores that a machine's disks, configuration and CDs lie on."""
    named = {_bracketed(path) for path in (*_homes(machine), *(cd.image for cd in machine.cd_drives))}
    return (named | {disk.datastore for disk in machine.disks if not disk.lent_by}) - {""}


def _bracketed(path: str) -> str:
    """The datastore of `[datastore] folder/file`; empty for another form."""
    return path[1 : path.index("]")] if path.startswith("[") and "]" in path else ""


def emptied(inventories: Mapping[str, Inventory], finalized: Collection[Key]) -> list[Emptied]:
    """The datastores that finalized machines (source, id) lie on, by what the inventories list on them."""
    return [
        one
        for source, inventory in inventories.items()
        for place, machines in sorted(_held(inventory).items())
        if (one := _emptied(source, inventory, place, machines, finalized)) is not None
    ]


def _held(inventory: Inventory) -> dict[tuple[str, str], list[Machine]]:
    """Machines by datastore and, where each host has its own of that name, by host."""
    shared: dict[str, set[bool | None]] = defaultdict(set)
    for store in inventory.datastores:
        shared[store.name].add(store.shared)
    found: dict[tuple[str, str], list[Machine]] = defaultdict(list)
    for machine in inventory.machines:
        for name in datastores_of(machine):
            found[name, machine.host if shared[name] == {False} else ""].append(machine)
    return found


def _emptied(
    source: str, inventory: Inventory, place: tuple[str, str], machines: list[Machine], finalized: Collection[Key]
) -> Emptied | None:
    name, host = place
    gone = [one for one in machines if (source, one.id) in finalized]
    if not gone:
        return None
    stores = [one for one in inventory.datastores if one.name == name and (not host or host in one.hosts)]
    used = None
    if len(stores) == 1 and stores[0].capacity_bytes is not None and stores[0].free_bytes is not None:
        used = stores[0].capacity_bytes - stores[0].free_bytes
    disks = (disk for one in machines for disk in one.disks if disk.datastore == name and not disk.lent_by)
    return Emptied(
        source=source,
        name=f"{name} of {host}" if host else name,
        machines=tuple(one.name for one in gone),
        holders=tuple(one.name for one in machines if (source, one.id) not in finalized),
        used_bytes=used,
        known_bytes=sum(disk.used_bytes for disk in disks),
    )
