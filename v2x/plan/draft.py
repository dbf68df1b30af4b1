# SPDX-License-Identifier: Apache-2.0
"""Drafts a plan: every choice filled in, and a comment that says why."""

import fnmatch
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from v2x.errors import InputRefused, PlanError
from v2x.mapping.build import build_machine, target_name
from v2x.mapping.networks import NetworkChoice, Places, Unresolved, candidates, settle
from v2x.mapping.platform import choose_template
from v2x.mapping.resolve import REST, is_offline, needed_bytes, reference, storage_by_rule, suggest_storage
from v2x.mapping.rows import Family
from v2x.mapping.starting import ha_priority, starts_by_itself
from v2x.mapping.tables import Tables
from v2x.model.finding import Finding, Severity
from v2x.model.inventory import Inventory
from v2x.model.machine import Disk, Machine, Nic, PowerState
from v2x.model.placement import Rules
from v2x.model.plan import Endpoint, Plan, PlanRow
from v2x.model.target import HaPriority, TargetFacts, TargetMachine
from v2x.plan.columns import tidy_row
from v2x.plan.guests import sealed
from v2x.plan.relations import CONTROLLER, apart, group_cells
from v2x.plan.store import plan_id

_IS_CONTROLLER = "identity.domain-controller"


@dataclass(frozen=True, slots=True)
class Ground:
    """What the choices for a machine stand on; `places` are the rules and the networks of its source."""

    facts: TargetFacts
    tables: Tables
    places: Places


@dataclass(frozen=True, slots=True)
class Drafted:
    """A drafted row; `made` is what it comes to without the adapters whose network is open, None where it cannot be."""

    row: PlanRow
    made: TargetMachine | None
    networks: tuple[tuple[Nic, NetworkChoice | Unresolved], ...]
    problem: str = ""


def draft_plan(
    inventories: Mapping[str, Inventory],
    facts: Mapping[str, TargetFacts],
    tables: Tables,
    *,
    sources: Sequence[Endpoint],
    targets: Sequence[Endpoint],
    select: Sequence[str] = (),
    findings: Mapping[str, Sequence[Finding]] | None = None,
    rules: Rules | None = None,
    now: datetime,
) -> Plan:
    """A plan over the machines of all inventories (by source alias) onto the first target.

    `select` are shell patterns over name, id and folder/name, without case; none means all. Machines with a blocker
    among `findings` (by source alias), templates, and machines that cannot be built there are excluded, with the
    reason. An adapter whose network is not certain stays open: the comment lists what it could be, and `plan check`
    asks for it. Partners of a group get an `order` each. PlanError when there is no target, when nothing is selected,
    or when one of `rules` names what the pool lacks.
    """
    if not targets or targets[0].alias not in facts:
        raise PlanError("no target to draft a plan for", hint="name one with --target")
    target = targets[0].alias
    room = facts[target]
    rows: list[PlanRow] = []
    for source, inventory in inventories.items():
        places = Places(rules, inventory.networks)
        groups = group_cells(inventory)
        found = (findings or {}).get(source, ())
        blocked = blockers_of(found)
        controllers = {one.machine_id for one in found if one.rule == _IS_CONTROLLER and _is_known(one)}
        for machine in inventory.machines:
            if not is_selected(machine, select):
                continue
            empty = replace(
                first_row(machine, source, target),
                resource_set=targets[0].resource_set,
                groups=groups.get(machine.id, ()),
                role=CONTROLLER if machine.id in controllers else "",
            )
            row = draft_row(machine, empty, Ground(room, tables, places), blocked.get(machine.id, ())).row
            room = taken(machine, row, room)
            rows.append(tidy_row(row))
    if not rows:
        raise PlanError(
            "no machine is selected" if select else "the sources have no machines",
            hint="v2x inventory lists the machines; --select takes patterns such as 'web*'",
        )
    rows = apart(rows)
    return Plan(
        id=plan_id(rows),
        created=now,
        rows=tuple(rows),
        sources=tuple(sources),
        targets=tuple(targets),
        inventories=dict(inventories),
        facts=dict(facts),
    )


def first_row(machine: Machine, source: str, target: str) -> PlanRow:
    """A row with what the source's own settings ask for, before anything is chosen."""
    return PlanRow(
        machine_id=machine.id,
        machine_name=machine.name,
        source=source,
        target=target,
        autostart=starts_by_itself(machine),
        ha=ha_priority(machine),
    )


def is_selected(machine: Machine, select: Sequence[str]) -> bool:
    """Whether any of the shell patterns fits the machine's name, id or folder/name; no pattern fits all."""
    words = [word.casefold() for word in (machine.name, machine.id, f"{machine.folder}/{machine.name}")]
    return not select or any(fnmatch.fnmatchcase(word, pattern.casefold()) for pattern in select for word in words)


def _is_known(finding: Finding) -> bool:
    return finding.severity is not Severity.UNKNOWN


