# SPDX-License-Identifier: Apache-2.0
"""A file that collect.ps1 wrote, as a source: to assess and plan with, and to migrate from where its disks lie beside.

A folder that holds the collected .json and the machine's .vhdx files, however they were copied there, is as good as
an export: of the paths in the file only the base names count.
"""

import ntpath
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from v2x.disks.bytesource import FileSource
from v2x.disks.interface import DiskReader
from v2x.disks.listing import FolderListing
from v2x.errors import SourceError, UnsafeImage, Unsupported
from v2x.model.inventory import Inventory
from v2x.model.machine import Disk, DiskBacking, Machine, PowerState
from v2x.sources.hyperv.document import MOST_BYTES, decode, read_document
from v2x.sources.hyperv.estate import collected_at, read_estate
from v2x.sources.interface import Checkpoint
from v2x.sources.local_files import Clock, file_checkpoint, file_reader, file_recheck, utc_now


def read_file(path: str | Path) -> str:
    """The text of a collected file. BadImage, UnsafeImage or SourceError when it cannot be read."""
    name = Path(path).name
    with closing(FileSource.open(path)) as source:
        if source.size > MOST_BYTES:
            raise UnsafeImage(f"{name} has {source.size:,} bytes, what is collected from a host has far less")
        data = bytearray(source.size)
        source.read_into(0, data)
    return decode(bytes(data), name)


class CollectedFileSource:
    """The machines of one collected file."""

    def __init__(self, path: str | Path, text: str, address: str, clock: Clock = utc_now) -> None:
        self._path = Path(path)
        document = read_document(text, self._path.name)
        self._inventory = read_estate([document], address, collected_at(document, clock))
        self._listing = FolderListing(self._path.parent)

    def __enter__(self) -> "CollectedFileSource":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def inventory(self, select: Callable[[str], bool] | None = None) -> Inventory:
        machines = tuple(
            one for one in self._inventory.machines if select is None or select(one.name) or select(one.id)
        )
        return replace(self._inventory, machines=machines)

    def checkpoint(self, machine: Machine, tag: str) -> Checkpoint:
        """The state of the files beside. SourceError for a machine that ran when it was collected."""
        self._require_files(machine)
        if machine.power_state is not PowerState.OFF:
            raise SourceError(
                f"{machine.name} was {machine.power_state_text or machine.power_state} when it was collected",
                code="POWERED-ON",
                hint="shut it down, collect again, and copy its disks then",
            )
        return file_checkpoint(self._listing, beside(machine), tag)

    def reader(self, machine: Machine, disk: Disk, at: Checkpoint) -> DiskReader:
        here = beside(machine)
        return file_reader(self._listing, here, next(one for one in here.disks if one.id == disk.id), at)

    def confirm(self, machine: Machine, at: Checkpoint) -> None:
        """SourceError when a disk beside was written to since the checkpoint."""
        for disk in beside(machine).disks:
            file_recheck(self._listing, disk, at)

    def release(self, machine: Machine, tag: str) -> None:
        """Nothing was created."""

    def close(self) -> None:
        self._listing.close()

    def _require_files(self, machine: Machine) -> None:
        there = {name.casefold() for name in self._listing.names()}
        for disk in beside(machine).disks:
            lost = [name for name in disk.files if name.casefold() not in there]
            if lost and disk.backing is DiskBacking.FILE:
                raise Unsupported(
                    f"{self._path.name} describes {machine.name}, but {lost[0]} does not lie beside it",
                    code="MISSING-DISK",
                    hint="migrate from the host (hyperv://USER@HOST), or copy the machine's disks into that folder",
                )


def beside(machine: Machine) -> Machine:
    """The machine with its disks' files named as they would lie in one folder."""
    disks = tuple(replace(disk, files=tuple(ntpath.basename(file) for file in disk.files)) for disk in machine.disks)
    return replace(machine, disks=disks)
