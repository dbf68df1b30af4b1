# SPDX-License-Identifier: Apache-2.0
"""A VMware machine in a folder: its .vmx file with the disks beside it."""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from v2x.disks.interface import DiskReader
from v2x.disks.listing import FolderListing
from v2x.errors import InputRefused, SourceError
from v2x.model.inventory import Datastore, Inventory, SourceInfo, SourceNetwork, SourceProblem
from v2x.model.machine import Disk, Machine, PowerState, Snapshot
from v2x.sources.interface import Checkpoint
from v2x.sources.local_files import Clock, file_checkpoint, file_confirm, file_reader, utc_now
from v2x.sources.vmsd import read_snapshots
from v2x.sources.vmx_disks import SlotReader
from v2x.sources.vmx_file import VmxFile, read_vmx
from v2x.sources.vmx_machine import read_machine


class VmxSource:
    """One machine. Its disks are read as they lie in the folder; a machine that runs is refused."""

    def __init__(self, listing: FolderListing, name: str, address: str, clock: Clock = utc_now):
        self._listing = listing
        self._name = name
        self._address = address
        self._clock = clock
        self._vmx: VmxFile = read_vmx(listing, name)
        self._machine: Machine | None = None
        self._problems: list[SourceProblem] = []

    @classmethod
    def open(cls, path: str | Path, address: str = "", clock: Clock | None = None) -> "VmxSource":
        path = Path(path)
        listing = FolderListing(path.parent)
        try:
            return cls(listing, path.name, address or str(path), clock or utc_now)
        except BaseException:
            listing.close()
            raise

    def __enter__(self) -> "VmxSource":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def inventory(self, select: Callable[[str], bool] | None = None) -> Inventory:
        machine = self._read()
        chosen = select is None or select(machine.name) or select(machine.id)
        networks = dict.fromkeys(nic.network for nic in machine.nics if nic.network)
        stores = dict.fromkeys(disk.datastore for disk in machine.disks if disk.datastore)
        return Inventory(
            source=SourceInfo(kind="vmx", address=self._address, product="VMware", version=machine.hardware_version),
            taken_at=self._clock(),
            machines=(machine,) if chosen else (),
            networks=tuple(SourceNetwork(name=name, kind="vmx") for name in networks),
            datastores=tuple(Datastore(name=name, kind="vmfs") for name in stores),
            problems=tuple(self._problems),
        )

    def checkpoint(self, machine: Machine, tag: str) -> Checkpoint:
        """Creates nothing. SourceError when a lock file says that the machine runs."""
        locks = self._locks()
        if locks:
            raise SourceError(
                f"{machine.name} seems to be running: {locks[0]} lies beside {self._name}",
                hint="shut the machine down, or copy its folder while it is off; a lock left by a crash can be removed",
                code="SOURCE-RUNNING",
            )
        return file_checkpoint(self._listing, machine, tag)

    def reader(self, machine: Machine, disk: Disk, at: Checkpoint) -> DiskReader:
        return file_reader(self._listing, machine, disk, at)

    def confirm(self, machine: Machine, at: Checkpoint) -> None:
        file_confirm(self._listing, machine, at)

    def release(self, machine: Machine, tag: str) -> None:
        """Nothing was created."""

    def close(self) -> None:
        self._listing.close()

    def _read(self) -> Machine:
        if self._machine is None:
            slots = SlotReader(self._vmx, self._listing)
            snapshots = self._snapshots(slots.problems)
            template = self._name.lower().endswith(".vmtx")
            self._machine = read_machine(self._vmx, slots, snapshots, self._power(), template)
            self._problems = slots.problems
        return self._machine

    def _snapshots(self, problems: list[SourceProblem]) -> tuple[Snapshot, ...]:
        name = self._name.rpartition(".")[0] + ".vmsd"
        names = self._listing.names()
        if name not in names:
            return ()
        try:
            return read_snapshots(read_vmx(self._listing, name), names)
        except InputRefused as problem:
            problems.append(SourceProblem(subject=name, code=problem.code, text=problem.message))
            return ()

    def _locks(self) -> list[str]:
        """`NAME.vmx.lck` is a file on ESXi and a folder on desktop products; disks are locked the same way."""
        stem = self._name.rpartition(".")[0].lower()
        found = sorted(entry.name for entry in self._listing.folder.iterdir() if entry.name.lower().endswith(".lck"))
        return [name for name in found if name.lower().startswith(stem)]

    def _power(self) -> PowerState:
        if self._locks():
            return PowerState.ON
        state = self._vmx.get("checkpoint.vmState").strip()
        if state and state in self._listing.names():
            return PowerState.SUSPENDED
        return PowerState.OFF
