# SPDX-License-Identifier: Apache-2.0
"""Runs all rules over an inventory. Pure: the same input gives the same findings in the same order."""

from collections.abc import Iterator

from v2x.assess.context import context_of, estate_of
from v2x.assess.rule import Remark, Rule
from v2x.assess.rules import ESTATE_RULES, MACHINE_RULES
from v2x.mapping.tables import Tables
from v2x.model.finding import Finding
from v2x.model.inventory import Inventory
from v2x.model.machine import Machine
from v2x.model.placement import Rules
from v2x.model.target import TargetFacts


def assess(
    inventory: Inventory, facts: TargetFacts | None, tables: Tables, rules: Rules | None = None
) -> tuple[Finding, ...]:
    """All findings, the most severe first, then by machine and rule. `rules` are the user's, for networks and storage.

    Works on a saved inventory with no connection. Without `facts`, rules about the pool stay silent and one finding
    says so; a finding without a machine speaks of the whole estate.
    """
    estate = estate_of(inventory, facts, tables, rules)
    found: list[Finding] = []
    for estate_rule in ESTATE_RULES:
        found.extend(_finding(estate_rule, remark, None) for remark in estate_rule.check(estate))
    for machine in inventory.machines:
        context = context_of(machine, estate)
        for rule in MACHINE_RULES:
            found.extend(_finding(rule, remark, machine) for remark in rule.check(context))
    # The sort is stable: what one rule says of one machine stays in the order of its disks or cards.
    return tuple(sorted(found, key=_order))


def rules() -> Iterator[Rule]:
    """Every rule, by id."""
    yield from sorted((*ESTATE_RULES, *MACHINE_RULES), key=lambda rule: rule.id)


def _order(finding: Finding) -> tuple[int, str, str, str]:
    return (-finding.severity.weight, finding.machine_name, finding.machine_id, finding.rule)


def _finding(rule: Rule, remark: Remark, machine: Machine | None) -> Finding:
    return Finding(
        rule=rule.id,
        severity=rule.severity,
        label=rule.label,
        text=remark.text,
        remedy=rule.remedy,
        subject=remark.subject,
        machine_id=machine.id if machine is not None else "",
        machine_name=machine.name if machine is not None else "",
        source=rule.source,
    )
