# SPDX-License-Identifier: Apache-2.0
"""A plan's rows as an Excel workbook: the cells of the CSV file, all as text, so that no spreadsheet changes them.

Dates, ids of digits and texts that look like formulas stay what they are. Read through the reader for workbooks of
unknown origin; formulas count by the value that was saved with them.
"""

import io
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from v2x.errors import PlanError, UsageError
from v2x.model.plan import PlanRow
from v2x.plan.columns import BY_NAME
from v2x.plan.csvfile import records_of, rows_of
from v2x.workbook.edited_sheet import MOST_FILE_BYTES, sheet_table
from v2x.workbook.xlsx import MOST_CELL_SIGNS

SUFFIX = ".xlsx"
SHEET = "Plan"
_WIDE = {"comment": 80, "note": 40, "storage": 36, "networks": 36, "machine_id": 38}
# Signs that XML cannot hold, and what would read as one of them, are written as Excel does: _x0007_.
_UNWRITABLE = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)|[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def write_workbook(rows: Iterable[PlanRow]) -> bytes:
    """The rows as the bytes of an .xlsx file. UsageError for a text longer than a cell of Excel can hold."""
    return workbook_of(records_of(rows))


def workbook_of(records: Sequence[Sequence[str]]) -> bytes:
    """The records, the first of them being the header, as one sheet."""
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    texts = [[_writable(text) for text in record] for record in records]
    book = Workbook(write_only=True)
    page = book.create_sheet(SHEET)
    page.freeze_panes = "C2"
    for number, name in enumerate(records[0], 1):
        page.column_dimensions[get_column_letter(number)].width = _WIDE.get(name, 16)

    def cell(text: str, *, bold: bool = False) -> Any:
        made = WriteOnlyCell(page, text)
        made.number_format = "@"
        made.data_type = "s"
        if bold:
            made.font = Font(bold=True)
        return made

    for place, record in enumerate(texts):
        page.append([cell(text, bold=not place) if text else None for text in record])
    page.auto_filter.ref = f"A1:{get_column_letter(len(records[0]))}{len(records)}"
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _writable(text: str) -> str:
    shown = _UNWRITABLE.sub(lambda found: f"_x{ord(found[0]):04X}_", text)
    if len(shown) > MOST_CELL_SIGNS:
        raise UsageError(
            f"a cell of the plan has {len(shown):,} signs, a workbook takes {MOST_CELL_SIGNS:,}: {text[:40]!r}",
            hint="write the plan as .csv",
        )
    return shown


def read_workbook(
    data: bytes, name: str = "plan.xlsx", base: Mapping[tuple[str, str], PlanRow] | None = None
) -> tuple[PlanRow, ...]:
    """The rows of an .xlsx file, as read_rows. InputRefused where the file is damaged or unsafe."""
    if len(data) > MOST_FILE_BYTES:
        raise PlanError(f"{name} has {len(data):,} bytes, a plan has far less", hint="give the plan itself")
    return rows_of(sheet_table(data, name, BY_NAME), name, base)


def is_workbook(data: bytes) -> bool:
    """Whether the content is a zip archive, as workbooks are, whatever the file is called."""
    return data.startswith(b"PK\x03\x04") and zipfile.is_zipfile(io.BytesIO(data))
