# SPDX-License-Identifier: Apache-2.0
"""A machine's configuration as Hyper-V stores it: a tree of named settings, the same in its XML and its VMCX files."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

Value = bool | int | float | str | bytes

MOST_DEPTH: Final = 32
MOST_SETTINGS: Final = 100_000


@dataclass(slots=True)
class Settings:
    """One node. Names are compared without regard to case; paths are written with slashes.

    A name may stand several times below a node, as the entries of lists do in XML; `at` gives the first of them.
    """

    name: str = ""
    children: list["Settings"] = field(default_factory=list)
    value: Value | None = None

    def at(self, path: str) -> "Settings":
        """The node at `path`, an empty one where there is none."""
        node = self
        for part in path.split("/"):
            found = next((child for child in node.children if child.name.lower() == part.lower()), None)
            if found is None:
                return _NOTHING
            node = found
        return node

    def text(self, path: str) -> str:
        """The text at `path`, stripped; empty where there is none or it is of another type."""
        value = self.at(path).value
        return value.strip("\0 \t\r\n") if isinstance(value, str) else ""

    def number(self, path: str) -> int | None:
        value = self.at(path).value
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def flag(self, path: str) -> bool | None:
        value = self.at(path).value
        return value if isinstance(value, bool) else None

    def data(self, path: str) -> bytes:
        value = self.at(path).value
        return value if isinstance(value, bytes) else b""

    def numbered(self, word: str) -> Iterator[tuple[int, "Settings"]]:
        """The children `word0`, `word1` … with their numbers, ascending."""
        found = []
        for child in self.children:
            digits = child.name[len(word) :]
            if child.name.lower().startswith(word.lower()) and digits.isascii() and digits.isdecimal():
                found.append((int(digits[:9]), child))
        yield from sorted(found, key=lambda one: one[0])

    def walk(self, prefix: str = "") -> Iterator[tuple[str, Value]]:
        """All values with their paths, in order."""
        for child in self.children:
            path = f"{prefix}/{child.name}" if prefix else child.name
            if child.value is not None:
                yield path, child.value
            yield from child.walk(path)

    def __bool__(self) -> bool:
        return bool(self.children) or self.value is not None


_NOTHING: Final = Settings()
