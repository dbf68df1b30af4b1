# SPDX-License-Identifier: Apache-2.0
"""A guest that keeps changing its disk while others copy it."""

import contextlib
import random
import threading
import time
from collections.abc import Callable

from v2x.simulators.vsphere.disks.guest import GuestDisk
from v2x.simulators.vsphere.disks.layer import SECTOR

_LONGEST_SECTORS = 512
_GROWTH_BYTES = 1 << 20


class GuestWriter:
    """Writes, zeroes, trims and, where there is no snapshot, grows a disk until it is stopped; seeded.

    `per_second` is how many operations it does a second; with 0 it does none by itself and `step` does one.
    `grow_to` is the size at which the disk stops growing (0: it never grows); `grow` is how it grows.
    """

    def __init__(
        self,
        disk: GuestDisk,
        *,
        seed: int = 1,
        per_second: float = 0,
        grow_to: int = 0,
        grow: Callable[[int], None] | None = None,
    ) -> None:
        self.disk = disk
        self.steps = 0
        self._random = random.Random(seed)
        self._pause = 1 / per_second if per_second else 0.0
        self._grow_to = grow_to
        self._grow = grow or disk.grow
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> "GuestWriter":
        self._thread = threading.Thread(target=self._run, name="guest-writer", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Ends the writing; the last operation is done."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(10)
        self.disk.seal()

    def _run(self) -> None:
        due = time.monotonic()
        while self._pause and not self._stop.is_set():
            self.step()
            due += self._pause
            self._stop.wait(max(0.0, due - time.monotonic()))

    def step(self) -> str:
        """One operation, and which it was."""
        chance = self._random.random()
        sectors = self.disk.size_bytes // SECTOR
        start = self._random.randrange(sectors)
        length = min(self._random.randint(1, _LONGEST_SECTORS), sectors - start)
        offset, size = start * SECTOR, length * SECTOR
        self.steps += 1
        if chance < 0.02 and self.disk.top.parent is None and self.disk.size_bytes < self._grow_to:
            with contextlib.suppress(ValueError):  # a snapshot was taken at this moment
                self._grow(min(self._grow_to, self.disk.size_bytes + _GROWTH_BYTES))
            return "grow"
        if chance < 0.15:
            self.disk.zero(offset, size)
            return "zero"
        if chance < 0.3:
            self.disk.trim(offset, size)
            return "trim"
        self.disk.write(offset, self._random.randbytes(size))
        return "write"
