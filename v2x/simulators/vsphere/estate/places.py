# SPDX-License-Identifier: Apache-2.0
"""Where the files of datastores are, and which disks lie in them."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from v2x.simulators.vsphere.disks.guest import GuestDisk


class Places:
    """A folder for each datastore. Every method may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._roots: dict[str, Path] = {}
        self._disks: list[GuestDisk] = []
        self._running: dict[int, set[str]] = {}
        self._lock = threading.Lock()

    def add(self, moid: str, name: str) -> Path:
        """The folder of the datastore `moid`; `name` makes it findable for people."""
        safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
        root = self._roots[moid] = (self._folder / f"{moid}-{safe}").absolute()
        root.mkdir(parents=True, exist_ok=True)
        return root

    def root(self, moid: str) -> Path:
        return self._roots[moid]

    def keep(self, disk: "GuestDisk") -> None:
        with self._lock:
            self._disks.append(disk)

    def disk_at(self, descriptor: Path) -> "GuestDisk | None":
        """The disk that has a layer with this descriptor."""
        with self._lock:
            disks = list(self._disks)
        for disk in disks:
            if any(layer.path == descriptor for layer in list(disk.layers)):
                return disk
        return None

    def run(self, disk: "GuestDisk", machine: str, running: bool) -> None:
        """Notes that a running machine holds the disk, or no longer does; several may hold one that they share."""
        with self._lock:
            holders = self._running.setdefault(id(disk), set())
            (holders.add if running else holders.discard)(machine)

    def locked(self, file: Path) -> bool:
        """Whether a running machine writes to this file: only then it cannot be read by others."""
        with self._lock:
            return any(self._running.get(id(disk)) and disk.top.extent == file for disk in self._disks)

    def disks(self) -> "list[GuestDisk]":
        with self._lock:
            return list(self._disks)

    def close(self) -> None:
        for disk in self.disks():
            disk.close()
