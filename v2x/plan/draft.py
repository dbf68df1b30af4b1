# SPDX-License-Identifier: Apache-2.0
"""Drafts a plan: every choice filled in, and a comment that says why."""

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from v2x.errors import InputRefused, PlanError
from v2x.mapping.build import build_machine, target_name
from v2x.mapping.devices import REST
from v2x.mapping.platform import choose_template
from v2x.mapping.resolve import is_offline, needed_bytes, reference, suggest_network, suggest_storage
from v2x.mapping.tables import Tables
from v2x.model.finding import Finding, Severity
from v2x.model.inventory import Inventory
from v2x.model.machine import Machine, PowerState
from v2x.model.plan import Endpoint, Plan, PlanRow
from v2x.model.target import TargetFacts
from v2x.plan.columns import tidy_row
from v2x.plan.store import plan_id


@dataclass(frozen=True, slots=True)
class _Ground:
    """What the choices for a machine stand on; `vlans` by network name of its source."""

    facts: TargetFacts
    tables: Tables
    vlans: Mapping[str, int | None]


def draft_plan(
    inventories: Mapping[str, Inventory],
    facts: Mapping[str, TargetFacts],
    tables: Tables,
    *,
    sources: Sequence[Endpoint],
    targets: Sequence[Endpoint],
    select: Sequence[str] = (),
    findings: Sequence[Finding] = (),
    now: datetime,
) -> Plan:
    """A plan over the machines of all inventories (by source alias) onto the first target.

    `select` are shell patterns over name, id and folder/name, without case; none means all. Machines with a blocker
    among `findings`, templates, and machines that cannot be built there are excluded, with the reason. PlanError when
    there is no target or nothing is selected.
    """
    if not targets or targets[0].alias not in facts:
        raise PlanError("no target to draft a plan for", hint="name one with --target")
    target = targets[0].alias
    blocked = _blockers(findings)
    room = facts[target]
    rows: list[PlanRow] = []
    for source, inventory in inventories.items():
        vlans = {network.name: network.vlan for network in inventory.networks}
        for machine in inventory.machines:
            if not is_selected(machine, select):
                continue
            empty = PlanRow(machine_id=machine.id, machine_name=machine.name, source=source, target=target)
            row = _draft_row(machine, empty, _Ground(room, tables, vlans), blocked.get(machine.id, ()))
            room = _taken(machine, row, room)
            rows.append(tidy_row(row))
    if not rows:
        raise PlanError(
            "no machine is selected" if select else "the sources have no machines",
            hint="v2x inventory lists the machines; --select takes patterns such as 'web*'",
        )
    return Plan(
        id=plan_id(rows),
        created=now,
        rows=tuple(rows),
        sources=tuple(sources),
        targets=tuple(targets),
        inventories=dict(inventories),
        facts=dict(facts),
    )


def is_selected(machine: Machine, select: Sequence[str]) -> bool:
    """Whether any of the shell patterns fits the machine's name, id or folder/name; no pattern fits all."""
    words = [word.casefold() for word in (machine.name, machine.id, f"{machine.folder}/{machine.name}")]
    return not select or any(fnmatch.fnmatchcase(word, pattern.casefold()) for pattern in select for word in words)


def _blockers(findings: Iterable[Finding]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for finding in findings:
        if finding.severity is Severity.BLOCKER and finding.machine_id:
            key = finding.machine_id
            found[key] = (*found.get(key, ()), finding.text or finding.label)
    return found


def _draft_row(machine: Machine, row: PlanRow, ground: _Ground, blockers: Sequence[str]) -> PlanRow:
    facts, tables = ground.facts, ground.tables
    comments: list[str] = []
    reasons = ["template of the source"] if machine.is_template else []
    reasons += blockers
    row = replace(row, target_name=target_name(machine, row), order=machine.start_order or 0)
    row = _with_storage(machine, row, ground, comments)
    row = _with_networks(machine, row, ground, comments)
    try:
        made = build_machine(machine, row, facts, tables)
    except (PlanError, InputRefused) as problem:
        reasons.append(problem.message)
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
        choice = choose_template("", tables.guest_os(machine.guest), made.firmware, facts, tables)
        if facts.templates:
            comments.append(f"template: {choice.reason}")
        comments += made.notes
    comments += _state(machine, row, facts)
    if reasons:
        comments.insert(0, "excluded: " + "; ".join(reasons))
    return replace(row, exclude=bool(reasons), comment=" | ".join(comments))


def _with_storage(machine: Machine, row: PlanRow, ground: _Ground, comments: list[str]) -> PlanRow:
    facts = ground.facts
    if is_offline(facts) or not machine.disks:
        return row
    choice = suggest_storage(machine.disks, facts, ground.tables)
    if choice is None:
        return row
    comments.append(f"storage: {choice.reason}")
    return replace(row, storage={REST: reference(choice.storage, facts.storage)})


def _with_networks(machine: Machine, row: PlanRow, ground: _Ground, comments: list[str]) -> PlanRow:
    facts = ground.facts
    found: dict[str, str] = {}
    reasons: list[str] = []
    for nic in sorted(machine.nics, key=lambda nic: nic.position):
        if is_offline(facts):
            if nic.network:
                found[str(nic.position)] = nic.network
            continue
        choice = suggest_network(nic.network, nic.vlan or ground.vlans.get(nic.network), facts)
        if choice is not None:
            found[str(nic.position)] = reference(choice.network, facts.networks)
            reasons.append(f"{nic.position} {choice.reason}")
    if reasons:
        comments.append("networks: " + ", ".join(reasons))
    return replace(row, networks=found)


def _state(machine: Machine, row: PlanRow, facts: TargetFacts) -> list[str]:
    comments = []
    if machine.power_state is PowerState.ON:
        comments.append("running now: a cold transfer needs it shut down")
    elif machine.power_state is PowerState.SUSPENDED:
        comments.append("suspended now: start it and shut it down, its saved memory cannot be moved")
    if row.target_name in facts.machine_names:
        comments.append(f"a machine named {row.target_name!r} is already on the target: choose another target_name")
    return comments


def _taken(machine: Machine, row: PlanRow, facts: TargetFacts) -> TargetFacts:
    """The facts with the room that a drafted row takes, so that the next rows are spread over what is left."""
    if row.exclude or REST not in row.storage:
        return facts
    wanted = row.storage[REST]
    storage = tuple(
        replace(sr, used_bytes=sr.used_bytes + sum(needed_bytes(disk, sr) for disk in machine.disks))
        if wanted in (sr.uuid, reference(sr, facts.storage))
        else sr
        for sr in facts.storage
    )
    return replace(facts, storage=storage)