def blockers_of(findings: Iterable[Finding]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for finding in findings:
        if finding.severity is Severity.BLOCKER and finding.machine_id:
            key = finding.machine_id
            found[key] = (*found.get(key, ()), finding.text or finding.label)
    return found


def draft_row(machine: Machine, row: PlanRow, ground: Ground, blockers: Sequence[str]) -> Drafted:
    """The choices for one machine, with what they come to."""
    facts, tables = ground.facts, ground.tables
    comments: list[str] = []
    reasons = ["template of the source"] if machine.is_template else []
    reasons += blockers
    row = replace(row, target_name=target_name(machine, row), order=machine.start_order or 0)
    row = _with_storage(machine, row, ground, comments)
    row, networks = _with_networks(machine, row, ground, comments)
    settled = tuple(nic for nic, choice in networks if isinstance(choice, NetworkChoice))
    made, problem = None, ""
    try:
        made = build_machine(replace(machine, nics=settled), row, facts, tables, places=ground.places)
    except (PlanError, InputRefused) as trouble:
        problem = trouble.message
        reasons.append(problem)
    else:
        row = replace(
            row,
            vcpus=made.vcpus,
            memory_bytes=made.memory_bytes,
            firmware=made.firmware,
            secure_boot=made.secure_boot,
            vtpm=made.vtpm,
            template=made.template,
        )
        guest = tables.guest_os(machine.guest)
        choice = choose_template("", guest, made.firmware, facts, tables)
        if facts.templates:
            comments.append(f"template: {choice.reason}")
        comments += made.notes
        if guest is not None and guest.family is Family.LINUX:
            comments.append("convert: auto would put drivers and names inside the guest right for Xen")
        locked = sealed(machine, tables)
        if locked:
            comments.append(f"guest: {locked}; to convert it, suspend BitLocker and write bitlocker-suspended there")
    comments += _state(machine, row, facts)
    if reasons:
        comments.insert(0, "excluded: " + "; ".join(reasons))
    return Drafted(replace(row, exclude=bool(reasons), comment=" | ".join(comments)), made, networks, problem)


def _with_storage(machine: Machine, row: PlanRow, ground: Ground, comments: list[str]) -> PlanRow:
    facts = ground.facts
    if is_offline(facts) or not machine.disks:
        return row
    ruled = {disk.id: storage_by_rule(disk, facts, ground.places.rules) for disk in machine.disks}
    found = {disk: reference(sr, facts.storage) for disk, sr in ruled.items() if sr is not None}
    reasons = [f"{disk} by rule" for disk in found]
    rest = [disk for disk in machine.disks if disk.id not in found]
    choice = suggest_storage(rest, facts, ground.tables) if rest else None
    if choice is not None:
        found[REST] = reference(choice.storage, facts.storage)
        reasons.append(choice.reason)
    if reasons:
        comments.append("storage: " + ", ".join(reasons))
    return replace(row, storage=found)


def _with_networks(
    machine: Machine, row: PlanRow, ground: Ground, comments: list[str]
) -> tuple[PlanRow, tuple[tuple[Nic, NetworkChoice | Unresolved], ...]]:
    """The row with the networks that are certain, and what is known of all; the comment says what is left to choose."""
    facts = ground.facts
    found: dict[str, str] = {}
    reasons: list[str] = []
    settled = settle(machine, row, facts, ground.places)
    for nic, choice in settled:
        position = str(nic.position)
        if not isinstance(choice, NetworkChoice):
            reasons.append(f"{position} TO CHOOSE ({nic.network!r}: {choice.why}): {candidates(choice, facts)}")
            continue
        if not is_offline(facts):
            found[position] = reference(choice.network, facts.networks)
            reasons.append(f"{position} {choice.reason}")
        elif nic.network:
            found[position] = nic.network
    if reasons:
        comments.append("networks: " + ", ".join(reasons))
    return replace(row, networks=found), tuple(settled)


def _state(machine: Machine, row: PlanRow, facts: TargetFacts) -> list[str]:
    comments = []
    if row.autostart:
        comments.append("autostart: as on the source")
    if row.ha is not HaPriority.NONE:
        comments.append(f"ha: {row.ha.value}, its priority on the source is {machine.ha_priority}")
    if machine.power_state is PowerState.ON:
        comments.append("running now: a cold transfer needs it shut down")
    elif machine.power_state is PowerState.SUSPENDED:
        comments.append("suspended now: start it and shut it down, its saved memory cannot be moved")
    if row.target_name in facts.machine_names:
        comments.append(f"a machine named {row.target_name!r} is already on the target: choose another target_name")
    return comments


def taken(machine: Machine, row: PlanRow, facts: TargetFacts) -> TargetFacts:
    """The facts with the room that a drafted row takes, so that the next rows are spread over what is left."""
    if row.exclude or not row.storage:
        return facts
    taken: dict[str, list[Disk]] = defaultdict(list)
    for disk in machine.disks:
        taken[row.storage.get(disk.id) or row.storage.get(REST, "")].append(disk)
    storage = []
    for sr in facts.storage:
        disks = taken.get(reference(sr, facts.storage), [])
        storage.append(replace(sr, used_bytes=sr.used_bytes + sum(needed_bytes(disk, sr) for disk in disks)))
    return replace(facts, storage=tuple(storage))
