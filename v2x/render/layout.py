# SPDX-License-Identifier: Apache-2.0
"""Text for a terminal: widths in columns, wrapping with a hanging indent, and optional ANSI colours."""

import unicodedata
from collections.abc import Iterator

_COLOURS = {"blocker": "31", "warning": "33", "info": "36", "unknown": "35", "good": "32", "strong": "1"}

NARROWEST = 40


def columns(text: str) -> int:
    """The columns that `text` takes: East Asian wide characters take two, combining marks none."""
    return len(text) if text.isascii() else sum(_char_columns(char) for char in text)


def _char_columns(char: str) -> int:
    if char.isascii():
        return 1
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def wrap(text: str, width: int, *, first: str = "", rest: str | None = None) -> list[str]:
    """`text` in lines of at most `width` columns, the first one after `first`, the others after `rest`.

    A word longer than a line is cut, so that no line is ever too long.
    """
    follow = " " * columns(first) if rest is None else rest
    lines: list[str] = []
    line, empty = first, True
    for word in _pieces(text, max(1, width - max(columns(first), columns(follow)))):
        gap = "" if empty else " "
        if not empty and columns(line) + 1 + columns(word) > width:
            lines.append(line)
            line, gap = follow, ""
        line, empty = line + gap + word, False
    return [*(line.rstrip() for line in lines), line.rstrip()]


def _pieces(text: str, most: int) -> Iterator[str]:
    for word in text.split():
        piece, taken = "", 0
        for char in word:
            size = _char_columns(char)
            if taken + size > most:
                yield piece
                piece, taken = "", 0
            piece, taken = piece + char, taken + size
        yield piece


def fit(text: str, width: int) -> str:
    """`text` cut to `width` columns, with an ellipsis where something is missing, and filled with spaces."""
    if columns(text) > width:
        shown = ""
        for char in text:
            if columns(shown) + _char_columns(char) > width - 1:
                break
            shown += char
        text = shown + "…"
    return text + " " * (width - columns(text))


def paint(text: str, colour: str, on: bool) -> str:
    """`text` in a colour of the scheme (blocker, warning, info, unknown, good, strong) where `on`."""
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if on else text
