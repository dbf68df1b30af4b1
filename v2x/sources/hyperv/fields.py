# SPDX-License-Identifier: Apache-2.0
"""Tolerant access to the collected JSON: what PowerShell's versions write differently reads alike here.

A list of one may stand as its only member, an empty one as null or "", and Windows PowerShell wraps some lists as
{"value": [...], "Count": n}. Times are ISO 8601 or /Date(milliseconds)/. Keys are compared without case.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from v2x.sources.hyperv.words import word

_TICKS = re.compile(r"/Date\((-?\d+)(?:[+-]\d{4})?\)/")
_MOST_CHARACTERS = 64 * 1024


class Fields:
    """One object of the document. A value of another kind than asked for is as good as none."""

    def __init__(self, content: Any) -> None:
        self._content = {}
        if isinstance(content, Mapping):
            self._content = {str(key).casefold(): value for key, value in content.items()}

    def __bool__(self) -> bool:
        return bool(self._content)

    def get(self, key: str) -> Any:
        return self._content.get(key.casefold())

    def text(self, key: str) -> str:
        """A text without surrounding blanks; numbers as they are written."""
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return ""
        return str(value).strip()[:_MOST_CHARACTERS]

    def number(self, key: str) -> int | None:
        return number(self.get(key))

    def positive(self, key: str) -> int | None:
        """A number above zero: Hyper-V writes 0 where there is none."""
        found = self.number(key)
        return found if found and found > 0 else None

    def flag(self, key: str) -> bool | None:
        value = self.get(key)
        if isinstance(value, bool):
            return value
        named = {"true": True, "on": True, "false": False, "off": False}
        return named.get(value.strip().casefold()) if isinstance(value, str) else None

    def word(self, key: str, table: Mapping[int, str]) -> str:
        return word(self.get(key), table)

    def words(self, key: str, table: Mapping[int, str]) -> tuple[str, ...]:
        return tuple(found for found in (word(one, table) for one in items(self.get(key))) if found)

    def texts(self, key: str) -> tuple[str, ...]:
        return tuple(one.strip() for one in items(self.get(key)) if isinstance(one, str) and one.strip())

    def time(self, key: str) -> str:
        return moment(self.get(key))

    def row(self, key: str) -> "Fields":
        value = self.get(key)
        return Fields(value[0] if isinstance(value, list) and value else value)

    def rows(self, key: str) -> list["Fields"]:
        return [Fields(one) for one in items(self.get(key)) if isinstance(one, Mapping)]


def items(value: Any) -> Iterator[Any]:
    """The members of a list, however it was written; lists in lists are laid flat."""
    if isinstance(value, Mapping):
        folded = {str(key).casefold() for key in value}
        if folded == {"value", "count"} and isinstance(value.get("value", value.get("Value")), list):
            yield from items(value.get("value", value.get("Value")))
        else:
            yield value
    elif isinstance(value, list):
        for one in value:
            yield from items(one)
    elif value is not None and value != "":
        yield value


def number(value: Any) -> int | None:
    """A whole number, also where it is written as a text or with a fraction of zero."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    text = value.strip() if isinstance(value, str) else ""
    return int(text) if re.fullmatch(r"-?\d{1,19}", text) else None


def moment(value: Any) -> str:
    """A time in UTC as ISO 8601, or empty."""
    text = value.strip() if isinstance(value, str) else ""
    ticks = _TICKS.fullmatch(text.replace("\\", ""))
    try:
        if ticks:
            found = datetime.fromtimestamp(int(ticks.group(1)) / 1000, UTC)
        else:
            # PowerShell writes seven digits of a second, one more than Python reads before version 3.11.
            found = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    except (ValueError, OverflowError, OSError):
        return ""
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
