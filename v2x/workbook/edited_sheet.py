# SPDX-License-Identifier: Apache-2.0
"""One sheet of a workbook that people edited, as texts; formulas are never evaluated."""

import io
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from v2x.errors import BadImage, InputRefused, UnsafeImage
from v2x.workbook.packed import Archive
from v2x.workbook.xlsx import MOST_ROWS, Cell, Workbook

MOST_FILE_BYTES = 256 << 20
MOST_PLAN_COLUMNS = 512


def sheet_rows(path: Path, sheet: str, columns: Collection[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of `sheet` as (number, text by column), for columns of the header that are in `columns`.

    InputRefused for a file that cannot be read or lacks the sheet, BadImage and UnsafeImage for damage and bombs.
    """
    try:
        if path.stat().st_size > MOST_FILE_BYTES:
            raise InputRefused(f"{path} has {path.stat().st_size:,} bytes, a report has far less")
        with path.open("rb") as file:
            book = Workbook(Archive(file, path.name))
            if sheet not in book.sheets:
                raise BadImage(
                    f"{path.name} has no sheet {sheet}", hint="give a workbook that v2x assess --format xlsx wrote"
                )

            def choose(header: Mapping[int, str]) -> dict[int, str]:
                named = {at: column_name(text) for at, text in header.items()}
                return {at: text for at, text in named.items() if text in columns}

            for number, row in book.numbered(sheet, choose):
                yield number, {key: _text(cell) for key, cell in row.items()}
    except OSError as trouble:
        raise InputRefused(
            f"cannot read {path}: {trouble.strerror}", code="MISSING-FILE", hint="check the path"
        ) from None


def sheet_table(data: bytes, name: str, known: Collection[str]) -> list[list[str]]:
    """All cells of a workbook's sheet as texts, row by row; element 0 is the sheet's row 1, rows left out are empty.

    The sheet is the one whose header has most of the columns `known`; an empty list where none has any. BadImage and
    UnsafeImage for damage and bombs.
    """
    book = Workbook(Archive(io.BytesIO(data), name))
    best: list[list[str]] = []
    score = 0
    for sheet in book.sheets:
        header: dict[int, str] = {}

        def choose(found: Mapping[int, str], header: dict[int, str] = header) -> dict[int, str]:
            header.update(found)
            return {at: str(at) for at in found if at < MOST_PLAN_COLUMNS}

        rows = book.numbered(sheet, choose)
        first = next(rows, None)
        count = sum(column_name(text) in known for text in header.values())
        if count > score:
            best, score = _table(header, first, rows, name), count
    return best


def _table(
    header: Mapping[int, str],
    first: tuple[int, dict[str, Cell]] | None,
    rows: Iterator[tuple[int, dict[str, Cell]]],
    name: str,
) -> list[list[str]]:
    width = min(max(header) + 1, MOST_PLAN_COLUMNS)
    table = [[header.get(at, "") for at in range(width)]]
    for number, cells in (first, *rows) if first is not None else ():
        if number > MOST_ROWS:
            raise UnsafeImage(f"{name} has a row numbered {number:,}", hint="delete the empty rows above it")
        table += [[] for _ in range(number - 1 - len(table))]
        table.append([_text(cells[str(at)]) if str(at) in cells else "" for at in range(width)])
    return table


def column_name(text: str) -> str:
    """A header as it is compared: lower case, `_` for blanks and hyphens."""
    return re.sub(r"[\s\-]+", "_", text.strip().casefold())


def _text(cell: Cell) -> str:
    """As a person would type it: `yes` for a tick, `2` for the number two.

    A number of more digits than a spreadsheet keeps was rounded by it; it is written so that this can be seen.
    """
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        if abs(cell) >= 1e15:
            return f"{cell:.14E}"
        return str(int(cell)) if cell.is_integer() else str(cell)
    return cell
