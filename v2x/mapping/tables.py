# SPDX-License-Identifier: Apache-2.0
"""Loads mappings/*.toml, lays a user's own rows over them, and answers look-ups.

Layers, the later over the earlier: the tables that come with v2x, $XDG_CONFIG_HOME/v2x/mappings, and an explicit
folder. A layer's file holds only the rows it adds or replaces; a row replaces one with the same id, and takes over the
ids, models or names it shares with earlier rows. Everything is checked when loaded: UsageError with code MAPPING names
the file, the row and the key.
"""

import hashlib
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

import v2x
from v2x.errors import UsageError
from v2x.mapping.rows import (
    TABLES_VERSION,
    BootRow,
    DiskBusRow,
    Family,
    FirmwareRow,
    GuestOsRow,
    LimitRow,
    LimitScale,
    NicRow,
    PlatformRow,
    Row,
    guest_key,
)
from v2x.model.machine import DiskBus, Firmware, Guest, GuestIdKind, NicModel, Other

R = TypeVar("R", bound=Row)

LAYOUT: dict[str, dict[str, type[Row]]] = {
    "guest_os.toml": {"row": GuestOsRow},
    "nic.toml": {"row": NicRow},
    "disk_bus.toml": {"row": DiskBusRow},
    "firmware.toml": {"row": FirmwareRow, "boot": BootRow},
    "limits.toml": {"row": LimitRow},
    "platform.toml": {"row": PlatformRow},
}
"""The files and the record type of each of their arrays."""

_NAME_LIMIT = 400
_NAMES_KEPT = 4096


@dataclass(slots=True)
class Index(Generic[R]):
    """Rows of one array of one file: all by id, and the newest by each key. `order` has later layers first."""

    by_id: dict[str, R] = field(default_factory=dict)
    by_key: dict[str, R] = field(default_factory=dict)
    order: list[R] = field(default_factory=list)

    def lay(self, rows: list[R]) -> None:
        new = {row.id for row in rows}
        self.by_key = {key: row for key, row in self.by_key.items() if row.id not in new}
        self.by_id |= {row.id: row for row in rows}
        self.by_key |= {key: row for row in rows for key in row.keys()}  # noqa: SIM118
        self.order = rows + [row for row in self.order if row.id not in new]


