# SPDX-License-Identifier: Apache-2.0
"""Values of RVTools cells: typed ones of a workbook, and text as a localised Windows writes it into CSV.

What cannot be read is None, never a guess.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from math import isfinite

from v2x.model.units import MIB
from v2x.workbook.xlsx import Cell

Row = Mapping[str, Cell]

MOST_MIB = 1 << 36  # 64 EiB: anything above is no size

# RVTools fills columns it has no value for with the word VM in some releases.
_PLACEHOLDERS = frozenset({"", "vm", "n/a", "na", "#n/a", "null", "none", "-", "--", "<null>", "(null)"})
# fmt: off
_TRUE = frozenset({
    "true", "yes", "1", "wahr", "ja", "vrai", "oui", "verdadero", "sí", "si", "vero", "sì", "waar",
    "verdadeiro", "sim", "prawda", "tak", "истина", "да", "sant", "sand", "sann", "tosi", "pravda", "ano",
    "igaz", "doğru", "evet",
})
_FALSE = frozenset({
    "false", "no", "0", "falsch", "nein", "faux", "non", "falso", "onwaar", "nee", "não", "nao", "fałsz",
    "falsz", "nie", "ложь", "нет", "falskt", "falsk", "usann", "epätosi", "nepravda", "ne", "hamis", "yanlış",
    "hayır",
})
# fmt: on
_SPACES = re.compile("[\\s\u00a0\u202f\u2009'’]")
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,20}(?:\.[0-9]{1,20})?|\.[0-9]{1,20})(?:[eE][+-]?[0-9]{1,3})?")
_MOMENT = re.compile(r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})(?:[T ]+([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?)?")
_WORD_LIMIT = 64


def text(row: Row, key: str) -> str:
    """The cell as text without blanks around it; empty for a missing one and for a placeholder."""
    words = name(row, key)
    return "" if words.lower() in _PLACEHOLDERS else words


def name(row: Row, key: str) -> str:
    """As `text`, for names: there a placeholder's word may be meant."""
    cell = row.get(key, "")
    if isinstance(cell, bool):
        return str(cell)
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    return cell.strip()


def number(row: Row, key: str) -> float | None:
    """The cell as a number; text may group thousands and mark decimals as any country does."""
    cell = row.get(key, "")
    if isinstance(cell, bool):
        return None
    if isinstance(cell, float):
        return cell
    return _read_number(cell)


def _read_number(words: str) -> float | None:
    if len(words) > _WORD_LIMIT:
        return None
    plain = _SPACES.sub("", words)
    marks = [sign for sign in plain if sign in ".,"]
    if len(set(marks)) == 2:
        # Of two kinds of marks the last one is the decimal's, and there is one of it.
        decimal = marks[-1]
        grouping = "," if decimal == "." else "."
        if marks.count(decimal) > 1:
            return None
        plain = plain.replace(grouping, "").replace(decimal, ".")
    elif marks:
        # RVTools writes whole numbers: 1.024 and 1,024 are a thousand and twenty-four, 1,5 is one and a half.
        grouped = re.fullmatch(r"[+-]?[1-9][0-9]{0,2}(?:[.,][0-9]{3})+", plain)
        if grouped is None and len(marks) > 1:
            return None
        plain = re.sub("[.,]", "", plain) if grouped else plain.replace(",", ".")
    if not _NUMBER.fullmatch(plain):
        return None
    value = float(plain)
    return value if isfinite(value) else None


def count(row: Row, key: str) -> int | None:
    """The cell as a whole number that is not negative."""
    value = number(row, key)
    return int(value) if value is not None and value >= 0 and value.is_integer() and value < 1e15 else None


def mebibytes(row: Row, key: str) -> int | None:
    """A cell in MiB (old releases wrote MB above the same figures) as bytes."""
    value = number(row, key)
    return round(value * MIB) if value is not None and 0 <= value < MOST_MIB else None


def flag(row: Row, key: str) -> bool | None:
    """The cell as yes or no, in the languages Windows writes booleans in."""
    cell = row.get(key)
    if isinstance(cell, bool):
        return cell
    if isinstance(cell, float):
        return {0.0: False, 1.0: True}.get(cell)
    if cell is None or len(cell) > _WORD_LIMIT:
        return None
    word = cell.strip().casefold()
    if word in _TRUE:
        return True
    return False if word in _FALSE else None


def moment(row: Row, key: str, *, date_1904: bool = False) -> datetime | None:
    """A date of Excel, or one written year first. RVTools names no zone; the result counts as UTC."""
    cell = row.get(key)
    if isinstance(cell, float):
        epoch = datetime(1904, 1, 1, tzinfo=UTC) if date_1904 else datetime(1899, 12, 30, tzinfo=UTC)
        # Below 1,000 it is no date of a virtual machine; 2,958,465 is the last day of 9999.
        return epoch + timedelta(seconds=round(cell * 86_400)) if 1_000 <= cell < 2_900_000 else None
    found = _MOMENT.match(cell.strip()) if isinstance(cell, str) else None
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
