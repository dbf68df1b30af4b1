# SPDX-License-Identifier: Apache-2.0
"""An inventory that v2x wrote before: good for assessment and planning; it holds no disks."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from v2x.disks.bytesource import FileSource
from v2x.disks.interface import DiskReader
from v2x.errors import BadImage, UnsafeImage, Unsupported
from v2x.model.codec import SchemaError, from_json
from v2x.model.inventory import INVENTORY_SCHEMA, Inventory
from v2x.model.machine import Disk, Machine
from v2x.model.units import MIB
from v2x.sources.interface import Checkpoint
from v2x.sources.local_files import Clock

MOST_INVENTORY_BYTES = 512 * MIB


class InventoryFileSource:
    """The machines of `path`, as they were when it was written."""

    def __init__(self, path: str | Path) -> None:
        self._name = Path(path).name
        with closing(FileSource.open(path)) as source:
            if source.size > MOST_INVENTORY_BYTES:
                raise UnsafeImage(f"{self._name} has {source.size:,} bytes, an inventory has far less")
            data = bytearray(source.size)
            source.read_into(0, data)
        try:
            self._inventory = from_json(bytes(data), Inventory, INVENTORY_SCHEMA)
        except SchemaError as problem:
            raise BadImage(
                f"{self._name} is not an inventory of v2x: {problem}",
                hint="give a file written by v2x inventory SOURCE -o FILE",
            ) from None

    @classmethod
    def open(cls, path: str | Path, address: str = "", clock: Clock | None = None) -> "InventoryFileSource":
        """The inventory keeps the address and time it was taken with; the arguments are those of every source."""
        del address, clock
        return cls(path)

    def __enter__(self) -> "InventoryFileSource":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def inventory(self, select: Callable[[str], bool] | None = None) -> Inventory:
        machines = tuple(
            machine
            for machine in self._inventory.machines
            if select is None or select(machine.name) or select(machine.id)
        )
        return replace(self._inventory, machines=machines)

    def checkpoint(self, machine: Machine, tag: str) -> Checkpoint:
        """An inventory has no disks; the point says only when it was taken."""
        taken = self._inventory.taken_at.isoformat()
        return Checkpoint(tag=tag, machine_id=machine.id, points={disk.id: taken for disk in machine.disks})

    def reader(self, machine: Machine, disk: Disk, at: Checkpoint) -> DiskReader:
        """Always Unsupported, naming the source to use."""
        del at
        raise Unsupported(
            f"{self._name} is a saved inventory and does not hold disk {disk.label} of {machine.name}",
            hint=f"migrate from the source it was taken from: {self._inventory.source.address}",
        )

    def release(self, machine: Machine, tag: str) -> None:
        """Nothing was created."""

    def close(self) -> None:
        """Holds nothing open."""
