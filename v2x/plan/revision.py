# SPDX-License-Identifier: Apache-2.0
"""What differs between two versions of a plan, row by row, in the words of its columns."""

from collections.abc import Iterable, Iterator

from v2x.model.plan import PlanRow
from v2x.plan.columns import COLUMNS, tidy_row
from v2x.plan.relations import key_of

_UNCOUNTED = frozenset({"approved_by", "comment"})
"""Columns of which a change changes nothing that is done."""


def revisions(before: Iterable[PlanRow], now: Iterable[PlanRow]) -> tuple[str, ...]:
    """One line for each row that differs, was taken out, or is new in a wave that the earlier version had."""
    then = {key_of(row): tidy_row(row) for row in before}
    there = {key_of(row): tidy_row(row) for row in now if not row.exclude}
    waves = {row.wave for row in then.values()}
    return tuple(_lines(then, there, waves))


def _lines(
    then: dict[tuple[str, str], PlanRow], there: dict[tuple[str, str], PlanRow], waves: set[int]
) -> Iterator[str]:
    for key, row in then.items():
        if key not in there:
            yield f"{row.machine_name}: left out now"
            continue
        changed = "; ".join(_changes(row, there[key]))
        if changed:
            yield f"{row.machine_name}: {changed}"
    for key, row in there.items():
        if key not in then and row.wave in waves:
            yield f"{row.machine_name}: new"


def _changes(before: PlanRow, now: PlanRow) -> Iterator[str]:
    for column in COLUMNS:
        old, new = getattr(before, column.field), getattr(now, column.field)
        if old != new and column.name not in _UNCOUNTED:
            yield f"{column.name} {_cell(column.write, old)} → {_cell(column.write, new)}"


def _cell(write: object, value: object) -> str:
    text = write(value) if callable(write) and value is not None else ""
    return str(text) or "(empty)"