@dataclass(frozen=True, kw_only=True)
class Tables:
    """The loaded tables. `layers` maps each file to the sha256 of its text, per layer, for reports."""

    guests: Index[GuestOsRow]
    nics: Index[NicRow]
    buses: Index[DiskBusRow]
    firmwares: Index[FirmwareRow]
    boots: Index[BootRow]
    limits: Index[LimitRow]
    platforms: Index[PlatformRow]
    layers: dict[str, str]

    @cached_property
    def _limits_by_name(self) -> dict[str, list[LimitRow]]:
        """The rows of each limit, those for the newest versions first."""
        found: dict[str, list[LimitRow]] = {}
        for row in sorted(self.limits.by_key.values(), key=lambda row: version_key(row.from_version), reverse=True):
            found.setdefault(row.limit, []).append(row)
        return found

    def guest_os(self, guest: Guest) -> GuestOsRow | None:
        """The row for a guest: by its id, but by its name where the id is vague, absent or unknown."""
        row = self._guest_by_id(guest)
        if row is not None and not row.vague:
            return row
        for text in (guest.os_name, guest.os_id):
            named = self._guest_by_text(text)
            if named is not None and not (row is not None and named.vague):
                return named
        return row

    def _guest_by_id(self, guest: Guest) -> GuestOsRow | None:
        if not guest.os_id or guest.os_id_kind in (GuestIdKind.NONE, GuestIdKind.TEXT):
            return None
        key = f"{guest.os_id_kind}:{guest_key(guest.os_id_kind, guest.os_id[:_NAME_LIMIT])}"
        if key in self.guests.by_key:
            return self.guests.by_key[key]
        for length in range(len(key), len(guest.os_id_kind) + 1, -1):
            if (row := self.guests.by_key.get(key[:length] + "*")) is not None:
                return row
        return None

    def _guest_by_text(self, text: str) -> GuestOsRow | None:
        head = text[:_NAME_LIMIT]
        if head not in self._named:
            if len(self._named) >= _NAMES_KEPT:
                self._named.clear()
            self._named[head] = self._found_by_text(head)
        return self._named[head]

    @cached_property
    def _named(self) -> dict[str, GuestOsRow | None]:
        """What was found for names lately: an estate of thousands of machines has a few dozen of them."""
        return {}

    def _found_by_text(self, head: str) -> GuestOsRow | None:
        if not head:
            return None
        for row in self.guests.order:
            if row.kind is not GuestIdKind.TEXT:
                continue
            for match in row.matches:
                if self.guests.by_key.get(f"text:{match}") is row and re.search(match, head, re.IGNORECASE):
                    return row
        return None

    def candidates(self, row: GuestOsRow | None, firmware: Firmware) -> tuple[str, ...]:
        """Reference labels to look for on a pool, best first; without a row, those of an unknown system."""
        family = self.platform(row.family if row is not None else Family.OTHER)
        own = row.templates if row is not None else ()
        generic = family.fallback_uefi if firmware is Firmware.UEFI else family.fallback_bios
        return tuple(dict.fromkeys((*own, *generic)))

    def nic(self, model: NicModel | Other) -> NicRow:
        return self.nics.by_key[NicModel.UNKNOWN if isinstance(model, Other) else model]

    def disk_bus(self, bus: DiskBus | Other) -> DiskBusRow:
        return self.buses.by_key[DiskBus.UNKNOWN if isinstance(bus, Other) else bus]

    def firmware(self, firmware: Firmware) -> FirmwareRow:
        return self.firmwares.by_key[firmware]

    def platform(self, family: Family) -> PlatformRow:
        return self.platforms.by_key[family]

    def boot(self, word: str) -> BootRow | None:
        """The row for a word of a source's boot order, None for a word the tables do not know."""
        return self.boots.by_key.get(word.strip().casefold())

    def limit(self, name: str, *, product: str = "", xapi: str = "") -> int:
        """The value of the limit `name` for a product and xapi version; without a version, the newest one's."""
        return self.limit_row(name, product=product, xapi=xapi).value

    def limit_row(self, name: str, *, product: str = "", xapi: str = "") -> LimitRow:
        """The row behind `limit`. UsageError MAPPING for a name or version that no row speaks of."""
        for row in self._limits_by_name.get(name, ()):
            version = product if row.by is LimitScale.PRODUCT else xapi
            if _within(row, version):
                return row
        raise UsageError(
            f"mapping tables have no limit {name!r} for version {product or xapi or 'any'}",
            code="MAPPING",
            hint="add a row to limits.toml in your mappings folder",
        )


def _within(row: LimitRow, version: str) -> bool:
    if not version:
        return not row.before_version
    key = version_key(version)
    return version_key(row.from_version) <= key and (not row.before_version or key < version_key(row.before_version))


def version_key(version: str) -> tuple[int, ...]:
    """`8.3.0` as (8, 3, 0); what follows the leading numbers is left out, so `26.1.4-3.1` is (26, 1, 4)."""
    found = re.match(r"\d{1,9}(\.\d{1,9})*", version)
    return tuple(int(part) for part in found.group().split(".")) if found else ()


def load_tables(override_dir: Path | None = None, environ: Mapping[str, str] | None = None) -> Tables:
    """All tables with the user's rows laid over them.

    UsageError MAPPING when a folder was named and is not there, for damaged or misshapen files, and for a folder that
    holds a .toml file of another name.
    """
    indexes: dict[tuple[str, str], Index[Any]] = {
        (name, array): Index() for name, arrays in LAYOUT.items() for array in arrays
    }
    layers: dict[str, str] = {}
    for label, folder in _layer_folders(override_dir, os.environ if environ is None else environ):
        for name, text in _texts(folder, label):
            where = f"{label}/{name}"
            layers[where] = hashlib.sha256(text.encode()).hexdigest()
            for array, rows in _parse(text, name, where).items():
                indexes[name, array].lay(rows)
    _check_complete(indexes)
    return Tables(
        guests=indexes["guest_os.toml", "row"],
        nics=indexes["nic.toml", "row"],
        buses=indexes["disk_bus.toml", "row"],
        firmwares=indexes["firmware.toml", "row"],
        boots=indexes["firmware.toml", "boot"],
        limits=indexes["limits.toml", "row"],
        platforms=indexes["platform.toml", "row"],
        layers=layers,
    )


def _check_complete(indexes: Mapping[tuple[str, str], Index[Any]]) -> None:
    """Every member of the model's enumerations needs its row: an override may have taken one away."""
    for name, kind in (
        ("nic.toml", NicModel),
        ("disk_bus.toml", DiskBus),
        ("firmware.toml", Firmware),
        ("platform.toml", Family),
    ):
        missing = [member.value for member in kind if member not in indexes[name, "row"].by_key]
        if missing:
            raise _wrong(name, f"no row is left for {', '.join(missing)}; a row with an old id took its place")


