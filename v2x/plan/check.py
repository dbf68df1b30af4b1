# SPDX-License-Identifier: Apache-2.0
"""Checks a plan against itself, the inventories and the target: everything that is wrong, at once, before any byte."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from v2x.errors import InputRefused, PlanError
from v2x.mapping.build import build_machine, target_name
from v2x.mapping.networks import Places, candidates, open_questions
from v2x.mapping.resolve import REST, find_network, find_storage, is_offline, needed_bytes
from v2x.mapping.rows import Family
from v2x.mapping.tables import Tables
from v2x.model.changes import differences
from v2x.model.finding import Finding
from v2x.model.forecast import DEFAULT_PACE, Pace
from v2x.model.inventory import Inventory
from v2x.model.machine import Disk, Machine, PowerState
from v2x.model.placement import Rules
from v2x.model.plan import GuestConversion, Plan, PlanRow, Running, Transfer
from v2x.model.target import StorageRepository, TargetFacts, TargetMachine
from v2x.model.units import show_bytes
from v2x.plan import rules as plan_rules
from v2x.plan.guests import check_guests
from v2x.plan.outages import short_windows
from v2x.plan.relations import check_relations, key_of
from v2x.text import plural

_LIVE_SOURCES = frozenset({"vsphere", "hyperv"})
EXPORTS = frozenset({"rvtools"})
"""Kinds of sources that list machines and hold no disks: a plan of theirs can be checked, not run."""
_SHOWN = 5


@dataclass(slots=True)
class _Sums:
    """What the rows add up to: who gets a name or MAC address, and how much goes to each SR."""

    names: dict[tuple[str, str], list[PlanRow]] = field(default_factory=lambda: defaultdict(list))
    macs: dict[str, list[PlanRow]] = field(default_factory=lambda: defaultdict(list))
    space: dict[tuple[str, str], list[tuple[Disk, PlanRow]]] = field(default_factory=lambda: defaultdict(list))


def check_plan(
    plan: Plan,
    facts: Mapping[str, TargetFacts],
    tables: Tables,
    *,
    rules: Rules | None = None,
    done: Collection[str] = (),
    now: datetime | None = None,
    drafted: Mapping[str, Inventory] | None = None,
    pace: Pace = DEFAULT_PACE,
    has_keys: bool = False,
) -> list[Finding]:
    """Findings of the rules `plan.*`, the worst first; excluded rows are left out.

    `facts` by target alias, fresh or the plan's own. `rules` say where networks and disks go whose cell is empty.
    `done` are ids of machines that are known to be on the target or on their way there: their names, MAC addresses and
    space on it are their own. With `now`, windows must have times ahead of it, and be long enough at `pace`. `drafted`
    are the inventories of the draft, where the plan's are newer: what changed since is told, of a machine that is gone
    nothing else; one that is done may be gone. `has_keys` says that recovery keys of BitLocker are at hand here.
    """
    rows = [row for row in plan.rows if not row.exclude]
    if not rows:
        return [plan_rules.EMPTY.finding("every row is excluded" if plan.rows else "there are no rows")]
    machines = _machines(plan.inventories)
    findings = list(_duplicates(rows))
    places = {source: Places(rules, inventory.networks) for source, inventory in plan.inventories.items()}
    sums = _Sums()
    then = _machines(drafted or {})
    gone = {key_of(row) for row in rows if key_of(row) in then and key_of(row) not in machines}
    for row in (one for one in rows if key_of(one) not in gone or one.source not in plan.inventories):
        problems = list(_unknown(row, plan, facts, machines))
        if not problems:
            machine, pool = machines[row.source, row.machine_id], facts[row.target]
            where = places[row.source]
            problems = list(_check_row(row, machine, pool, plan.inventories[row.source].source.kind))
            problems = problems or list(_open(row, machine, pool, where))
            made = None if problems else _build(row, machine, pool, tables, where, problems)
            if made is not None:
                problems += _limits(row, machine, made, pool, tables)
            if row.machine_id not in done:
                problems += _running(row, machine, plan.inventories[row.source].source.kind)
                _add(sums, row, machine, made)
        findings += problems
    findings += _names(sums, facts)
    findings += _macs(sums, facts)
    findings += _space(sums, facts)
    findings += _hosts(sums, facts)
    findings += check_relations(plan.rows, now)
    findings += _converted(rows)
    findings += check_guests([row for row in rows if row.machine_id not in done], machines, tables, has_keys=has_keys)
    findings += _not_live(rows, plan)
    findings += short_windows(rows, machines, pace, now) if now is not None else ()
    findings += changes(plan, drafted or {}, done)
    return sorted(findings, key=lambda finding: -finding.severity.weight)


def _duplicates(rows: Iterable[PlanRow]) -> Iterator[Finding]:
    seen: dict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        key = (row.source, row.machine_id)
        seen[key] += 1
        if seen[key] == 2:
            yield plan_rules.DUPLICATE_MACHINE.finding(f"{row.machine_name} ({row.machine_id}) from {row.source}", row)


def _converted(rows: Iterable[PlanRow]) -> Iterator[Finding]:
    names = [row.machine_name for row in rows if row.convert is GuestConversion.AUTO]
    if names:
        yield plan_rules.CONVERT.finding(
            f"{_list(names)}: whoever runs them needs libguestfs and some hundred MiB for temporary files, and each "
            "takes a minute or two without KVM"
        )


def _not_live(rows: Iterable[PlanRow], plan: Plan) -> Iterator[Finding]:
    used = {row.source for row in rows}
    for alias, inventory in plan.inventories.items():
        if alias in used and inventory.source.kind in EXPORTS:
            yield plan_rules.NOT_LIVE.finding(f"{alias} is of kind {inventory.source.kind}", None, alias)


def changes(plan: Plan, drafted: Mapping[str, Inventory], done: Collection[str] = ()) -> list[Finding]:
    """What is not as it was in the inventories of the draft: a finding for each row that is not `done`."""
    return list(_changed((row for row in plan.rows if not row.exclude and row.machine_id not in done), plan, drafted))


def _changed(rows: Iterable[PlanRow], plan: Plan, drafted: Mapping[str, Inventory]) -> Iterator[Finding]:
    then, machines = _machines(drafted), _machines(plan.inventories)
    for row in rows:
        before, now = then.get(key_of(row)), machines.get(key_of(row))
        if before is None or row.source not in plan.inventories:
            continue
        same = drafted[row.source].source.kind == plan.inventories[row.source].source.kind
        gone = ("it is not at its source any more: exclude its row, or draft the plan again",)
        found = gone if now is None else differences(before, now, same_source=same)
        if found:
            yield plan_rules.CHANGED.finding("; ".join(found), row)


def _machines(inventories: Mapping[str, Inventory]) -> dict[tuple[str, str], Machine]:
    return {(source, one.id): one for source, inventory in inventories.items() for one in inventory.machines}


def _unknown(
    row: PlanRow, plan: Plan, facts: Mapping[str, TargetFacts], machines: Mapping[tuple[str, str], Machine]
) -> Iterator[Finding]:
    if row.source not in plan.inventories:
        yield plan_rules.UNKNOWN_SOURCE.finding(f"{row.source!r}; valid: {_list(plan.inventories)}", row)
    elif (row.source, row.machine_id) not in machines:
        yield plan_rules.UNKNOWN_MACHINE.finding(f"{row.source} has no machine {row.machine_id!r}", row)
    if row.target not in facts:
        yield plan_rules.UNKNOWN_TARGET.finding(f"{row.target!r}; valid: {_list(facts)}", row)


def _check_row(row: PlanRow, machine: Machine, facts: TargetFacts, kind: str) -> Iterator[Finding]:
    if row.transfer is Transfer.WARM and kind not in _LIVE_SOURCES:
        yield plan_rules.WARM.finding(f"{row.source} is of kind {kind}", row)
    yield from _check_keys(row, machine)
    if not is_offline(facts):
        yield from _check_places(row, facts)


def _running(row: PlanRow, machine: Machine, kind: str) -> Iterator[Finding]:
    """A machine that runs at a live source is refused unless its row says what is to become of it."""
    if kind not in _LIVE_SOURCES or row.transfer is Transfer.WARM:
        return
    if machine.power_state is PowerState.ON and row.running is Running.REFUSE:
        yield plan_rules.RUNNING.finding("it is running now", row)
    elif machine.power_state is PowerState.ON and row.running is Running.SNAPSHOT and kind == "hyperv":
        yield plan_rules.NO_SNAPSHOT.finding(f"{row.source} is of kind {kind}", row)
    elif machine.power_state is PowerState.SUSPENDED:
        yield plan_rules.RUNNING.finding("it is suspended now: resume it and shut it down", row)


def _open(row: PlanRow, machine: Machine, facts: TargetFacts, places: Places) -> Iterator[Finding]:
    """One finding for each adapter whose network nobody chose."""
    try:
        for nic, found in open_questions(machine, row, facts, places):
            could = candidates(found, facts)
            text = f"adapter {nic.position} on {nic.network!r}: {found.why}; it could be {could}"
            yield plan_rules.NETWORK_UNRESOLVED.finding(text, row)
    except PlanError as problem:
        yield plan_rules.NETWORK.finding(f"{problem.message}; {problem.hint}", row)


def _build(
    row: PlanRow, machine: Machine, facts: TargetFacts, tables: Tables, places: Places, problems: list[Finding]
) -> TargetMachine | None:
    """The machine as it would be made; None, with a finding, when it cannot."""
    try:
        return build_machine(machine, row, facts, tables, places=places)
    except (PlanError, InputRefused) as problem:
        text = problem.message + (f"; {problem.hint}" if problem.hint else "")
        problems.append(plan_rules.UNMAPPABLE.finding(text, row))
        return None


def _check_keys(row: PlanRow, machine: Machine) -> Iterator[Finding]:
    """Ids in the row that the machine does not have: a slip of the pen would silently take the default."""
    disks = {disk.id for disk in machine.disks}
    for key in row.storage:
        if key != REST and key not in disks:
            yield plan_rules.UNKNOWN_DISK.finding(f"{key!r}; valid: {_list([*disks, REST])}", row)
    positions = {str(nic.position) for nic in machine.nics}
    for key in row.networks:
        if key != REST and key not in positions:
            yield plan_rules.UNKNOWN_NIC.finding(f"{key!r}; valid: {_list([*positions, REST])}", row)


def _check_places(row: PlanRow, facts: TargetFacts) -> Iterator[Finding]:
    for rule, find, wanted in (
        *((plan_rules.STORAGE, find_storage, name) for name in dict.fromkeys(row.storage.values())),
        *((plan_rules.NETWORK, find_network, name) for name in dict.fromkeys(row.networks.values())),
    ):
        try:
            find(wanted, facts)
        except PlanError as problem:
            yield rule.finding(f"{problem.message}; {problem.hint}", row)


def _limits(
    row: PlanRow, machine: Machine, made: TargetMachine, facts: TargetFacts, tables: Tables
) -> Iterator[Finding]:
    version, xapi = facts.version, facts.xapi_version
    guest = tables.guest_os(machine.guest)
    windows = guest is not None and guest.family is Family.WINDOWS
    most = tables.limit("vcpus_windows_max" if windows else "vcpus_max", product=version)
    supported = tables.limit("vcpus_supported_max", product=version)
    if made.vcpus > most:
        yield plan_rules.VCPUS.finding(f"{made.vcpus}, at most {most}{' for Windows' if windows else ''}", row)
    elif made.vcpus > supported:
        yield plan_rules.VCPUS_SUPPORT.finding(f"{made.vcpus}, supported up to {supported}", row)
    cpus = max((host.cpu_count for host in facts.hosts), default=0)
    if 0 < cpus < made.vcpus:
        yield plan_rules.VCPUS_HOST.finding(f"{made.vcpus}, the largest host has {cpus}", row)
    memory = tables.limit("memory_max_bytes", product=version)
    largest = max((host.memory_total_bytes for host in facts.hosts), default=0)
    if made.memory_bytes > memory:
        yield plan_rules.MEMORY.finding(f"{show_bytes(made.memory_bytes)}, at most {show_bytes(memory)}", row)
    elif 0 < largest < made.memory_bytes:
        yield plan_rules.MEMORY_HOST.finding(
            f"{show_bytes(made.memory_bytes)}, the largest host has {show_bytes(largest)}", row
        )
    for rule, count, limit in (
        (plan_rules.DISKS, len(made.disks) + bool(made.cd_device), tables.limit("disks_max", product=version)),
        (plan_rules.NICS, len(made.nics), tables.limit("nics_max", xapi=xapi)),
    ):
        if count > limit:
            yield rule.finding(f"{count}, at most {limit}", row)


def _add(sums: _Sums, row: PlanRow, machine: Machine, made: TargetMachine | None) -> None:
    """Counts what the row would take: only its name where the machine cannot be made."""
    sums.names[row.target, target_name(machine, row)].append(row)
    if made is None:
        return
    for nic in made.nics:
        if nic.mac:
            sums.macs[nic.mac].append(row)
    sources = {disk.id: disk for disk in machine.disks}
    for disk in made.disks:
        sums.space[row.target, disk.sr].append((sources[disk.source_disk], row))


def _names(sums: _Sums, facts: Mapping[str, TargetFacts]) -> Iterator[Finding]:
    for (target, name), rows in sums.names.items():
        if len(rows) > 1:
            ids = _list(row.machine_id for row in rows)
            yield plan_rules.DUPLICATE_NAME.finding(f"{name!r} on {target}: {ids}", rows[1], name)
        if name in facts[target].machine_names:
            yield plan_rules.NAME_ON_TARGET.finding(f"{name!r} on {target}", rows[0], name)


def _macs(sums: _Sums, facts: Mapping[str, TargetFacts]) -> Iterator[Finding]:
    used = {target: {entry.mac.lower(): entry.machine for entry in pool.macs} for target, pool in facts.items()}
    for mac, rows in sums.macs.items():
        if len(rows) > 1:
            names = _list(dict.fromkeys(row.machine_name for row in rows))
            yield plan_rules.DUPLICATE_MAC.finding(f"{mac}: {names}", rows[1], mac)
        for row in rows[:1]:
            if mac in used[row.target]:
                yield plan_rules.MAC_ON_TARGET.finding(f"{mac} of {used[row.target][mac]!r} on {row.target}", row, mac)


def _space(sums: _Sums, facts: Mapping[str, TargetFacts]) -> Iterator[Finding]:
    for (target, uuid), takers in sums.space.items():
        sr = next((sr for sr in facts[target].storage if sr.uuid == uuid), None)
        if sr is None or sr.size_bytes <= 0:
            continue
        most = sum(needed_bytes(disk, sr) for disk, _ in takers)
        least = sum(needed_bytes(disk, sr) for disk, _ in takers if not sr.thin or disk.allocated_bytes is not None)
        if most > sr.free_bytes:
            rule = plan_rules.SPACE if least > sr.free_bytes else plan_rules.SPACE_UNSURE
            yield rule.finding(_space_text(sr, target, least, most, takers), None, sr.name or sr.uuid)


def _hosts(sums: _Sums, facts: Mapping[str, TargetFacts]) -> Iterator[Finding]:
    """Storage that a host sees, but none that takes a new disk now: disabled, evacuated, updated or on its way down."""
    for target, uuid in sums.space:
        pool = facts[target]
        enabled = {host.uuid for host in pool.hosts if host.enabled}
        sr = next((sr for sr in pool.storage if sr.uuid == uuid), None)
        if sr is not None and sr.hosts and pool.hosts and enabled.isdisjoint(sr.hosts):
            names = _list(host.name for host in pool.hosts if host.uuid in sr.hosts)
            yield plan_rules.NO_HOST.finding(f"{sr.name!r} on {target}: {names}", None, sr.name or sr.uuid)


def _space_text(sr: StorageRepository, target: str, least: int, most: int, takers: list[tuple[Disk, PlanRow]]) -> str:
    by_machine: dict[str, int] = defaultdict(int)
    for disk, row in takers:
        by_machine[row.machine_name] += needed_bytes(disk, sr)
    largest = sorted(by_machine.items(), key=lambda entry: (-entry[1], entry[0]))[:_SHOWN]
    shown = ", ".join(f"{name} {show_bytes(count)}" for name, count in largest)
    needed = show_bytes(most) if least == most else f"{show_bytes(least)} to {show_bytes(most)}"
    return (
        f"{sr.name!r} on {target} ({'thin' if sr.thin else 'thick'}): {needed} needed by "
        f"{plural(len(by_machine), 'machine')}, {show_bytes(sr.free_bytes)} free, "
        f"{'' if least > sr.free_bytes else 'up to '}{show_bytes(most - sr.free_bytes)} missing; largest: {shown}"
    )


def _list(words: Iterable[str]) -> str:
    listed = sorted(words)
    more = len(listed) - 20
    return (", ".join(listed[:20]) or "none") + (f", and {more} more" if more > 0 else "")
