# SPDX-License-Identifier: Apache-2.0
"""What led to a target machine: ids of the mapping rows used, and sentences on what differs from the source."""

from dataclasses import dataclass, field

from v2x.mapping.networks import Places
from v2x.mapping.rows import Row
from v2x.mapping.tables import Tables
from v2x.model.machine import Machine
from v2x.model.plan import PlanRow
from v2x.model.target import TargetFacts


class Ledger:
    """Collects rows and notes in the order of their use, each once."""

    def __init__(self) -> None:
        self._rows: dict[str, None] = {}
        self._notes: dict[str, None] = {}

    def used(self, row: Row) -> None:
        self._rows[row.id] = None

    def note(self, sentence: str) -> None:
        if sentence:
            self._notes[sentence] = None

    @property
    def rows(self) -> tuple[str, ...]:
        return tuple(self._rows)

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self._notes)


@dataclass(frozen=True, slots=True)
class Case:
    """One machine to map: what it is, what the plan says, where it goes, by which tables and rules, and its ledger."""

    machine: Machine
    row: PlanRow
    facts: TargetFacts
    tables: Tables
    ledger: Ledger
    places: Places = field(default_factory=Places)
