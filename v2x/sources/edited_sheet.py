# SPDX-License-Identifier: Apache-2.0
"""One sheet of a workbook that people edited, as texts; formulas are never evaluated."""

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from v2x.errors import BadImage, InputRefused
from v2x.sources.packed import Archive
from v2x.sources.xlsx import Cell, Workbook

MOST_FILE_BYTES = 256 << 20


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
                named = {at: re.sub(r"[\s\-]+", "_", text.strip().casefold()) for at, text in header.items()}
                return {at: text for at, text in named.items() if text in columns}

            for number, row in enumerate(book.rows(sheet, choose), 2):
                yield number, {key: _text(cell) for key, cell in row.items()}
    except OSError as trouble:
        raise InputRefused(
            f"cannot read {path}: {trouble.strerror}", code="MISSING-FILE", hint="check the path"
        ) from None


def _text(cell: Cell) -> str:
    """As a person would type it: `yes` for a tick, `2` for the number two."""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else str(cell)
    return cell
