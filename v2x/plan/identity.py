# SPDX-License-Identifier: Apache-2.0
"""Which machine a row means, and the identity of its migration, which is the same at every run."""

import hashlib
from dataclasses import replace

from v2x.errors import InputRefused, UsageError
from v2x.mapping.build import target_name
from v2x.model.inventory import Inventory
from v2x.model.machine import Machine
from v2x.model.plan import Plan, PlanRow
from v2x.model.target import TargetFacts, TargetMachine


def machine_of(inventory: Inventory, wanted: str, name: str = "") -> Machine:
    """The machine with that id, else the only one with that name. UsageError lists what there is."""
    found = [machine for machine in inventory.machines if machine.id == wanted]
    if not found:
        found = [machine for machine in inventory.machines if machine.name == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(machine.id for machine in found[:5])
        raise UsageError(
            f"{len(found)} machines are named {wanted}", code="AMBIGUOUS", hint=f"give one of the ids {ids}"
        )
    if not inventory.machines and inventory.problems:
        broken = inventory.problems[0]
        raise InputRefused(
            f"{broken.subject}: {broken.text}", code=broken.code, hint="v2x inventory lists all problems"
        )
    names = ", ".join(sorted(machine.name for machine in inventory.machines)[:10])
    raise UsageError(f"no machine {name or wanted} in {inventory.source.address}", hint=f"there are: {names or 'none'}")


def migration_tag(inventory: Inventory, machine: Machine, facts: TargetFacts, name: str) -> str:
    """The identity of a migration, the same at every run: what moves, from where, to where, under which name."""
    place = inventory.source.instance or inventory.source.address
    parts = (inventory.source.kind, place, machine.id, facts.pool_uuid or facts.address, name)
    return "v2x-" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def tag_of_row(plan: Plan, row: PlanRow) -> str:
    """The identity of a row's migration; empty where the plan does not know its machine or target."""
    inventory, facts = plan.inventories.get(row.source), plan.facts.get(row.target)
    machine = next((one for one in inventory.machines if one.id == row.machine_id), None) if inventory else None
    if inventory is None or machine is None or facts is None:
        return ""
    return migration_tag(inventory, machine, facts, target_name(machine, row))


def without(facts: TargetFacts, machine: str) -> TargetFacts:
    """The facts without the machine of that name: one that an earlier run of the same migration made."""
    names = list(facts.machine_names)
    if machine in names:
        names.remove(machine)
    return replace(
        facts, machine_names=tuple(names), macs=tuple(used for used in facts.macs if used.machine != machine)
    )


def pool_host(facts: TargetFacts, spec: TargetMachine) -> str:
    """The uuid of the host that most likely takes a machine's disks: one that sees their storage; empty for a file."""
    seen = [set(sr.hosts) for sr in facts.storage if sr.uuid in {disk.sr for disk in spec.disks}]
    shared = set.intersection(*seen) if seen else set()
    return next((host.uuid for host in facts.hosts if host.uuid in shared), "")
