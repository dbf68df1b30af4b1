# SPDX-License-Identifier: Apache-2.0
"""A folder that holds several appliances and machines, also one level below: their inventories as one.

Machines of VMware are looked for up to one level below, exported Hyper-V machines in all folders.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from v2x.disks.interface import DiskReader
from v2x.errors import InputRefused, SourceError, V2xError
from v2x.model.inventory import Inventory, SourceInfo, SourceProblem
from v2x.model.machine import Disk, Machine
from v2x.sources.hyperv.access import ShareOptions
from v2x.sources.hyperv.folder import HypervFolderSource
from v2x.sources.hyperv.tree import files_below, is_configuration
from v2x.sources.interface import Checkpoint, Confirms, Integrity, Source
from v2x.sources.local_files import Clock, utc_now
from v2x.sources.manifest import Progress
from v2x.sources.ovf import OvfSource
from v2x.sources.vmx import VmxSource

SUFFIXES = (".ova", ".ovf", ".vmx", ".vmtx")
MOST_SOURCES = 2_000
_HYPERV = "."
"""Stands for the Hyper-V machines below the folder, which are one source with all their configurations."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A machine as its own source knows it, and that source's path below the folder."""

    relative: str
    machine: Machine


class FolderSource:
    """All .ova, .ovf and .vmx files in `folder` and in its subfolders. What cannot be opened stands in `problems`.

    The files are looked at once, when the source is opened, and closed again; those that are read from stay open.
    Machines of one id in two files get the file's name added to theirs, so that each can be named.
    """

    def __init__(
        self,
        folder: str | Path,
        address: str = "",
        clock: Clock = utc_now,
        *,
        shares: ShareOptions | None = None,
        experimental: bool = False,
    ) -> None:
        self._folder = Path(folder)
        self._shares = shares
        self._experimental = experimental
        self._address = address or str(folder)
        self._clock = clock
        self._open: dict[str, Source] = {}
        self._stack = ExitStack()
        self._problems: list[SourceProblem] = []
        self._parts: list[tuple[str, Inventory]] = []
        first: V2xError | None = None
        for relative in [*_candidates(self._folder, self._problems), *_exported(self._folder)]:
            try:
                with self._opened(relative) as source:
                    self._parts.append((relative, source.inventory()))
            except (InputRefused, SourceError) as problem:
                first = first or problem
                self._problems.append(SourceProblem(subject=relative, code=problem.code, text=problem.message))
        if not self._parts:
            raise first or InputRefused(
                f"{self._folder} holds no appliance or machine",
                hint="give a folder with .ova, .ovf or .vmx files in it or in its subfolders",
            )
        self._found = _numbered(self._parts)

    @classmethod
    def open(
        cls,
        path: str | Path,
        address: str = "",
        clock: Clock | None = None,
        *,
        shares: ShareOptions | None = None,
        experimental: bool = False,
    ) -> "FolderSource":
        return cls(path, address, clock or utc_now, shares=shares, experimental=experimental)

    def __enter__(self) -> "FolderSource":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def inventory(self, select: Callable[[str], bool] | None = None) -> Inventory:
        """`folder` of a machine is the subfolder its file lies in, empty for the folder itself."""
        machines = [
            replace(
                found.machine,
                id=key,
                folder=found.relative.partition("/")[0] if "/" in found.relative else found.machine.folder,
            )
            for key, found in self._found.items()
        ]
        parts = [part for _, part in self._parts]
        return Inventory(
            source=SourceInfo(kind="folder", address=self._address),
            taken_at=self._clock(),
            machines=tuple(item for item in machines if select is None or select(item.name) or select(item.id)),
            networks=tuple(dict.fromkeys(network for part in parts for network in part.networks)),
            datastores=tuple(dict.fromkeys(store for part in parts for store in part.datastores)),
            problems=tuple(dict.fromkeys([*self._problems, *(each for part in parts for each in part.problems)])),
        )

    def checkpoint(self, machine: Machine, tag: str) -> Checkpoint:
        source, inner = self._of(machine)
        return replace(source.checkpoint(inner, tag), machine_id=machine.id)

    def reader(self, machine: Machine, disk: Disk, at: Checkpoint) -> DiskReader:
        source, inner = self._of(machine)
        return source.reader(inner, disk, replace(at, machine_id=inner.id))

    def confirm(self, machine: Machine, at: Checkpoint) -> None:
        source, inner = self._of(machine)
        if isinstance(source, Confirms):
            source.confirm(inner, replace(at, machine_id=inner.id))

    def release(self, machine: Machine, tag: str) -> None:
        source, inner = self._of(machine)
        source.release(inner, tag)

    def verify(self, machine: Machine, progress: Progress | None = None) -> tuple[str, ...]:
        source, inner = self._of(machine)
        return source.verify(inner, progress) if isinstance(source, Integrity) else ()

    def close(self) -> None:
        self._stack.close()

    def _opened(self, relative: str) -> Source:
        path = self._folder / relative
        if relative == _HYPERV:
            return HypervFolderSource.open(
                self._folder, relative, self._clock, shares=self._shares, experimental=self._experimental
            )
        opener = OvfSource.open if path.suffix.lower() in {".ova", ".ovf"} else VmxSource.open
        return opener(path, relative, self._clock)

    def _of(self, machine: Machine) -> tuple[Source, Machine]:
        found = self._found.get(machine.id)
        if found is None:
            raise InputRefused(
                f"{machine.name} is not in {self._folder}", hint="take the inventory again; its file is gone"
            )
        if found.relative not in self._open:
            self._open[found.relative] = self._stack.enter_context(self._opened(found.relative))
        return self._open[found.relative], found.machine


