# SPDX-License-Identifier: Apache-2.0
"""What a rule may look at: one machine, the estate around it, the target's facts and the mapping tables."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

from v2x.assess.guest import family_of
from v2x.mapping.mac import plain_mac
from v2x.mapping.networks import NetworkChoice, Origin, Places, resolve_network
from v2x.mapping.rows import Family, GuestOsRow
from v2x.mapping.tables import Tables
from v2x.model.forecast import DEFAULT_PACE, Pace
from v2x.model.inventory import Datastore, Inventory, MachineGroup, SourceCluster, SourceHost, SourceNetwork
from v2x.model.machine import Disk, DiskBus, Machine, Nic, Other
from v2x.model.placement import Rules
from v2x.model.target import StorageRepository, TargetFacts, TargetHost, TargetNetwork

FILE_KINDS = frozenset({"ovf", "vmx", "folder", "hyperv-folder"})
VMWARE_KINDS = frozenset({"vsphere", "rvtools"})
HYPERV_KINDS = frozenset({"hyperv", "hyperv-folder"})
_OLDEST, _OLDEST_XAPI = "8.2", "1.249"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What rules ask of the target; all empty where no target was asked.

    `macs` maps an address to the machine that holds it, `networks` are names without case, `hosts` are enabled, and
    `storage` holds disks.
    """

    names: frozenset[str] = frozenset()
    macs: Mapping[str, str] = field(default_factory=dict)
    networks: frozenset[str] = frozenset()
    vlans: frozenset[int] = frozenset()
    templates: frozenset[str] = frozenset()
    hosts: tuple[TargetHost, ...] = ()
    storage: tuple[StorageRepository, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Estate:
    """The whole inventory with what all rules share; built once by `estate_of`.

    `names` counts machine names, `macs` maps an address to the names of the machines that have it. `limit` gives a
    limit of mappings/limits.toml for the target's version, or the newest one's where no target was asked;
    `lowest_limit` that of the oldest release that v2x moves to, for pools whose release is not known. `places` are
    the user's rules and the source's networks. `groups` are those that a machine, by id, is in. `pace` is how fast
    disks are taken to travel.
    """

    inventory: Inventory
    facts: TargetFacts | None
    tables: Tables
    limit: Callable[[str], int]
    lowest_limit: Callable[[str], int]
    names: Mapping[str, int]
    macs: Mapping[str, tuple[str, ...]]
    pool: Pool
    places: Places
    folded_names: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, tuple[MachineGroup, ...]] = field(default_factory=dict)
    machine_names: Mapping[str, str] = field(default_factory=dict)
    hosts: Mapping[str, SourceHost] = field(default_factory=dict)
    clusters: Mapping[str, SourceCluster] = field(default_factory=dict)
    datastores: Mapping[str, Datastore] = field(default_factory=dict)
    pace: Pace = DEFAULT_PACE

    @property
    def offline(self) -> bool:
        """True where the target is a folder of XVA files, not a pool."""
        return self.facts is not None and self.facts.kind == "xva"

    @property
    def kind(self) -> str:
        return self.inventory.source.kind

    @property
    def from_vmware(self) -> bool:
        """True where vCenter or a host of VMware was asked, if by way of an export."""
        return self.kind in VMWARE_KINDS

    @property
    def from_hyperv(self) -> bool:
        """True for hosts of Hyper-V that were asked, and for folders that they exported to."""
        return self.kind in HYPERV_KINDS

    @property
    def is_live(self) -> bool:
        """True where the source was asked while it ran, and knows states that no file tells."""
        return self.from_vmware or self.kind == "hyperv"

    @property
    def from_files(self) -> bool:
        """True where disks are read from files that a running machine would be writing."""
        return self.inventory.source.kind in FILE_KINDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One machine and what surrounds it. `guest_row` is None where no mapping row knows the guest.

    `family` is `windows`, `linux`, another family of the guest table, or empty where nothing tells.
    """

    machine: Machine
    estate: Estate
    guest_row: GuestOsRow | None = None
    family: str = ""

    @property
    def facts(self) -> TargetFacts | None:
        return self.estate.facts

    def limit(self, name: str) -> int:
        return self.estate.limit(name)

    @property
    def has_pv_drivers(self) -> bool:
        """True for guests whose kernel brings Xen's disk and network drivers along."""
        return self.family in ("linux", "bsd")

    def origin(self, nic: Nic) -> Origin:
        """What is known of the network a card is on: its VLAN, trunk and switch."""
        return self.estate.places.origin(nic, self.machine)

    def source_network(self, nic: Nic) -> SourceNetwork | None:
        """The source's record of the network a card is on; None where there is none, or several that differ."""
        return self.estate.places.source_network(nic, self.machine)

    @property
    def knows_release(self) -> bool:
        """True where the target told the version of its product."""
        return self.facts is not None and bool(self.facts.version)

    @property
    def knows_xapi(self) -> bool:
        """True where the target told its xapi version."""
        return self.facts is not None and bool(self.facts.xapi_version)

    @property
    def groups(self) -> tuple[MachineGroup, ...]:
        """The groups of the source that the machine is in."""
        return self.estate.groups.get(self.machine.id, ())

    @property
    def host(self) -> SourceHost | None:
        """The source's record of the host that the machine is on."""
        return self.estate.hosts.get(self.machine.host)


