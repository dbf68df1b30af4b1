# SPDX-License-Identifier: Apache-2.0
"""Exported Hyper-V machines in a folder: their configurations, checkpoints and disks, without the host.

The layout is that of Export-VM (`Virtual Machines`, `Virtual Hard Disks`, `Snapshots`), of one machine or of several,
or a copy of a host's own folders. A configuration names its disks by paths of its host: a disk is the file of that
name below the same folder. Where none is there, it may be read from the host's shares (--share).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import TYPE_CHECKING

from v2x.disks.interface import DiskReader
from v2x.errors import InputRefused
from v2x.model.inventory import Datastore, Inventory, SourceInfo, SourceNetwork, SourceProblem
from v2x.model.machine import Disk, DiskBacking, Machine
from v2x.sources.hyperv.access import ShareOptions
from v2x.sources.hyperv.bare import bare_machines
from v2x.sources.hyperv.configurations import Configuration, old_exports, read_configurations
from v2x.sources.hyperv.folder_disks import DiskFinder
from v2x.sources.hyperv.tree import IMAGES, TreeListing, files_below, is_configuration
from v2x.sources.interface import Checkpoint
from v2x.sources.local_files import Clock, file_point, file_reader, file_recheck, utc_now

if TYPE_CHECKING:
    from v2x.sources.hyperv.shares import ShareDisks


@dataclass(frozen=True, slots=True)
class _Kept:
    """A machine, and the files below its own folder."""

    machine: Machine
    listing: TreeListing


class HypervFolderSource:
    """All machines whose configuration lies below `folder`; without any, one machine of the disks in each folder.

    Nothing is created at the source. A machine with saved memory is SUSPENDED.
    """

    def __init__(
        self,
        folder: Path,
        address: str,
        clock: Clock = utc_now,
        *,
        shares: ShareOptions | None = None,
        experimental: bool = False,
    ) -> None:
        self._folder = folder
        self._address = address
        self._clock = clock
        self._experimental = experimental
        self._shares = _share_disks(shares) if shares is not None else None
        self._problems: list[SourceProblem] = []
        self._files = files_below(folder)
        if not any(is_configuration(path) or path.lower().endswith(IMAGES) for path in self._files):
            raise InputRefused(
                f"{folder} holds no Hyper-V machine",
                hint="give a folder made by Export-VM, or one with .vhdx or .vhd files",
            )
        self._kept: dict[str, _Kept] | None = None

    @classmethod
    def open(
        cls,
        path: str | Path,
        address: str = "",
        clock: Clock | None = None,
        *,
        shares: ShareOptions | None = None,
        experimental: bool = False,
    ) -> "HypervFolderSource":
        return cls(Path(path), address or str(path), clock or utc_now, shares=shares, experimental=experimental)

    def __enter__(self) -> "HypervFolderSource":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def inventory(self, select: Callable[[str], bool] | None = None) -> Inventory:
        machines = [kept.machine for kept in self._read().values()]
        networks = dict.fromkeys(nic.network for machine in machines for nic in machine.nics if nic.network)
        volumes = dict.fromkeys(disk.datastore for machine in machines for disk in machine.disks if disk.datastore)
        return Inventory(
            source=SourceInfo(kind="hyperv-folder", address=self._address, product="Microsoft Hyper-V"),
            taken_at=self._clock(),
            machines=tuple(one for one in machines if select is None or select(one.name) or select(one.id)),
            networks=tuple(SourceNetwork(name=name, kind="hyperv") for name in networks),
            datastores=tuple(Datastore(name=name, kind="hyperv") for name in volumes),
            problems=tuple(self._problems),
        )

    def checkpoint(self, machine: Machine, tag: str) -> Checkpoint:
        """The write identifiers of all files of all disks."""
        points = {disk.id: self._point(machine, disk) for disk in machine.disks}
        return Checkpoint(tag=tag, machine_id=machine.id, points=points)

    def _point(self, machine: Machine, disk: Disk) -> str:
        if self._shares is not None and _on_host(disk):
            return self._shares.point(disk)
        return file_point(self._of(machine).listing, disk)

    def reader(self, machine: Machine, disk: Disk, at: Checkpoint) -> DiskReader:
        if self._shares is not None and _on_host(disk):
            return self._shares.reader(machine, disk, at)
        return file_reader(self._of(machine).listing, machine, disk, at)

    def confirm(self, machine: Machine, at: Checkpoint) -> None:
        """SourceError if something wrote to a disk since the checkpoint, or has it open now."""
        for disk in machine.disks:
            if self._shares is not None and _on_host(disk):
                self._shares.recheck(disk, at)
            else:
                file_recheck(self._of(machine).listing, disk, at)

    def release(self, machine: Machine, tag: str) -> None:
        """Nothing was created."""

    def close(self) -> None:
        if self._shares is not None:
            self._shares.close()

    def _of(self, machine: Machine) -> _Kept:
        kept = self._read().get(machine.id)
        if kept is None:
            raise InputRefused(
                f"{machine.name} is not in {self._folder}", hint="take the inventory again; its files are gone"
            )
        return kept

    def _read(self) -> dict[str, _Kept]:
        if self._kept is None:
            configurations, problems = read_configurations(self._folder, self._files, self._experimental)
            self._problems += [*problems, *old_exports(self._files)]
            found = [self._machine(one) for one in configurations]
            if not found and not problems:
                for machine, listing, notes in bare_machines(self._folder, self._files):
                    found.append(_Kept(machine, listing))
                    self._problems += notes
            if not found:
                first = problems[0]
                raise InputRefused(f"{first.subject}: {first.text}", code=first.code, hint="export the machine again")
            self._kept = _apart(found)
        return self._kept

    def _machine(self, configuration: Configuration) -> _Kept:
        """The machine of a configuration with the disks found below its folder, or on the host's shares."""
        base = configuration.base
        inside = [path for path in self._files if path.startswith(base) and path.lower().endswith(IMAGES)]
        finder = DiskFinder(TreeListing(self._folder, inside), configuration.path, self._shares)
        disks = tuple(finder.disks(configuration.drives))
        self._problems += finder.problems
        folder = str(PurePosixPath(base)) if base else ""
        return _Kept(replace(configuration.machine, disks=disks, folder=folder), finder.listing)


def _share_disks(options: ShareOptions) -> "ShareDisks":
    from v2x.sources.hyperv.shares import ShareDisks

    return ShareDisks(options)


def _on_host(disk: Disk) -> bool:
    """Whether its files are named by paths of the host, and so read over its shares."""
    return disk.backing is DiskBacking.FILE and any("\\" in name for name in disk.files)


def _apart(found: list[_Kept]) -> dict[str, _Kept]:
    """By id; a machine that was exported twice gets the folder's name added, so that each can be named."""
    ids = [kept.machine.id for kept in found]
    kept: dict[str, _Kept] = {}
    for one in found:
        id = one.machine.id
        if ids.count(id) > 1:
            id = f"{id}@{one.machine.folder or '.'}"
        while id in kept:
            id += "+"
        kept[id] = _Kept(replace(one.machine, id=id), one.listing)
    return kept
