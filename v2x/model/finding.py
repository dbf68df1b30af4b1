# SPDX-License-Identifier: Apache-2.0
"""What an assessment says of a machine, a plan or a target."""

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
