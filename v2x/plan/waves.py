# SPDX-License-Identifier: Apache-2.0
"""Suggests in which waves to move machines: a small pilot first, what belongs together in one wave, nights that fit.

Machines of a vApp, an affinity rule, a shared disk go in one wave. Members of a failover cluster, machines that a rule
keeps apart, and domain controllers go in different ones, so that a service never moves as a whole.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from v2x.model.finding import Verdict
from v2x.model.inventory import Inventory, MachineGroup, Together

PILOT_MACHINES = 3
WAVE_MACHINES = 25
WAVE_SECONDS = 8 * 3600
_JOINED = (Together.AFFINITY, Together.SHARED_DISK, Together.VAPP)
_APART = (Together.ANTI_AFFINITY, Together.FAILOVER_CLUSTER)


@dataclass(slots=True)
class _Parcel:
    """Machines that go together."""

    machines: list[str]
    seconds: int
    rank: int
    apart: frozenset[str]
    why: str = ""

    @property
    def order(self) -> tuple[int, int, str]:
        return (self.rank, self.seconds, self.machines[0])


@dataclass(slots=True)
class _Load:
    reason: str
    parcels: list[_Parcel] = field(default_factory=list)
    seconds: int = 0
    count: int = 0
    apart: set[str] = field(default_factory=set)

    def takes(self, parcel: _Parcel) -> bool:
        if self.apart & parcel.apart:
            return False
        fits = self.seconds + parcel.seconds <= WAVE_SECONDS and self.count + len(parcel.machines) <= WAVE_MACHINES
        return fits or not self.parcels

    def is_full(self, parcel: _Parcel) -> bool:
        """Whether there is no room for `parcel`, nor for any that takes as long."""
        return bool(self.parcels) and (self.seconds + parcel.seconds > WAVE_SECONDS or self.count >= WAVE_MACHINES)

    def add(self, parcel: _Parcel) -> None:
        self.parcels.append(parcel)
        self.seconds += parcel.seconds
        self.count += len(parcel.machines)
        self.apart |= parcel.apart


def suggest_waves(
    inventory: Inventory,
    verdicts: Mapping[str, Verdict],
    seconds: Mapping[str, int],
    controllers: Iterable[str] = (),
) -> list[tuple[str, tuple[str, ...]]]:
    """(reason, machine ids) of each wave, the first to go first; blocked machines are in none.

    `seconds` is what each machine's copy takes, `controllers` are ids of domain controllers. What is ready goes before
    what needs changes, that before what is unknown; within these the small before the large.
    """
    movable = [one.id for one in inventory.machines if verdicts[one.id] is not Verdict.BLOCKED]
    parcels = sorted(
        _parcels(movable, inventory.groups, verdicts, seconds, set(controllers)), key=lambda one: one.order
    )
    pilot = _Load("pilot: a few small machines, to learn from")
    for parcel in parcels:
        if parcel.rank == 0 and len(parcel.machines) == 1 and not parcel.apart and pilot.count < PILOT_MACHINES:
            pilot.add(parcel)
    taken = {id(parcel) for parcel in pilot.parcels}
    loads = _fill([parcel for parcel in parcels if id(parcel) not in taken])
    return [
        (load.reason, tuple(machine for parcel in load.parcels for machine in parcel.machines))
        for load in (pilot, *loads)
        if load.parcels
    ]


_REASONS = {
    0: "ready as they are",
    1: "ready once what the report says is done",
    2: "to be looked at: facts are missing",
}


def _fill(parcels: Sequence[_Parcel]) -> list[_Load]:
    """Fills waves one after the other; a parcel that must keep apart from one in the wave waits for the next."""
    loads: list[_Load] = []
    waiting = list(parcels)
    while waiting:
        rank = waiting[0].rank
        load = _Load(_REASONS[rank])
        left: list[_Parcel] = []
        for at, parcel in enumerate(waiting):
            if load.is_full(parcel):  # those after it are no smaller
                left += waiting[at:]
                break
            if parcel.rank == rank and load.takes(parcel):
                load.add(parcel)
            else:
                left.append(parcel)
        tied = sorted({parcel.why for parcel in load.parcels if parcel.why})
        if tied:
            load.reason += "; together: " + ", ".join(tied[:3]) + ("…" if len(tied) > 3 else "")
        loads.append(load)
        waiting = left
    return loads


def _parcels(
    movable: Sequence[str],
    groups: Iterable[MachineGroup],
    verdicts: Mapping[str, Verdict],
    seconds: Mapping[str, int],
    controllers: set[str],
) -> list[_Parcel]:
    groups = list(groups)
    find, join = _union(movable)
    names: dict[str, str] = {}
    for group in groups:
        if group.kind in _JOINED:
            members = [member for member in group.machines if member in seconds and member in verdicts]
            present = [member for member in members if verdicts[member] is not Verdict.BLOCKED]
            for member in present[1:]:
                join(present[0], member)
            if len(present) > 1:
                names[find(present[0])] = group.name
    apart: dict[str, set[str]] = defaultdict(set)
    for number, group in enumerate(groups):
        if group.kind in _APART:
            for member in group.machines:
                apart[member].add(f"group {number}")
    for member in controllers:
        apart[member].add("domain controllers")
    rank = {Verdict.READY: 0, Verdict.WARNINGS: 1, Verdict.UNKNOWN: 2}
    sets: dict[str, list[str]] = defaultdict(list)
    for machine in movable:
        sets[find(machine)].append(machine)
    tied = {find(root): name for root, name in names.items()}
    return [
        _Parcel(
            machines=members,
            seconds=sum(seconds[member] for member in members),
            rank=max(rank[verdicts[member]] for member in members),
            apart=frozenset(tag for member in members for tag in apart.get(member, ())),
            why=tied.get(root, ""),
        )
        for root, members in sets.items()
    ]


def _union(items: Iterable[str]) -> tuple[Callable[[str], str], Callable[[str, str], None]]:
    """Find and join of disjoint sets."""
    above = {item: item for item in items}

    def find(item: str) -> str:
        while above[item] != item:
            above[item] = item = above[above[item]]
        return item

    def join(one: str, other: str) -> None:
        above[find(other)] = find(one)

    return find, join
