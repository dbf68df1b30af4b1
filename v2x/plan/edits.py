# SPDX-License-Identifier: Apache-2.0
"""What people wrote into an assessment's CSV or workbook: exclude, target_name, wave and note of a machine.

A machine has a row of its own there and one for each finding; an edit counts in whichever of them it stands, and two
that differ are an error. Cells come as texts, rows with the numbers that a spreadsheet shows.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from v2x.errors import PlanError
from v2x.model.plan import Plan, PlanRow
from v2x.plan.cells import CellError, read_flag, whole_number
from v2x.plan.columns import tidy_row
from v2x.plan.csvfile import PlanFileError, Problem, table_of
from v2x.plan.store import plan_id
from v2x.text import from_csv_cell

COLUMNS = ("machine_id", "machine", "exclude", "target_name", "wave", "note")
_READ: dict[str, Callable[[str], object]] = {
    "exclude": read_flag,
    "wave": whole_number(1, 9999),
    "target_name": str,
    "note": str,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """The choices for one machine; None or empty where the file says nothing. `row` is where it stands.

    `blocked` says that the report advised to leave the machine out.
    """

    row: int
    machine: str
    blocked: bool = False
    exclude: bool | None = None
    target_name: str = ""
    wave: int | None = None
    note: str = ""


def read_edits(rows: Iterable[tuple[int, Mapping[str, str]]], name: str) -> dict[str, Edit]:
    """The edits by machine id. `rows` are (number, cells by column). PlanFileError lists everything that is wrong."""
    edits: dict[str, Edit] = {}
    problems: list[Problem] = []
    for number, cells in rows:
        machine_id = from_csv_cell(cells.get("machine_id", "")).strip()
        if not machine_id:
            continue
        found = _edit(number, cells, problems)
        known = edits.get(machine_id)
        edits[machine_id] = found if known is None else _joined(known, found, problems)
    if problems:
        raise PlanFileError(name, problems)
    return edits


def csv_edits(data: bytes, name: str) -> dict[str, Edit]:
    """The edits in a CSV report, in every shape that spreadsheets save. PlanError where it is none."""
    header, records = table_of(data, name, COLUMNS)
    if "machine_id" not in header or not {"exclude", "target_name", "wave", "note"} & set(header):
        raise PlanError(
            f"{name} is no report of v2x assess: it lacks the column machine_id, or all that can be edited",
            hint="give what v2x assess --format csv or xlsx wrote",
        )
    return read_edits(((number, dict(zip(header, record, strict=False))) for number, record in records), name)


def _edit(number: int, cells: Mapping[str, str], problems: list[Problem]) -> Edit:
    values: dict[str, Any] = {}
    for column, read in _READ.items():
        cell = from_csv_cell(cells.get(column, "")).strip()
        if not cell:
            continue
        try:
            values[column] = read(cell)
        except CellError as problem:
            problems.append(Problem(number, column, f"{cell[:60]!r} {problem}; valid: {problem.valid}"))
    return Edit(
        row=number, machine=from_csv_cell(cells.get("machine", "")), blocked=cells.get("verdict") == "blocked", **values
    )


def _joined(known: Edit, more: Edit, problems: list[Problem]) -> Edit:
    values: dict[str, Any] = {}
    for column in _READ:
        before, now = getattr(known, column), getattr(more, column)
        if now in (None, ""):
            continue
        if before not in (None, "", now):
            problems.append(Problem(more.row, column, f"differs from row {known.row} of the same machine"))
        values[column] = now
    return replace(known, **values)


def apply_edits(plan: Plan, edits: Mapping[str, Edit]) -> tuple[Plan, tuple[str, ...]]:
    """The drafted plan with the edits in its rows, and the ids of machines that the plan does not have.

    A machine whose id is another (the report was made of an export, the plan of the live source) is known by its name,
    where only one has it. A machine that the draft excludes stays so, with the reason, unless it was blocked in the
    report too and somebody wrote `no` there: then it is taken in, and `plan check` says what is wrong.
    """
    ids = {row.machine_id for row in plan.rows}
    names = Counter(row.machine_name for row in plan.rows)
    strange = {key: edit for key, edit in edits.items() if key not in ids}
    named = Counter(edit.machine for edit in strange.values())
    by_name = {one.machine: one for one in strange.values() if names[one.machine] == 1 and named[one.machine] == 1}
    rows = tuple(_edited(row, edits.get(row.machine_id) or by_name.get(row.machine_name)) for row in plan.rows)
    left = tuple(key for key, edit in strange.items() if by_name.get(edit.machine) is not edit)
    return replace(plan, rows=rows, id=plan_id(rows)), left


def _edited(row: PlanRow, edit: Edit | None) -> PlanRow:
    if edit is None:
        return row
    return tidy_row(
        replace(
            row,
            exclude=bool(edit.exclude) or (row.exclude and not (edit.blocked and edit.exclude is False)),
            target_name=edit.target_name or row.target_name,
            wave=edit.wave or row.wave,
            note=edit.note or row.note,
        )
    )
