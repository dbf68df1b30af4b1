# SPDX-License-Identifier: Apache-2.0
"""Workbooks for people: sheets with a header that stays in sight, filters, and cells that never become formulas.

Rows go to disk as they come, so the length of a sheet costs no memory. The same rows give the same bytes.
"""

import io
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from v2x.text import csv_cell, printable

CELL_LIMIT = 2000
MOST_ROWS = 1_048_576  # Excel's own limit, the header included
_FULL_WIDTH_SIGNS = ("＝", "＋", "－", "＠")
_EDITABLE = "CFE2FB"
_FILLS = {"good": "E2F4E8", "warning": "FDF0D2", "blocker": "FBE4E2", "unknown": "E8ECF2"}

Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column's header and its width in signs; the header of one for people to edit has a colour."""

    header: str
    width: int = 16
    editable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """`rows` is gone through once. The column numbered `toned` gets a colour by its value."""

    title: str
    columns: Sequence[Column]
    rows: Iterable[Sequence[Value]]
    toned: int | None = None


def safe_cell(value: str) -> str:
    """`value` as a harmless cell: signs that a terminal or a formula would obey are disarmed.

    A spreadsheet set to an East Asian language takes the full-width signs for the plain ones.
    """
    return _often(value) if len(value) <= _OFTEN_LENGTH else _disarmed(value)


def _disarmed(value: str) -> str:
    shown = csv_cell(printable(value, CELL_LIMIT))
    return "'" + shown if shown.startswith(_FULL_WIDTH_SIGNS) else shown


# Labels and remedies of rules stand in tens of thousands of rows.
_OFTEN_LENGTH = 500
_often = lru_cache(maxsize=4096)(_disarmed)


def workbook(sheets: Iterable[Sheet], *, title: str, now: datetime, tones: dict[str, str]) -> bytes:
    """An .xlsx file. `tones` maps a value to good, warning, blocker or unknown."""
    from openpyxl import Workbook
    from openpyxl.writer.excel import ExcelWriter

    book = Workbook(write_only=True)
    moment = now.astimezone(UTC) if now.tzinfo is not None else now
    book.properties.creator = "v2x"
    book.properties.title = title
    book.properties.created = book.properties.modified = moment.replace(tzinfo=None, microsecond=0)
    for sheet in sheets:
        _write(book, sheet, tones)
    out = io.BytesIO()
    archive = _SteadyZip(out, "w", zipfile.ZIP_DEFLATED)
    # What Workbook.save does, but for the archive, and for the time of saving.
    ExcelWriter(book, archive).save()
    return out.getvalue()


def _write(book: Any, sheet: Sheet, tones: dict[str, str]) -> None:
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font, PatternFill
    from openpyxl.utils import get_column_letter

    page = book.create_sheet(sheet.title)
    page.freeze_panes = "A2"
    for number, column in enumerate(sheet.columns, 1):
        page.column_dimensions[get_column_letter(number)].width = column.width
    bold = Font(bold=True)
    head = [WriteOnlyCell(page, column.header) for column in sheet.columns]
    for cell, column in zip(head, sheet.columns, strict=True):
        cell.font = bold
        if column.editable:
            cell.fill = PatternFill("solid", fgColor=_EDITABLE)
    page.append(head)
    fills = {tone: PatternFill("solid", fgColor=colour) for tone, colour in _FILLS.items()}

    def plain(value: Value) -> Any:
        if not isinstance(value, str):
            return value
        shown = safe_cell(value)
        if not shown.startswith(("=", "#")):
            return shown or None
        cell = WriteOnlyCell(page, shown)
        cell.data_type = "s"  # a text, also where it reads like an error value
        return cell

    count = 1
    for row in sheet.rows:
        count += 1
        if count == MOST_ROWS:
            page.append(["… the sheet is full; the JSON report has the rest"])
            break
        cells = [plain(value) for value in row]
        if sheet.toned is not None and (tone := tones.get(str(row[sheet.toned]))):
            cell = WriteOnlyCell(page, cells[sheet.toned])
            cell.fill = fills[tone]
            cells[sheet.toned] = cell
        page.append(cells)
    page.auto_filter.ref = f"A1:{get_column_letter(len(sheet.columns))}{count}"


class _SteadyZip(zipfile.ZipFile):
    """Gives every member one date, so that the same content gives the same bytes."""

    def writestr(self, zinfo_or_arcname: Any, data: Any, *_given: Any, **_named: Any) -> None:
        super().writestr(self._member(str(zinfo_or_arcname)), data)

    def write(self, filename: Any, arcname: Any = None, *_given: Any, **_named: Any) -> None:
        with Path(filename).open("rb") as source, self.open(self._member(str(arcname)), "w") as target:
            while chunk := source.read(1 << 20):
                target.write(chunk)

    def _member(self, name: str) -> zipfile.ZipInfo:
        member = zipfile.ZipInfo(name.lstrip("/"), date_time=(1980, 1, 1, 0, 0, 0))
        member.compress_type = self.compression
        member.external_attr = 0o600 << 16
        return member
