# SPDX-License-Identifier: Apache-2.0
"""Approvals: somebody's word that machines of a frozen plan may be taken out of service."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class Covered(Protocol):
    """A row of a plan, as far as approvals go by it."""

    @property
    def wave(self) -> int: ...

    @property
    def source(self) -> str: ...

    @property
    def machine_id(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One word, for one plan; `revoked` takes back what was said before of the same rows.

    `number` is that of its event in the log. `by` is who it was, as told, `user` the account that recorded it.
    With `wave`, it is about the rows of that wave, with `machine_id` about that machine of `source`, else about all.
    """

    number: int
    plan_id: str
    time: datetime
    by: str
    user: str
    change: str = ""
    wave: int | None = None
    source: str = ""
    machine_id: str = ""
    machine_name: str = ""
    revoked: bool = False

    def covers(self, row: Covered) -> bool:
        if self.machine_id:
            return (row.source, row.machine_id) == (self.source, self.machine_id)
        return self.wave is None or row.wave == self.wave

    @property
    def scope(self) -> str:
        if self.machine_id:
            return self.machine_name or self.machine_id
        return "all machines" if self.wave is None else f"wave {self.wave}"

    @property
    def words(self) -> str:
        """What was said, without when and of which plan."""
        change = f" ({self.change})" if self.change else ""
        return f"{self.scope}: {'revoked' if self.revoked else 'approved'} by {self.by}{change}"


def in_force(row: Covered, said: Iterable[Approval]) -> Approval | None:
    """The approval of a row: the last word that covers it, unless that took one back. `said` is in its order."""
    last = None
    for one in said:
        if one.covers(row):
            last = one
    return None if last is None or last.revoked else last
