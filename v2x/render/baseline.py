# SPDX-License-Identifier: Apache-2.0
"""What changed since an earlier assessment, which its JSON tells."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from v2x.errors import BadImage
from v2x.model.codec import SchemaError, from_json
from v2x.model.finding import Finding, Verdict
from v2x.model.inventory import SourceInfo

MOST_BASELINE_BYTES = 1 << 30
ASSESSMENT_SCHEMA = "v2x.assessment/1"
VERDICT_WORDS = {
    Verdict.READY: "ready",
    Verdict.WARNINGS: "warnings",
    Verdict.BLOCKED: "blocked",
    Verdict.UNKNOWN: "unknown",
}

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PastMachine:
    """A machine of an assessment; `verdict` is a word of the JSON: ready, warnings, blocked."""

    id: str
    name: str
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTarget:
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The part of an assessment's JSON that is compared."""

    created: datetime
    version: str
    source: SourceInfo
    machines: tuple[PastMachine, ...]
    findings: tuple[Finding, ...]
    target: PastTarget | None = None

    def only(self, select: Callable[[str], bool]) -> "Baseline":
        """Without the machines, and findings about them, whose name and id do not pass."""
        machines = tuple(one for one in self.machines if select(one.name) or select(one.id))
        known = {one.id for one in machines}
        left_out = {one.id for one in self.machines} - known
        return Baseline(
            created=self.created,
            version=self.version,
            source=self.source,
            machines=machines,
            findings=tuple(one for one in self.findings if one.machine_id not in left_out),
            target=self.target,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictChange:
    id: str
    name: str
    before: str
    now: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """`new_findings` and `gone_findings` speak of machines that both assessments know, and of the estate.

    `cautions` says in sentences what else differs between the two, so that nobody takes it for a change of the estate.
    """

    since: datetime
    new_machines: tuple[PastMachine, ...] = ()
    gone_machines: tuple[PastMachine, ...] = ()
    verdicts: tuple[VerdictChange, ...] = ()
    new_findings: tuple[Finding, ...] = ()
    gone_findings: tuple[Finding, ...] = ()
    cautions: tuple[str, ...] = field(default=())

    @property
    def count(self) -> int:
        machines = len(self.new_machines) + len(self.gone_machines) + len(self.verdicts)
        return machines + len(self.new_findings) + len(self.gone_findings)


def spoken_verdict(word: str) -> str:
    """A verdict's word of the JSON as reports say it; one of another release as it is."""
    return next((str(verdict) for verdict, known in VERDICT_WORDS.items() if known == word), word)


def read_baseline(data: bytes, name: str) -> Baseline:
    """The assessment in `data`, which `v2x assess --format json` wrote; BadImage for anything else."""
    try:
        return from_json(data, Baseline, ASSESSMENT_SCHEMA)
    except SchemaError as problem:
        raise BadImage(
            f"{name} is not an assessment of v2x: {problem}",
            hint="give a file written by v2x assess SOURCE --format json -o FILE",
        ) from None


def changes_since(
    old: Baseline,
    machines: Sequence[PastMachine],
    findings: Sequence[Finding],
    *,
    source: str,
    target: str,
    version: str,
) -> Changes:
    """Compares by machine id; a machine whose id is new counts as the one of the same name, if there is only one."""
    same = _pairs(old.machines, machines)
    before = {one.id: one for one in old.machines}
    now = {one.id: one for one in machines}
    past_of = {present: past for past, present in same.items()}
    estate_old = [one for one in old.findings if one.machine_id not in before]
    estate_now = [one for one in findings if one.machine_id not in now]
    both_old = [one for one in old.findings if one.machine_id in same]
    both_now = [one for one in findings if one.machine_id in past_of]
    new, gone = _difference([*estate_old, *both_old], [*estate_now, *both_now], same)
    return Changes(
        since=old.created,
        new_machines=tuple(one for one in machines if one.id not in past_of),
        gone_machines=tuple(one for one in old.machines if one.id not in same),
        verdicts=tuple(
            VerdictChange(id=one.id, name=one.name, before=before[past_of[one.id]].verdict, now=one.verdict)
            for one in machines
            if one.id in past_of and before[past_of[one.id]].verdict != one.verdict
        ),
        new_findings=new,
        gone_findings=gone,
        cautions=tuple(_cautions(old, source, target, version)),
    )


def _pairs(old: Iterable[PastMachine], new: Iterable[PastMachine]) -> dict[str, str]:
    """Id then → id now."""
    old, new = list(old), list(new)
    now = {one.id for one in new}
    pairs = {one.id: one.id for one in old if one.id in now}
    left_old = [one for one in old if one.id not in pairs]
    left_new = {one.id: one for one in new if one.id not in pairs}
    names_old = Counter(one.name for one in old)
    names_new = Counter(one.name for one in new)
    by_name = {one.name: one.id for one in left_new.values() if names_new[one.name] == 1}
    for one in left_old:
        if names_old[one.name] == 1 and one.name in by_name:
            pairs[one.id] = by_name[one.name]
    return pairs


def _difference(
    old: Sequence[Finding], new: Sequence[Finding], same: dict[str, str]
) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """(new, gone). A finding is the same if rule, machine and subject are: its text may hold changing figures."""
    present = set(same.values())
    keys_old = [(one.rule, same.get(one.machine_id, ""), one.subject) for one in old]
    keys_new = [(one.rule, one.machine_id if one.machine_id in present else "", one.subject) for one in new]
    return _surplus(new, keys_new, keys_old), _surplus(old, keys_old, keys_new)


def _surplus(findings: Sequence[Finding], keys: Sequence[Key], others: Sequence[Key]) -> tuple[Finding, ...]:
    left = Counter(others)
    surplus: list[Finding] = []
    for finding, key in zip(findings, keys, strict=True):
        if left[key]:
            left[key] -= 1
        else:
            surplus.append(finding)
    return tuple(surplus)


def _cautions(old: Baseline, source: str, target: str, version: str) -> Iterable[str]:
    before = old.target.address if old.target is not None else ""
    if old.source.address != source:
        yield f"The earlier assessment was of another source: {old.source.address}."
    if before != target:
        was, is_now = before or "no target", target or "no target"
        yield f"The earlier assessment was against {was}, this one is against {is_now}."
    if old.version != version:
        yield f"The earlier assessment was made by v2x {old.version}, which may not have had all rules."
