# SPDX-License-Identifier: Apache-2.0
"""A folder that holds several appliances and machines, also one level below: their inventories as one."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from v2x.disks.interface import DiskReader
from v2x.errors import InputRefused, SourceError, V2xError
from v2x.model.inventory import Inventory, SourceInfo, SourceProblem
from v2x.model.machine import Disk, Machine
from v2x.sources.interface import Checkpoint, Integrity, Source
from v2x.sources.local_files import Clock, utc_now
from v2x.sources.manifest import Progress
from v2x.sources.ovf import OvfSource
from v2x.sources.vmx import VmxSource

SUFFIXES = (".ova", ".ovf", ".vmx", ".vmtx")
MOST_SOURCES = 2_000


@dataclass(frozen=True, slots=True)
class _Found:
    relative: str
    source: Source
    machine: Machine


class FolderSource:
    """All .ova, .ovf and .vmx files in `folder` and in its subfolders. What cannot be opened stands in `problems`.

    Machines of one id in two files get the file's name added to theirs, so that each can be named.
    """

    def __init__(self, folder: str | Path, address: str = "", clock: Clock = utc_now) -> None:
        self._folder = Path(folder)
        self._address = address or str(folder)
        self._clock = clock
        self._sources: list[tuple[str, Source]] = []
        self._problems: list[SourceProblem] = []
        self._first: V2xError | None = None
        self._found: dict[str, _Found] = {}
        with ExitStack() as stack:
            for relative in sorted(_candidates(self._folder)):
                source = self._open(relative)
                if source is not None:
                    stack.callback(source.close)
                    self._sources.append((relative, source))
            if not self._sources:
                raise self._first or InputRefused(
                    f"{self._folder} holds no appliance or machine",
                    hint="give a folder with .ova, .ovf or .vmx files in it or in its subfolders",
                )
            self._stack = stack.pop_all()

    @classmethod
    def open(cls, path: str | Path, address: str = "", clock: Clock | None = None) -> "FolderSource":
        return cls(path, address, clock or utc_now)

    def __enter__(self) -> "FolderSource":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def inventory(self, select: Callable[[str], bool] | None = None) -> Inventory:
        parts = list(self._inventories())
        if not parts and self._first is not None:
            raise self._first
        self._found = _numbered(parts, dict(self._sources))
        machines = [
            replace(found.machine, id=key, folder="" if "/" not in found.relative else found.relative.split("/")[0])
            for key, found in self._found.items()
        ]
        return Inventory(
            source=SourceInfo(kind="folder", address=self._address),
            taken_at=self._clock(),
            machines=tuple(item for item in machines if select is None or select(item.name) or select(item.id)),
            networks=tuple(dict.fromkeys(network for _, part in parts for network in part.networks)),
            datastores=tuple(dict.fromkeys(store for _, part in parts for store in part.datastores)),
            problems=tuple(dict.fromkeys([*self._problems, *(each for _, part in parts for each in part.problems)])),
        )

    def checkpoint(self, machine: Machine, tag: str) -> Checkpoint:
        found = self._of(machine)
        point = found.source.checkpoint(found.machine, tag)
        return replace(point, machine_id=machine.id)

    def reader(self, machine: Machine, disk: Disk, at: Checkpoint) -> DiskReader:
        found = self._of(machine)
        return found.source.reader(found.machine, disk, replace(at, machine_id=found.machine.id))

    def release(self, machine: Machine, tag: str) -> None:
        found = self._of(machine)
        found.source.release(found.machine, tag)

    def verify(self, machine: Machine, progress: Progress | None = None) -> tuple[str, ...]:
        found = self._of(machine)
        return found.source.verify(found.machine, progress) if isinstance(found.source, Integrity) else ()

    def close(self) -> None:
        self._stack.close()

    def _open(self, relative: str) -> Source | None:
        path = self._folder / relative
        try:
            if path.suffix.lower() in {".ova", ".ovf"}:
                return OvfSource.open(path, relative, self._clock)
            return VmxSource.open(path, relative, self._clock)
        except (InputRefused, SourceError) as problem:
            self._refuse(relative, problem)
            return None

    def _refuse(self, relative: str, problem: V2xError) -> None:
        self._first = self._first or problem
        note = SourceProblem(subject=relative, code=problem.code, text=problem.message)
        if note not in self._problems:
            self._problems.append(note)

    def _inventories(self) -> Iterator[tuple[str, Inventory]]:
        for relative, source in self._sources:
            try:
                yield relative, source.inventory()
            except (InputRefused, SourceError) as problem:
                self._refuse(relative, problem)

    def _of(self, machine: Machine) -> _Found:
        if not self._found:
            self.inventory()
        if machine.id not in self._found:
            raise InputRefused(
                f"{machine.name} is not in {self._folder}", hint="take the inventory again; its file is gone"
            )
        return self._found[machine.id]


def _numbered(parts: list[tuple[str, Inventory]], sources: dict[str, Source]) -> dict[str, _Found]:
    ids = Counter(machine.id for _, part in parts for machine in part.machines)
    return {
        machine.id if ids[machine.id] == 1 else f"{machine.id}@{relative}": _Found(relative, sources[relative], machine)
        for relative, part in parts
        for machine in part.machines
    }


def _candidates(folder: Path) -> Iterator[str]:
    """Paths below `folder`, at most one subfolder deep, links not followed."""
    count = 0
    for entry in sorted(folder.iterdir()):
        inside = [entry]
        if entry.is_dir() and not entry.is_symlink():
            inside = sorted(path for path in entry.iterdir())
        for path in inside:
            if path.suffix.lower() in SUFFIXES and path.is_file() and not path.is_symlink():
                count += 1
                if count > MOST_SOURCES:
                    raise InputRefused(
                        f"{folder} holds more than {MOST_SOURCES:,} appliances and machines",
                        hint="give a folder with fewer of them, or one file",
                    )
                yield str(path.relative_to(folder))
