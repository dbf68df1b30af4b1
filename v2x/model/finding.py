# SPDX-License-Identifier: Apache-2.0
"""What an assessment says of a machine, a plan or a target."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    BLOCKER = "blocker"
    WARNING = "warning"
    INFO = "info"

    @property
    def weight(self) -> int:
        return {"blocker": 3, "warning": 2, "info": 1}[self.value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule that spoke. `label` is the same for all machines a rule speaks of; `text` holds this machine's data."""

    rule: str
    severity: Severity
    label: str
    text: str
    remedy: str
    subject: str = ""
    machine_id: str = ""
    machine_name: str = ""
    source: str = ""


class Verdict(StrEnum):
    """What the findings of a machine come to: the worst of them decides."""

    READY = "ready"
    WARNINGS = "ready with warnings"
    BLOCKED = "blocked"


def verdict_of(findings: Iterable[Finding]) -> Verdict:
    worst = max((finding.severity.weight for finding in findings), default=0)
    if worst >= Severity.BLOCKER.weight:
        return Verdict.BLOCKED
    return Verdict.WARNINGS if worst >= Severity.WARNING.weight else Verdict.READY
