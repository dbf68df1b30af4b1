# SPDX-License-Identifier: Apache-2.0
"""What was changed inside a guest, as people read it: the file, what went and what came, and why."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from v2x.model.migration import GuestChange
from v2x.text import plural

_PLAIN = {"command": ("ran", False), "copy": ("copied", True), "file": ("put", True)}
"""Changes without a before: what they are called, and whether they lead somewhere."""
_MOST_LINES = 40
_LONGEST_TEXT = 200_000
"""Of longer files no difference is looked for: that takes time by the square of their lines."""


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """One change. `lines` begin with `- ` for what went and `+ ` for what came."""

    verb: str
    what: str
    why: str
    lines: tuple[str, ...] = ()


def change_line(change: GuestChange) -> ChangeLine:
    if change.kind in _PLAIN:
        verb, leads = _PLAIN[change.kind]
        return ChangeLine(verb, f"{change.what} to {change.after}" if leads else change.what, change.why)
    if change.kind == "registry":
        values = f"{change.before or 'none'} becomes {change.after or 'none'}"
        return ChangeLine("set", change.what, f"{values}: {change.why}")
    if change.after is None:
        return ChangeLine("removed", change.what, change.why)
    if change.kind == "link":
        return ChangeLine("linked", f"{change.what} to {change.after}", change.why, _was(change.before))
    verb = "made" if change.before is None else "edited"
    return ChangeLine(verb, change.what, change.why, _shortened(change.before or "", change.after))


def _was(before: str | None) -> tuple[str, ...]:
    return () if before is None else (f"- {before}",)


def _shortened(before: str, after: str) -> tuple[str, ...]:
    if len(before) + len(after) > _LONGEST_TEXT:
        return ("the file is long; the report as JSON has it before and after",)
    found = list(difference(before, after))
    if len(found) > _MOST_LINES:
        rest = plural(len(found) - _MOST_LINES, "more line")
        return (*found[:_MOST_LINES], f"{rest}; the report as JSON has the file before and after")
    return tuple(found)


def difference(before: str, after: str) -> Iterator[str]:
    """The lines that went and that came, without those that stayed."""
    for line in list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0))[2:]:
        if not line.startswith("@@"):
            yield f"{line[0]} {line[1:]}".expandtabs()