def builtin_folder() -> Traversable:
    """The tables that come with v2x: inside the package when installed, beside it in a checkout."""
    packaged = resources.files("v2x") / "mappings_data"
    return packaged if packaged.is_dir() else Path(v2x.__file__).resolve().parents[1] / "mappings"


def _layer_folders(override_dir: Path | None, environ: Mapping[str, str]) -> list[tuple[str, Traversable]]:
    config = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME") or "/nonexistent") / ".config")
    own = Path(config) / "v2x" / "mappings"
    folders: list[tuple[str, Traversable]] = [("built-in", builtin_folder())]
    if own.is_dir():
        folders.append((str(own), own))
    if override_dir is not None:
        if not override_dir.is_dir():
            raise _wrong(str(override_dir), "is not a folder")
        folders.append((str(override_dir), override_dir))
    return folders


def _texts(folder: Traversable, label: str) -> list[tuple[str, str]]:
    found = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".toml"))
    if strange := [name for name in found if name not in LAYOUT]:
        raise _wrong(f"{label}/{strange[0]}", f"is not a mapping table; the tables are {', '.join(sorted(LAYOUT))}")
    texts = []
    for name in found:
        try:
            texts.append((name, (folder / name).read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            raise _wrong(f"{label}/{name}", "is not UTF-8 text") from None
        except OSError as problem:
            raise _wrong(f"{label}/{name}", f"cannot be read: {problem.strerror}") from None
    return texts


def _parse(text: str, name: str, where: str) -> dict[str, list[Row]]:
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as problem:
        raise _wrong(where, f"is not TOML: {problem}") from None
    version = document.pop("tables_version", None)
    if version != TABLES_VERSION:
        raise _wrong(where, f"tables_version is {version!r}, this v2x reads {TABLES_VERSION}")
    arrays = LAYOUT[name]
    if strange := sorted(set(document) - set(arrays)):
        raise _wrong(where, f"has the unknown key {strange[0]!r}; rows stand in {' and '.join(arrays)}")
    return {
        array: _rows(document.get(array, []), record, f"{where}, {array}", _CHECKS.get(record, _no_check))
        for array, record in arrays.items()
    }


def _rows(items: Any, record: type[R], where: str, check: Callable[[Any], str]) -> list[R]:
    if not isinstance(items, list):
        raise _wrong(where, "must be an array of tables")
    rows: list[R] = []
    ids: set[str] = set()
    keys: dict[str, str] = {}
    for number, item in enumerate(items, 1):
        name = item.get("id") if isinstance(item, dict) else None
        place = f"{where} {number}" + (f" ({name})" if isinstance(name, str) else "")
        try:
            row = msgspec.convert(item, record)
        except msgspec.ValidationError as problem:
            raise _wrong(place, str(problem)) from None
        if complaint := check(row):
            raise _wrong(place, complaint)
        if row.id in ids:
            raise _wrong(place, "repeats the id of another row of this file")
        for key in row.keys():  # noqa: SIM118
            if key in keys:
                raise _wrong(place, f"repeats {str(key)!r} of row {keys[key]}")
            keys[key] = row.id
        ids.add(row.id)
        rows.append(row)
    return rows


def _no_check(_row: Row) -> str:
    return ""


def _check_guest(row: GuestOsRow) -> str:
    if not row.matches:
        return "key match: is empty"
    if row.kind is GuestIdKind.NONE:
        return "key kind: 'none' cannot be matched"
    if row.kind is GuestIdKind.TEXT:
        for match in row.matches:
            try:
                re.compile(match)
            except (re.error, RecursionError, OverflowError) as problem:
                return f"key match: {match!r} is not a regular expression: {problem}"
    return ""


def _check_limit(row: LimitRow) -> str:
    for key, version in (("from_version", row.from_version), ("before_version", row.before_version)):
        if version and not version_key(version):
            return f"key {key}: {version!r} is not a version"
    return "" if row.value > 0 else f"key value: {row.value} is not above 0"


_CHECKS: dict[type[Row], Callable[[Any], str]] = {GuestOsRow: _check_guest, LimitRow: _check_limit}


def _wrong(where: str, what: str) -> UsageError:
    return UsageError(f"mapping table {where}: {what}", code="MAPPING", hint="docs/mappings.md shows every key")
