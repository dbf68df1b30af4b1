# SPDX-License-Identifier: Apache-2.0
"""A plan's rows as CSV, for spreadsheets: written safe and plain, read in every shape that spreadsheets save.

Written: UTF-8 with a byte order mark (Excel needs it to see UTF-8), commas, CRLF, formula signs disarmed. Read: UTF-8
with or without the mark, UTF-16, commas, semicolons or tabs, columns in any order and case, quoted line ends, blank
lines, `sep=;`. All errors of a file are reported at once, each with row, column, value and what would be valid.
"""

import codecs
import csv
import difflib
import io
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any

from v2x.errors import PlanError
from v2x.model.plan import PlanRow
from v2x.plan.cells import CellError, read_pairs, tidy
from v2x.plan.columns import BY_NAME, COLUMNS, Column, tidy_row
from v2x.text import csv_cell, from_csv_cell
from v2x.workbook.edited_sheet import column_name

SHOWN_PROBLEMS = 20
RESULT = "result_"
"""Begins the columns that a batch adds; a plan that is read does without them."""
_DELIMITERS = (",", ";", "\t")
_SHOWN_CELL = 60
_ALIKE = 0.75
# A spreadsheet that takes an id of digits for a number shows and saves it rounded: 4.21345E+15.
_ROUNDED = re.compile(r"[+-]?\d([.,]\d+)?E[+-]\d{1,3}", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?\d{1,40}([.,]\d{1,40})?(E[+-]?\d{1,3})?", re.IGNORECASE | re.ASCII)
_NAMES = frozenset({"machine_name", "target_name", "change"})
_IDS = frozenset({"machine_id", "host", "template", "resource_set"})
# A MAC address, whole or as a time or number: 00:50:56:aa:00:01, 10:20:30, 5,056E+09.
_MAC_ALIKE = re.compile(r"[0-9a-f]{1,4}([:.\-][0-9a-f]{1,4}){1,7}|[0-9a-f]{12}|\d+([.,]\d+)?E[+-]?\d+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file: `row` counts as a spreadsheet does, the header being row 1; 0 is the whole file."""

    row: int
    column: str
    text: str

    def __str__(self) -> str:
        place = f"row {self.row}" if self.row else ""
        place += f"{', ' if place else ''}column {self.column}" if self.column else ""
        return f"{place}: {self.text}" if place else self.text


class PlanFileError(PlanError):
    """A plan file with everything that is wrong in it."""

    def __init__(self, name: str, problems: Sequence[Problem]) -> None:
        count = f"1 error: {problems[0]}" if len(problems) == 1 else f"{len(problems)} errors"
        super().__init__(
            f"{name}: {count}", hint="correct the file and check it again; docs/plan-csv.md describes every column"
        )
        if len(problems) > 1:
            more = len(problems) - SHOWN_PROBLEMS
            shown = tuple(str(problem) for problem in problems[:SHOWN_PROBLEMS])
            self.details = (*shown, f"and {more} more") if more > 0 else shown
        self.problems = tuple(problems)


def write_rows(rows: Iterable[PlanRow]) -> bytes:
    """The rows as the bytes of a CSV file, in their order."""
    return csv_of(records_of(rows))


def records_of(rows: Iterable[PlanRow]) -> list[list[str]]:
    """The header and the cells of the rows, safe for any spreadsheet."""
    records = [[column.name for column in COLUMNS]]
    for row in map(tidy_row, rows):
        records.append([csv_cell(_written(column, getattr(row, column.field))) for column in COLUMNS])
    return records


def csv_of(records: Iterable[Sequence[str]]) -> bytes:
    """Records as a CSV file for spreadsheets; the cells are safe already."""
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows(records)
    return codecs.BOM_UTF8 + out.getvalue().encode()


def _written(column: Column, value: Any) -> str:
    return "" if value is None else column.write(value)


def read_rows(
    data: bytes, name: str = "plan.csv", base: Mapping[tuple[str, str], PlanRow] | None = None
) -> tuple[PlanRow, ...]:
    """The rows of a CSV file. `base` holds drafted rows by (source, machine id): columns that the file lacks come
    from there. PlanFileError lists everything that is wrong.
    """
    return rows_of(_records(_text(data, name), name), name, base)


def rows_of(
    records: list[list[str]], name: str, base: Mapping[tuple[str, str], PlanRow] | None = None
) -> tuple[PlanRow, ...]:
    """The rows in the records of a file, the header among them; as read_rows."""
    problems: list[Problem] = []
    header_row, columns = _header(records, problems, name)
    width = len(records[header_row - 1])
    rows: list[PlanRow] = []
    for number, record in enumerate(records[header_row:], header_row + 1):
        if not any(cell.strip() for cell in record):
            continue
        if any(cell.strip() for cell in record[width:]):
            problems.append(Problem(number, "", f"has {len(record)} cells under {width} columns; is a name unquoted?"))
        row = _row(record, number, columns, base or {}, problems)
        if row is not None:
            rows.append(row)
    if problems:
        raise PlanFileError(name, problems)
    return tuple(rows)


def _text(data: bytes, name: str) -> str:
    head = data[:200]
    encoding = "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif head[1::2].count(0) > len(head) // 4:
        encoding = "utf-16-le"
    elif head[::2].count(0) > len(head) // 4:
        encoding = "utf-16-be"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as problem:
        raise PlanError(
            f"{name} is not UTF-8 or UTF-16 text (byte {problem.start:,})",
            hint="save it as 'CSV UTF-8' in the spreadsheet",
        ) from None


def table_of(data: bytes, name: str, known: Collection[str]) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header of a CSV file, in lower case with `_`, and the numbered records below it.

    `known` are columns that tell which delimiter is meant. PlanError for what is no text, PlanFileError for no CSV.
    """
    records = _records(_text(data, name), name, known)
    at = next((number for number, record in enumerate(records) if any(cell.strip() for cell in record)), None)
    if at is None:
        return [], []
    header = [column_name(cell) for cell in records[at]]
    return header, [(number, record) for number, record in enumerate(records[at + 1 :], at + 2) if any(record)]


def _records(text: str, name: str, known_columns: Collection[str] = BY_NAME) -> list[list[str]]:
    """The records of the file under the delimiter that makes most of its header."""
    hint_line = re.match(r'\s*"?sep=(.)"?[ \t]*(\r\n|\r|\n)', text, re.IGNORECASE)
    if hint_line:
        text = text[hint_line.end() :]
    best: list[list[str]] = []
    score = -1
    for delimiter in _DELIMITERS:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        try:
            head = next((record for record in reader if any(cell.strip() for cell in record)), [])
        except csv.Error:
            continue
        known = sum(column_name(cell) in known_columns for cell in head)
        if known > score:
            best, score = _read_all(text, delimiter, name) if known else [], known
    return best


def _read_all(text: str, delimiter: str, name: str) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    records: list[list[str]] = []
    try:
        records.extend(reader)
    except csv.Error as problem:
        raise PlanFileError(name, [Problem(len(records) + 1, "", f"is not CSV: {problem}")]) from None
    return records


def _header(records: list[list[str]], problems: list[Problem], name: str) -> tuple[int, dict[int, Column]]:
    """How many records the header ends at, and the known columns by their place."""
    at = next((number for number, record in enumerate(records) if any(cell.strip() for cell in record)), None)
    if at is None:
        raise PlanError(
            f"{name} has no header line with columns of a plan", hint="the first line names the columns: machine_id, …"
        )
    columns: dict[int, Column] = {}
    for place, cell in enumerate(records[at]):
        word = column_name(cell)
        column = BY_NAME.get(word)
        if column is None:
            if word.startswith(RESULT):
                continue
            close = difflib.get_close_matches(word, BY_NAME, n=1, cutoff=_ALIKE)
            if close:
                problems.append(Problem(at + 1, cell.strip(), f"is no column of a plan; did you mean {close[0]}?"))
        elif column in columns.values():
            problems.append(Problem(at + 1, column.name, "stands there twice"))
        else:
            columns[place] = column
    problems.extend(
        Problem(at + 1, column.name, "is missing")
        for column in COLUMNS
        if column.required and column not in columns.values()
    )
    return at + 1, columns


def _row(
    record: list[str],
    number: int,
    columns: Mapping[int, Column],
    drafted: Mapping[tuple[str, str], PlanRow],
    problems: list[Problem],
) -> PlanRow | None:
    before = len(problems)
    values: dict[str, Any] = {}
    for place, column in columns.items():
        cell = from_csv_cell(tidy(record[place])) if place < len(record) else ""
        values[column.field] = _value(column, cell, number, problems)
    origin = _origin(values, drafted)
    if origin is not None:
        # Some spreadsheets and scripts change the case of ids; the source's own spelling counts.
        values["machine_id"] = origin.machine_id
        values["source"] = origin.source
        for name in _NAMES & values.keys():
            values[name] = _as_drafted(values[name], getattr(origin, name))
    for column in COLUMNS:
        if column.field not in values:
            values[column.field] = getattr(origin, column.field) if origin is not None else column.default
    for name in ("source", "target"):
        if not values[name]:
            values[name] = getattr(origin, name) if origin is not None else ""
        if not values[name]:
            problems.append(Problem(number, name, "is empty; valid: the alias that plan.json or v2x.toml gives it"))
    return PlanRow(**values) if len(problems) == before else None


def _as_drafted(text: str, drafted: str) -> str:
    """`drafted` where a spreadsheet took that name for a number and saved the number: 42 for 0042, 1.00E+05 for 1E5."""
    if text == drafted or not (_NUMBER.fullmatch(text) and _NUMBER.fullmatch(drafted)):
        return text
    saved, meant = Decimal(text.replace(",", ".")), Decimal(drafted.replace(",", "."))
    if _ROUNDED.fullmatch(text):
        meant = Context(prec=len(saved.as_tuple().digits)).create_decimal(meant)
    return drafted if saved == meant else text


def _value(column: Column, cell: str, number: int, problems: list[Problem]) -> Any:
    if not cell:
        if column.required:
            problems.append(Problem(number, column.name, "is empty"))
        return dict(column.default) if isinstance(column.default, dict) else column.default
    mangled = _mangled(column, cell)
    if mangled:
        problems.append(Problem(number, column.name, mangled))
        return column.default
    try:
        return column.read(cell)
    except CellError as problem:
        shown = cell if len(cell) <= _SHOWN_CELL else cell[: _SHOWN_CELL - 1] + "…"
        problems.append(Problem(number, column.name, f"{shown!r} {problem}; valid: {problem.valid}"))
        return column.default


def _mangled(column: Column, cell: str) -> str:
    """What a spreadsheet did to an id, name or address that it took for a number or a time; empty where nothing."""
    if column.name in _IDS and _ROUNDED.fullmatch(cell):
        return f"{cell!r} was rounded by a spreadsheet; valid: the id as the draft had it, as text"
    words = [word for pair in cell.split(";") for word in pair.split("=")[-1:]] if column.read is read_pairs else []
    rounded = next((word.strip() for word in words if _ROUNDED.fullmatch(word.strip())), "")
    if rounded:
        return f"{rounded!r} was rounded by a spreadsheet; valid: the name or uuid as the target has it, as text"
    if column.name == "mac" and _MAC_ALIKE.fullmatch(cell):
        return f"{cell!r} is an address, or what a spreadsheet left of one; valid: keep, new"
    return ""


def _origin(values: Mapping[str, Any], drafted: Mapping[tuple[str, str], PlanRow]) -> PlanRow | None:
    """The drafted row of the same machine; without a source, the only one with its id."""
    machine_id, source = values.get("machine_id", ""), values.get("source", "")
    exact = drafted.get((source, machine_id))
    if exact is not None or not machine_id:
        return exact
    for alike in (str, str.casefold):
        found = [
            row
            for (alias, other), row in drafted.items()
            if alike(other) == alike(machine_id) and (not source or alike(alias) == alike(source))
        ]
        if found:
            return found[0] if len(found) == 1 else None
    return None
