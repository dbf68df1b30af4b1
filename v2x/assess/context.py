# SPDX-License-Identifier: Apache-2.0
"""What a rule may look at: one machine, the estate around it, the target's facts and the mapping tables."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from v2x.assess.guest import family_of
from v2x.model.inventory import Inventory
from v2x.model.machine import Disk, DiskBus, Guest, Machine, Nic, Other
from v2x.model.target import StorageRepository, TargetFacts, TargetHost

FILE_KINDS = frozenset({"ovf", "vmx"})


class GuestRow(Protocol):
    """The part of a row of the guest table that rules read."""

    @property
    def id(self) -> str: ...

    @property
    def template(self) -> str: ...

    @property
    def family(self) -> str: ...


class Tables(Protocol):
    """The part of the mapping tables that rules read."""

    def guest_os(self, guest: Guest) -> GuestRow | None: ...

    def limit(self, name: str) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Estate:
    """The whole inventory with what all rules share; built once by `estate_of`.

    `names` counts machine names, `macs` maps an address to the names of the machines that have it. Of the target,
    `pool_macs` maps an address to the machine that holds it; all target sets are empty where no target was asked.
    """

    inventory: Inventory
    facts: TargetFacts | None
    tables: Tables
    names: Mapping[str, int] = field(default_factory=dict)
    macs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pool_names: frozenset[str] = frozenset()
    pool_macs: Mapping[str, str] = field(default_factory=dict)
    pool_networks: frozenset[str] = frozenset()
    pool_vlans: frozenset[int] = frozenset()
    pool_templates: frozenset[str] = frozenset()
    hosts: tuple[TargetHost, ...] = ()
    storage: tuple[StorageRepository, ...] = ()

    @property
    def offline(self) -> bool:
        """True where the target is a folder of XVA files, not a pool."""
        return self.facts is not None and self.facts.kind == "xva"

    @property
    def from_files(self) -> bool:
        """True where disks are read from files that a running machine would be writing."""
        return self.inventory.source.kind in FILE_KINDS

    @property
    def old_pool(self) -> bool:
        """True for a pool of version 8.2, whose limits are lower."""
        return self.facts is not None and self.facts.version.startswith("8.2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One machine and what surrounds it. `guest_row` is None where no mapping row knows the guest."""

    machine: Machine
    estate: Estate
    guest_row: GuestRow | None = None

    @property
    def facts(self) -> TargetFacts | None:
        return self.estate.facts

    def limit(self, name: str) -> int:
        return self.estate.tables.limit(name)

    @property
    def family(self) -> str:
        """`windows`, `linux`, another family of the guest table, or empty where nothing tells."""
        row_family = self.guest_row.family if self.guest_row is not None else ""
        return row_family or family_of(self.machine.guest)


def context_of(machine: Machine, estate: Estate) -> Context:
    return Context(machine=machine, estate=estate, guest_row=estate.tables.guest_os(machine.guest))


def estate_of(inventory: Inventory, facts: TargetFacts | None, tables: Tables) -> Estate:
    """The estate with its indexes, so that no rule looks through all machines once more."""
    names: dict[str, int] = defaultdict(int)
    holders: dict[str, list[str]] = defaultdict(list)
    for machine in inventory.machines:
        names[machine.name] += 1
        for nic in machine.nics:
            if nic.mac:
                holders[nic.mac.lower()].append(machine.name)
    macs = {mac: tuple(owners) for mac, owners in holders.items()}
    if facts is None:
        return Estate(inventory=inventory, facts=None, tables=tables, names=names, macs=macs)
    return Estate(
        inventory=inventory,
        facts=facts,
        tables=tables,
        names=names,
        macs=macs,
        pool_names=frozenset(facts.machine_names),
        pool_macs={used.mac.lower(): used.machine for used in facts.macs},
        pool_networks=frozenset(network.name.casefold() for network in facts.networks),
        pool_vlans=frozenset(network.vlan for network in facts.networks if network.vlan is not None),
        pool_templates=frozenset(template.reference_label for template in facts.templates),
        hosts=tuple(host for host in facts.hosts if host.enabled),
        storage=tuple(sr for sr in facts.storage if sr.content_type in ("", "user")),
    )


def disk_name(disk: Disk) -> str:
    """How findings name a disk: its label and, where it has one, its place on the bus."""
    bus = disk.bus.text if isinstance(disk.bus, Other) else disk.bus.value
    place = "" if disk.bus is DiskBus.UNKNOWN else f"{bus}{disk.controller}:{disk.unit}"
    label = disk.label or disk.id
    if not place or place in label:
        return label
    return f"{label} ({place})"


def nic_name(nic: Nic) -> str:
    """How findings name a network card; cards are counted from 1 as people do."""
    return nic.label or f"network card {nic.position + 1}"


def needed_bytes(disk: Disk) -> int:
    """The room a disk takes on thin storage: its data where the source tells, else its whole size."""
    known = disk.allocated_bytes if disk.allocated_bytes is not None else disk.capacity_bytes
    return max(0, min(known, disk.capacity_bytes))


def xapi_release(context: Context) -> tuple[int, int] | None:
    """Major and minor number of the pool's xapi, None where no pool was asked or it does not tell."""
    facts = context.facts
    parts = facts.xapi_version.split(".") if facts is not None else []
    if len(parts) < 2 or not (parts[0].isdecimal() and parts[1].isdecimal()):
        return None
    return int(parts[0]), int(parts[1])


def has_old_xapi(context: Context) -> bool:
    """True for a pool that surely takes only the lower number of network cards (xapi up to 25.6)."""
    release = xapi_release(context)
    return context.estate.old_pool or (release is not None and release <= (25, 6))


def has_new_xapi(context: Context) -> bool:
    """True for a pool that surely takes the higher number of network cards (xapi from 25.33)."""
    release = xapi_release(context)
    return release is not None and release >= (25, 33)
