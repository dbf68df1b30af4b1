# SPDX-License-Identifier: Apache-2.0
"""A plan on disk: plan.csv (or plan.xlsx) for people, plan.json beside it with addresses, pins, inventories and facts.

The rows of the file for people count; those of plan.json are the draft, and fill columns that somebody took out.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from v2x.errors import PlanError, UsageError
from v2x.files import write_whole
from v2x.model.codec import SchemaError, from_json, to_json
from v2x.model.plan import PLAN_SCHEMA, Plan, PlanRow
from v2x.plan.columns import tidy_row
from v2x.plan.csvfile import read_rows, write_rows
from v2x.plan.xlsxfile import SUFFIX, is_workbook, read_workbook, write_workbook

_READABLE = 0o666  # less the umask: a plan is for colleagues to edit, and holds no secret


def plan_id(rows: Iterable[PlanRow]) -> str:
    """sha256 over all cells of all rows, in hex. Sorting the rows differently is no edit; anything else is.

    But for `approved_by`: who approves a plan names its id, so that his name cannot be a part of it.
    """
    signed = (replace(tidy_row(row), approved_by="") for row in rows)
    tidied = sorted(signed, key=lambda row: (row.source, row.machine_id, to_json(row)))
    return hashlib.sha256(to_json(tidied)).hexdigest()


def json_path(csv_path: Path) -> Path:
    """Where the rest of a plan lies. UsageError for a name that would be the CSV file itself."""
    if csv_path.suffix.casefold() == ".json":
        raise UsageError(
            f"{csv_path} would be both files of the plan", hint="name the file to edit, such as plan.csv or plan.xlsx"
        )
    return csv_path.with_suffix(".json")


def save_plan(plan: Plan, csv_path: Path) -> Plan:
    """Writes both files, each whole or not at all, and returns the plan as it will be read back.

    UsageError when the folder does not take them.
    """
    beside = json_path(csv_path)
    rows = tuple(tidy_row(row) for row in plan.rows)
    saved = replace(plan, rows=rows, id=plan_id(rows))
    try:
        # The JSON file first: a CSV file without it cannot be loaded, the other way round nothing is lost.
        write_whole(beside, to_json(saved), mode=_READABLE)
        write_whole(csv_path, _written(rows, csv_path), mode=_READABLE)
    except OSError as problem:
        raise UsageError(
            f"cannot write {problem.filename or csv_path}: {problem.strerror}", hint="choose another folder with -o"
        ) from None
    return saved


def save_facts(plan: Plan, csv_path: Path) -> None:
    """Keeps the sources and inventories of `plan` as those that its rows stand on; the rows on disk stay as they are.

    UsageError when the folder does not take it.
    """
    beside = json_path(csv_path)
    drafted = _drafted(csv_path)
    try:
        kept = replace(drafted, sources=plan.sources, inventories=plan.inventories)
        write_whole(beside, to_json(kept), mode=_READABLE)
    except OSError as problem:
        raise UsageError(f"cannot write {beside}: {problem.strerror}", hint="check the folder and its space") from None


def load_plan(csv_path: Path) -> Plan:
    """The plan with the rows as they are in the CSV file now, and their id.

    PlanError when a file is missing, damaged or of another version; PlanFileError for wrong cells.
    """
    data = _read(csv_path, "v2x plan draft writes one")
    drafted = _drafted(csv_path)
    base = {(row.source, row.machine_id): row for row in drafted.rows}
    rows = (read_workbook if is_workbook(data) else read_rows)(data, str(csv_path), base)
    return replace(drafted, rows=rows, id=plan_id(rows))


def _drafted(csv_path: Path) -> Plan:
    """The other half of a plan, as it is on disk."""
    beside = json_path(csv_path)
    text = _read(beside, f"v2x plan draft writes it; it must stay beside {csv_path.name}")
    try:
        return from_json(text, Plan, PLAN_SCHEMA)
    except SchemaError as problem:
        raise PlanError(f"{beside} is not the other half of a plan: {problem}", hint="draft the plan again") from None


def _written(rows: Iterable[PlanRow], path: Path) -> bytes:
    return write_workbook(rows) if path.suffix.casefold() == SUFFIX else write_rows(rows)


def _read(path: Path, hint: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise PlanError(f"cannot read {path}: {problem.strerror}", hint=hint) from None