def context_of(machine: Machine, estate: Estate) -> Context:
    row = estate.tables.guest_os(machine.guest)
    known = row is not None and row.family is not Family.OTHER
    family = row.family.value if row is not None and known else family_of(machine.guest)
    return Context(machine=machine, estate=estate, guest_row=row, family=family)


def estate_of(
    inventory: Inventory,
    facts: TargetFacts | None,
    tables: Tables,
    rules: Rules | None = None,
    pace: Pace = DEFAULT_PACE,
) -> Estate:
    """The estate with its indexes, so that no rule looks through all machines once more."""
    names: dict[str, int] = defaultdict(int)
    folded: dict[str, set[str]] = defaultdict(set)
    holders: dict[str, list[str]] = defaultdict(list)
    groups: dict[str, list[MachineGroup]] = defaultdict(list)
    for group in inventory.groups:
        for member in group.machines:
            groups[member].append(group)
    for machine in inventory.machines:
        names[machine.name] += 1
        folded[machine.name.casefold()].add(machine.name)
        for nic in machine.nics:
            if mac := plain_mac(nic.mac):
                holders[mac].append(machine.name)
    return Estate(
        inventory=inventory,
        facts=facts,
        tables=tables,
        limit=_limits(facts, tables),
        lowest_limit=cache(lambda name: tables.limit(name, product=_OLDEST, xapi=_OLDEST_XAPI)),
        names=names,
        macs={mac: tuple(owners) for mac, owners in holders.items()},
        pool=Pool() if facts is None else _pool_of(facts),
        places=Places(rules, inventory.networks),
        folded_names={name: len(spellings) for name, spellings in folded.items()},
        groups={member: tuple(found) for member, found in groups.items()},
        machine_names={machine.id: machine.name for machine in inventory.machines},
        hosts={host.name: host for host in inventory.hosts},
        clusters={cluster.name: cluster for cluster in inventory.clusters},
        datastores={store.name: store for store in inventory.datastores},
        pace=pace,
    )


def _limits(facts: TargetFacts | None, tables: Tables) -> Callable[[str], int]:
    product, xapi = (facts.version, facts.xapi_version) if facts is not None else ("", "")
    return cache(lambda name: tables.limit(name, product=product, xapi=xapi))


def _pool_of(facts: TargetFacts) -> Pool:
    return Pool(
        names=frozenset(facts.machine_names),
        macs={plain_mac(used.mac): used.machine for used in facts.macs if plain_mac(used.mac)},
        networks=frozenset(network.name.casefold() for network in facts.networks),
        vlans=frozenset(network.vlan for network in facts.networks if network.vlan is not None),
        templates=frozenset(template.reference_label for template in facts.templates),
        hosts=tuple(host for host in facts.hosts if host.enabled),
        storage=tuple(sr for sr in facts.storage if sr.content_type in ("", "user")),
    )


def disk_name(disk: Disk) -> str:
    """How findings name a disk: its label and, where it has one, its place on the bus."""
    bus = f"{disk.bus.text} " if isinstance(disk.bus, Other) else disk.bus.value
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


def free_bytes(storage: tuple[StorageRepository, ...]) -> int | None:
    """The free space of all repositories together; None without any, or where one does not tell its size."""
    if not storage or any(repository.size_bytes <= 0 for repository in storage):
        return None
    return sum(repository.free_bytes for repository in storage)


def mapped_networks(context: Context) -> Iterator[tuple[Nic, TargetNetwork]]:
    """The cards whose network on the pool is certain, with it."""
    facts = context.facts
    if facts is None:
        return
    for nic in context.machine.nics:
        found = resolve_network(nic, context.machine, facts, context.estate.places)
        if isinstance(found, NetworkChoice):
            yield nic, found.network