def _numbered(parts: list[tuple[str, Inventory]]) -> dict[str, _Found]:
    ids = Counter(machine.id for _, part in parts for machine in part.machines)
    return {
        machine.id if ids[machine.id] == 1 else f"{machine.id}@{relative}": _Found(relative, machine)
        for relative, part in parts
        for machine in part.machines
    }


def _candidates(folder: Path, problems: list[SourceProblem]) -> Iterator[str]:
    """Paths below `folder` in order, at most one subfolder deep, links not followed, names that are text only.

    A subfolder that may not be listed (`lost+found`, say) is noted in `problems`.
    """
    count = 0
    for entry in _entries(folder):
        try:
            inside = _entries(Path(entry.path)) if entry.is_dir(follow_symlinks=False) else [entry]
        except SourceError as problem:
            problems.append(SourceProblem(subject=entry.name, code=problem.code, text=problem.message))
            continue
        for found in inside:
            if Path(found.name).suffix.lower() not in SUFFIXES or not found.is_file(follow_symlinks=False):
                continue
            count += 1
            if count > MOST_SOURCES:
                raise InputRefused(
                    f"{folder} holds more than {MOST_SOURCES:,} appliances and machines",
                    hint="give a folder with fewer of them, or one file",
                )
            yield str(Path(found.path).relative_to(folder))


def holds_appliances(folder: Path) -> bool:
    """Whether there is any appliance or machine of VMware in the folder or one level below it."""
    with suppress(SourceError, InputRefused):
        return next(iter(_candidates(folder, [])), None) is not None
    return False


def _exported(folder: Path) -> list[str]:
    """Disks without a configuration are not looked for here: those of an OVF would count as machines of their own."""
    with suppress(InputRefused, SourceError):
        return [_HYPERV] if any(is_configuration(path) for path in files_below(folder)) else []
    return []


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if _is_text(entry.name)), key=lambda entry: entry.name)
    except OSError as problem:
        raise SourceError(
            f"cannot list {folder}: {problem.strerror}", hint="check that the folder exists and is readable"
        ) from None


def _is_text(name: str) -> bool:
    return not any("\ud800" <= sign <= "\udfff" for sign in name)
