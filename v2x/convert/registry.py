# SPDX-License-Identifier: Apache-2.0
"""A Windows guest's registry as data: what is read, and what is to be written; nothing here opens a hive."""

import struct
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Protocol, runtime_checkable

from v2x.text import printable


class Hive(StrEnum):
    """The two hives that a conversion looks at; both are files in System32\\config with these names."""

    SYSTEM = "SYSTEM"
    SOFTWARE = "SOFTWARE"


class Kind(IntEnum):
    """Types of values (MS-DTYP's REG_…), as they stand in a hive; others are kept as numbers."""

    SZ = 1
    EXPAND_SZ = 2
    BINARY = 3
    DWORD = 4
    MULTI_SZ = 7


@dataclass(frozen=True, slots=True)
class RegistryValue:
    """A value's type and bytes. What its bytes are not, it is not: a number of three bytes is none."""

    kind: int
    data: bytes

    @property
    def number(self) -> int | None:
        return struct.unpack("<I", self.data)[0] if self.kind == Kind.DWORD and len(self.data) == 4 else None

    @property
    def text(self) -> str:
        """The text up to its first zero; empty for what is no text."""
        if self.kind not in (Kind.SZ, Kind.EXPAND_SZ):
            return ""
        return _decoded(self.data).partition("\0")[0]

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts of a list, or the one text, without those that are empty."""
        if self.kind != Kind.MULTI_SZ:
            return (self.text,) if self.text else ()
        return tuple(one for one in _decoded(self.data).split("\0") if one)

    @property
    def shown(self) -> str:
        """For reports, as a .reg file shows it: a number, a text in quotes, a list, or bytes."""
        if self.number is not None:
            return f"dword:{self.number:08x}"
        if self.kind in (Kind.SZ, Kind.EXPAND_SZ):
            return f'"{printable(self.text, 500)}"'
        if self.kind == Kind.MULTI_SZ:
            return "; ".join(f'"{printable(one, 500)}"' for one in self.texts)
        return f"hex({self.kind:x}):{self.data[:64].hex(',')}"


def dword(number: int) -> RegistryValue:
    return RegistryValue(Kind.DWORD, struct.pack("<I", number))


def string(text: str, kind: Kind = Kind.SZ) -> RegistryValue:
    return RegistryValue(kind, (text + "\0").encode("utf-16-le"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueEdit:
    """A value before and after; the key is made where there is none. `before` is None where there is no such value."""

    hive: Hive
    key: str
    name: str
    before: RegistryValue | None
    after: RegistryValue
    why: str

    @property
    def place(self) -> str:
        return f"{self.hive}\\{self.key} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRemoval:
    """A key that goes, with all below it; `values` are its own, as they were."""

    hive: Hive
    key: str
    values: tuple[tuple[str, RegistryValue], ...]
    why: str

    @property
    def place(self) -> str:
        return f"{self.hive}\\{self.key}"


RegistryEdit = ValueEdit | KeyRemoval


def shown(edit: RegistryEdit) -> tuple[str | None, str | None]:
    """Before and after, for reports."""
    if isinstance(edit, KeyRemoval):
        return "; ".join(f"{name}={value.shown}" for name, value in edit.values), None
    return edit.before.shown if edit.before is not None else None, edit.after.shown


class Registry(Protocol):
    """Hives of a guest. Keys are paths without the hive's name; case does not matter."""

    def subkeys(self, hive: Hive, key: str) -> list[str]:
        """Names of the keys below; empty where there is no such key."""
        ...

    def values(self, hive: Hive, key: str) -> dict[str, RegistryValue] | None:
        """All values of a key; None where there is no such key."""
        ...

    def value(self, hive: Hive, key: str, name: str) -> RegistryValue | None: ...


@runtime_checkable
class WritableRegistry(Protocol):
    def change(self, edits: tuple[RegistryEdit, ...]) -> None:
        """All edits of both hives; a hive is written once, after all its edits."""
        ...


def _decoded(data: bytes) -> str:
    return data[: len(data) // 2 * 2].decode("utf-16-le", "replace")
