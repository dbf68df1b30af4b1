# SPDX-License-Identifier: Apache-2.0
"""The single door from strings of unknown origin to a terminal, a log line or a spreadsheet cell."""

import unicodedata

_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_CELL_STARTS = ("=", "+", "-", "@", "\t", "\r", "'")


def printable(text: str, limit: int = 400) -> str:
    """`text` with control, format, surrogate and private characters shown as escapes, at most `limit` long.

    Escapes of terminals (ESC, C1), bidirectional overrides and line ends cannot pass.
    """
    shown: list[str] = []
    for char in text[: limit + 1]:
        if unicodedata.category(char) in _UNSAFE_CATEGORIES:
            point = ord(char)
            shown.append(f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}")
        else:
            shown.append(char)
    joined = "".join(shown)
    return joined if len(joined) <= limit else joined[: limit - 1] + "…"


def csv_cell(text: str) -> str:
    """`text` made safe as a spreadsheet cell: a leading formula sign, or apostrophe, gets an apostrophe before it."""
    return "'" + text if text.startswith(_CELL_STARTS) else text


def from_csv_cell(text: str) -> str:
    """The inverse of `csv_cell`; an apostrophe that guards nothing stays."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_CELL_STARTS) else text


def plural(count: int, noun: str, several: str | None = None) -> str:
    """`1 disk`, `3 disks`; `several` is given where the plural is irregular."""
    return f"{count:,} {noun if count == 1 else several or noun + 's'}"
