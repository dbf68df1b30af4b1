# SPDX-License-Identifier: Apache-2.0
"""An assessment in the shape that all formats show: totals, verdicts, findings by rule, and what is not known."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from v2x.model.finding import Finding, Severity, Verdict, verdict_of
from v2x.model.forecast import Forecast, Outlook
from v2x.model.inventory import Inventory
from v2x.model.machine import Guest, GuestIdKind, Machine
from v2x.model.target import TargetFacts
from v2x.model.units import show_bytes
from v2x.render.baseline import VERDICT_WORDS, Baseline, Changes, PastMachine, changes_since

VERDICTS = (Verdict.READY, Verdict.WARNINGS, Verdict.BLOCKED, Verdict.UNKNOWN)
_VERDICT_ORDER = {Verdict.BLOCKED: 0, Verdict.UNKNOWN: 1, Verdict.WARNINGS: 2, Verdict.READY: 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """All findings of one rule, about one machine or about the whole estate."""

    rule: str
    severity: Severity
    label: str
    remedy: str
    source: str
    findings: tuple[Finding, ...]

    @property
    def machine_count(self) -> int:
        return len({finding.machine_id for finding in self.findings if finding.machine_id})


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A fact that rules lack: `text` says which, `how` how to get it, `findings` which rules wait for it."""

    text: str
    how: str
    findings: tuple[Finding, ...]

    @property
    def is_general(self) -> bool:
        """True where it is missing for every machine."""
        return any(not finding.machines for finding in self.findings)

    @property
    def machine_count(self) -> int:
        return len({machine for finding in self.findings for machine in finding.machines})


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessed:
    """One machine with its findings; `number` counts from 1 in the order of the report."""

    number: int
    machine: Machine
    verdict: Verdict
    groups: tuple[Group, ...]
    outlook: Outlook | None = None

    def count(self, severity: str) -> int:
        return sum(len(group.findings) for group in self.groups if group.severity == severity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """Everything a report shows. Machines stand with the blocked ones first, then by name."""

    inventory: Inventory
    facts: TargetFacts | None
    findings: tuple[Finding, ...]
    machines: tuple[Assessed, ...]
    estate: tuple[Group, ...]
    by_rule: tuple[Group, ...]
    now: datetime
    version: str
    changes: Changes | None = None
    gaps: tuple[Gap, ...] = ()
    forecast: Forecast | None = None

    @property
    def open_checks(self) -> int:
        """Rules that could not be asked of all machines."""
        return len({finding.rule for gap in self.gaps for finding in gap.findings})

    def count(self, verdict: str) -> int:
        return sum(1 for assessed in self.machines if assessed.verdict == verdict)

    @property
    def disk_count(self) -> int:
        return sum(len(assessed.machine.disks) for assessed in self.machines)

    @property
    def capacity_bytes(self) -> int:
        return sum(assessed.machine.capacity_bytes for assessed in self.machines)

    @property
    def memory_bytes(self) -> int:
        return sum(assessed.machine.memory.size_bytes for assessed in self.machines)


def assessment_of(
    inventory: Inventory,
    facts: TargetFacts | None,
    findings: Sequence[Finding],
    *,
    now: datetime,
    version: str,
    baseline: Baseline | None = None,
    forecast: Forecast | None = None,
) -> Assessment:
    """Sorts the findings to their machines. One that names no machine of the inventory counts for the estate."""
    known = {machine.id for machine in inventory.machines}
    of_machine: dict[str, list[Finding]] = {}
    of_estate: list[Finding] = []
    lacking = [finding for finding in findings if finding.severity is Severity.UNKNOWN and not finding.machine_id]
    told = [finding for finding in findings if finding.severity is not Severity.UNKNOWN or finding.machine_id]
    for finding in told:
        if finding.machine_id in known:
            of_machine.setdefault(finding.machine_id, []).append(finding)
        else:
            of_estate.append(finding)
    judged = [(machine, verdict_of(of_machine.get(machine.id, ()))) for machine in inventory.machines]
    judged.sort(key=lambda pair: (_VERDICT_ORDER[pair[1]], pair[0].name.casefold(), pair[0].name, pair[0].id))
    changes = None
    if baseline is not None:
        present = [PastMachine(id=one.id, name=one.name, verdict=VERDICT_WORDS[verdict]) for one, verdict in judged]
        target = facts.address if facts is not None else ""
        source = inventory.source.address
        changes = changes_since(baseline, present, findings, source=source, target=target, version=version)
    return Assessment(
        inventory=inventory,
        facts=facts,
        findings=tuple(findings),
        machines=tuple(
            Assessed(
                number=number,
                machine=machine,
                verdict=verdict,
                groups=_groups(of_machine.get(machine.id, ())),
                outlook=forecast.outlooks.get(machine.id) if forecast is not None else None,
            )
            for number, (machine, verdict) in enumerate(judged, 1)
        ),
        estate=_groups(of_estate),
        by_rule=_groups(told),
        now=now,
        version=version,
        changes=changes,
        gaps=_gaps(lacking),
        forecast=forecast,
    )


def _groups(findings: Iterable[Finding]) -> tuple[Group, ...]:
    """Findings by rule, the most severe rules first, those about many machines before those about few."""
    by_rule: dict[tuple[str, Severity], list[Finding]] = {}
    for finding in findings:
        by_rule.setdefault((finding.rule, finding.severity), []).append(finding)
    groups = [
        Group(
            rule=rule,
            severity=severity,
            label=found[0].label,
            remedy=found[0].remedy,
            source=found[0].source,
            findings=tuple(found),
        )
        for (rule, severity), found in by_rule.items()
    ]
    return tuple(sorted(groups, key=lambda group: (-group.severity.weight, -group.machine_count, group.rule)))


def _gaps(findings: Iterable[Finding]) -> tuple[Gap, ...]:
    """What is missing, the facts that most rules wait for first."""
    by_fact: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        by_fact.setdefault((finding.text, finding.remedy), []).append(finding)
    gaps = [Gap(text=text, how=how, findings=tuple(found)) for (text, how), found in by_fact.items()]
    return tuple(sorted(gaps, key=lambda gap: (-_stakes(gap), -len(gap.findings), gap.text)))


def _stakes(gap: Gap) -> int:
    return max((finding.at_stake.weight for finding in gap.findings if finding.at_stake is not None), default=0)


def guest_name(guest: Guest) -> str:
    """The guest as its source names it; the CIM vocabulary has nothing but numbers."""
    if not guest.os_name and guest.os_id and guest.os_id_kind is GuestIdKind.CIM:
        return f"CIM operating system {guest.os_id}"
    return guest.os_name or guest.os_id or "unknown system"


def target_name(facts: TargetFacts | None) -> str:
    """The target in one line, or that there is none."""
    if facts is None:
        return "none given"
    return ", ".join(word for word in (facts.address, pool_words(facts)) if word)


def pool_words(facts: TargetFacts) -> str:
    """The target's product and name, as far as it told them."""
    product = " ".join(word for word in (facts.product, facts.version) if word)
    pool = f"pool {facts.pool_name}" if facts.pool_name else ""
    return ", ".join(word for word in (product, pool) if word)


def pace_words(forecast: Forecast) -> str:
    """How fast disks are taken to travel, and why."""
    return f"{show_bytes(forecast.pace.bytes_per_second)}/s, {forecast.pace.origin}"
