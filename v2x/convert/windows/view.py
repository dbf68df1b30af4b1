# SPDX-License-Identifier: Apache-2.0
"""How a Windows guest is looked at: its files without regard to case, its registry, and what it is."""

import base64
from dataclasses import dataclass, field
from typing import Any, Protocol

from v2x.convert.interface import Adapter, GuestFiles, GuestWishes, Proposal
from v2x.convert.registry import Hive, Registry, RegistryEdit, RegistryValue, ValueEdit

_MOST_STEPS = 64


class HiveFiles(Protocol):
    """Hives by the path of their file; a value is its name, its type and its bytes in base64."""

    def subkeys(self, hive: str, key: str) -> list[str]: ...

    def values(self, hive: str, key: str) -> list[list[Any]] | None: ...

    def value(self, hive: str, key: str, name: str) -> list[Any] | None: ...

    def change_hive(self, hive: str, edits: list[dict[str, Any]]) -> None: ...


class WindowsDisk(GuestFiles, HiveFiles, Protocol):
    """What has to be known of a Windows guest beside its files as such."""

    def head(self, path: str, count: int) -> bytes:
        """The first bytes of a file, whatever its size."""
        ...

    def digest(self, path: str) -> str:
        """A file's SHA-256, in hexadecimal."""
        ...


class Hives:
    """The registry in a guest's hives, opened by what mounts the guest."""

    def __init__(self, disk: HiveFiles, paths: dict[Hive, str]) -> None:
        self._disk = disk
        self._paths = paths

    def subkeys(self, hive: Hive, key: str) -> list[str]:
        return self._disk.subkeys(self._paths[hive], key)

    def values(self, hive: Hive, key: str) -> dict[str, RegistryValue] | None:
        found = self._disk.values(self._paths[hive], key)
        return None if found is None else {str(name): _value(kind, data) for name, kind, data in found}

    def value(self, hive: Hive, key: str, name: str) -> RegistryValue | None:
        found = self._disk.value(self._paths[hive], key, name)
        return None if found is None else _value(found[1], found[2])

    def change(self, edits: tuple[RegistryEdit, ...]) -> None:
        for hive, path in self._paths.items():
            own = [_request(one) for one in edits if one.hive is hive]
            if own:
                self._disk.change_hive(path, own)


def _value(kind: int, data: str) -> RegistryValue:
    return RegistryValue(int(kind), base64.b64decode(data))


def _request(edit: RegistryEdit) -> dict[str, Any]:
    if isinstance(edit, ValueEdit):
        data = base64.b64encode(edit.after.data).decode()
        return {"key": edit.key, "name": edit.name, "kind": int(edit.after.kind), "data": data}
    return {"key": edit.key, "remove": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowsFacts:
    """What a Windows is. `version` is that of its kernel, as (10, 0); `control_sets` the one that boots next first."""

    root: str
    version: tuple[int, int]
    build: int = 0
    product: str = ""
    edition: str = ""
    architecture: str = ""
    product_type: str = ""
    control_sets: tuple[str, ...] = ()

    @property
    def runs_scripts(self) -> bool:
        """Windows 7 and Server 2008 R2 were the first that always had PowerShell."""
        return self.version >= (6, 1)

    @property
    def is_server(self) -> bool:
        return self.product_type.casefold() in ("servernt", "lanmannt")


@dataclass(slots=True, kw_only=True)
class WindowsView:
    """A Windows guest with all that a concern is told.

    `clock_offset_seconds` is how far the new machine's hardware clock is ahead of UTC at its first start, None where
    nobody knows that yet.
    """

    disk: WindowsDisk
    registry: Registry
    facts: WindowsFacts
    adapters: tuple[Adapter, ...] = ()
    wishes: GuestWishes = field(default_factory=GuestWishes)
    clock_offset_seconds: int | None = None
    dynamic_disks: int = 0

    @property
    def control_set(self) -> str:
        return self.facts.control_sets[0]

    def setting(self, key: str, name: str) -> RegistryValue | None:
        """A value below the control set that boots next."""
        return self.registry.value(Hive.SYSTEM, f"{self.control_set}\\{key}", name)

    def software(self, key: str, name: str) -> RegistryValue | None:
        return self.registry.value(Hive.SOFTWARE, key, name)

    def find(self, path: str) -> str | None:
        return find(self.disk, path)

    def names(self, path: str) -> list[str]:
        found = self.find(path)
        return self.disk.listdir(found) if found is not None else []


class WindowsConcern(Protocol):
    def __call__(self, view: WindowsView) -> Proposal: ...


def find(files: GuestFiles, path: str) -> str | None:
    """The path as it is written on the disk, which may differ in case; None where there is no such file.

    NTFS under libguestfs tells upper from lower case; Windows does not.
    """
    if files.exists(path):
        return path
    reached = ""
    for part in [one for one in path.split("/") if one][:_MOST_STEPS]:
        names = files.listdir(reached or "/")
        found = part if part in names else next((one for one in names if one.casefold() == part.casefold()), None)
        if found is None:
            return None
        reached += f"/{found}"
    return reached


def place(files: GuestFiles, path: str) -> str:
    """Where a file is, or would be made: its folders as they are written on the disk, as far as they exist."""
    parts = [one for one in path.split("/") if one]
    for end in range(len(parts), 0, -1):
        found = find(files, "/" + "/".join(parts[:end]))
        if found is not None:
            return "/".join([found, *parts[end:]])
    return path
