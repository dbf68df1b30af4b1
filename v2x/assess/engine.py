# SPDX-License-Identifier: Apache-2.0
"""Runs all rules over an inventory. Pure: the same input gives the same findings in the same order."""

from collections.abc import Iterator

from v2x.assess.context import context_of, estate_of
from v2x.assess.rule import Remark, Rule, Unknown
from v2x.assess.rules import ESTATE_RULES, MACHINE_RULES
from v2x.mapping.tables import Tables
from v2x.model.finding import Finding, Severity
from v2x.model.forecast import DEFAULT_PACE, Pace
from v2x.model.inventory import Inventory
from v2x.model.machine import Machine
from v2x.model.placement import Rules
from v2x.model.target import TargetFacts

_Gaps = dict[tuple[str, str, str], list[str] | None]
"""The ids of the machines that lack a fact, by rule, fact and how to get it; None where all do."""


def assess(
    inventory: Inventory,
    facts: TargetFacts | None,
    tables: Tables,
    rules: Rules | None = None,
    pace: Pace = DEFAULT_PACE,
) -> tuple[Finding, ...]:
    """All findings, the most severe first, then by machine and rule. `rules` are the user's, for networks and storage.

    Works on a saved inventory with no connection. A rule that lacks a fact, `facts` among them, gives a finding of the
    severity UNKNOWN and never counts as passed; a finding without a machine speaks of the whole estate.
    """
    estate = estate_of(inventory, facts, tables, rules, pace)
    kind = "hyperv" if estate.from_hyperv else estate.kind
    estate_rules = [rule for rule in ESTATE_RULES if not rule.sources or kind in rule.sources]
    machine_rules = [rule for rule in MACHINE_RULES if not rule.sources or kind in rule.sources]
    asked: dict[str, Rule] = {rule.id: rule for rule in (*estate_rules, *machine_rules)}
    found: list[Finding] = []
    gaps: _Gaps = {}
    for rule in asked.values():
        gaps.update({(rule.id, need.text, need.how): None for need in rule.needs if not need.met(estate)})
    for estate_rule in estate_rules:
        for said in estate_rule.check(estate):
            _take(estate_rule, said, None, found, gaps)
    for machine in inventory.machines:
        context = context_of(machine, estate)
        for machine_rule in machine_rules:
            for said in machine_rule.check(context):
                _take(machine_rule, said, machine, found, gaps)
    total = len(inventory.machines)
    found += [_gap(asked[rule], text, how, lacking, total) for (rule, text, how), lacking in gaps.items()]
    # The sort is stable: what one rule says of one machine stays in the order of its disks or cards.
    return tuple(sorted(found, key=_order))


def rules() -> Iterator[Rule]:
    """Every rule, by id."""
    yield from sorted((*ESTATE_RULES, *MACHINE_RULES), key=lambda rule: rule.id)


def _order(finding: Finding) -> tuple[int, str, str, str]:
    return (-finding.severity.weight, finding.machine_name, finding.machine_id, finding.rule)


def _take(rule: Rule, said: Remark | Unknown, machine: Machine | None, found: list[Finding], gaps: _Gaps) -> None:
    """Keeps what was said: as a finding, or, where a fact is missing that many may lack, once for all of them."""
    if isinstance(said, Remark):
        found.append(_finding(rule, said.text, said.subject, machine))
    elif said.decides and machine is not None:
        found.append(_finding(rule, said.text, said.subject, machine, how=said.how))
    else:
        lacking = gaps.setdefault((rule.id, said.text, said.how), [])
        if lacking is not None and machine is not None and (not lacking or lacking[-1] != machine.id):
            lacking.append(machine.id)


def _gap(rule: Rule, text: str, how: str, machines: list[str] | None, total: int) -> Finding:
    ids = () if machines is None or len(machines) == total else tuple(machines)
    return _finding(rule, text, "", None, how=how, machines=ids)


def _finding(
    rule: Rule, text: str, subject: str, machine: Machine | None, *, how: str = "", machines: tuple[str, ...] = ()
) -> Finding:
    return Finding(
        rule=rule.id,
        severity=Severity.UNKNOWN if how else rule.severity,
        label=rule.label,
        text=text,
        remedy=how or rule.remedy,
        subject=subject,
        machine_id=machine.id if machine is not None else "",
        machine_name=machine.name if machine is not None else "",
        source=rule.source,
        at_stake=rule.severity if how else None,
        machines=machines,
    )
