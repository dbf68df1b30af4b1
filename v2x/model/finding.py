# SPDX-License-Identifier: Apache-2.0
"""What an assessment says of a machine, a plan or a target."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """UNKNOWN: a rule could not be asked, because a fact is missing. It says neither that something is wrong nor that
    all is well, so it weighs nothing.
    """

    BLOCKER = "blocker"
    WARNING = "warning"
    INFO = "info"
    UNKNOWN = "unknown"

    @property
    def weight(self) -> int:
        return {"blocker": 3, "warning": 2, "info": 1, "unknown": 0}[self.value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule that spoke. `label` is the same for all machines a rule speaks of; `text` holds this machine's data.

    Where a fact was missing, `severity` is UNKNOWN, `at_stake` what the rule weighs when it speaks, and `remedy` how to
    get the fact. One that concerns a machine's verdict names the machine; any other stands once for all machines, and
    `machines` are the ids of those it is about (empty: all).
    """

    rule: str
    severity: Severity
    label: str
    text: str
    remedy: str
    subject: str = ""
    machine_id: str = ""
    machine_name: str = ""
    source: str = ""
    at_stake: Severity | None = None
    machines: tuple[str, ...] = ()


class Verdict(StrEnum):
    """What the findings of a machine come to: the worst of them decides."""

    READY = "ready"
    WARNINGS = "ready with changes"
    BLOCKED = "blocked"
    UNKNOWN = "unknown"


def verdict_of(findings: Iterable[Finding]) -> Verdict:
    """The verdict on a machine from its findings: a fact that its verdict hangs on decides where nothing blocks.

    What is unknown of many machines at once names none of them, and decides nothing.
    """
    severities = {one.severity for one in findings if one.severity is not Severity.UNKNOWN or one.machine_id}
    if Severity.BLOCKER in severities:
        return Verdict.BLOCKED
    if Severity.UNKNOWN in severities:
        return Verdict.UNKNOWN
    return Verdict.WARNINGS if Severity.WARNING in severities else Verdict.READY
