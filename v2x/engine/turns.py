# SPDX-License-Identifier: Apache-2.0
"""How many guests are converted at once by one process: each conversion is a virtual machine of its own."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from v2x.errors import Stopped
from v2x.model.units import GIB

_MEMORY_BYTES = 4 * GIB
_LOOK_SECONDS = 0.2


def conversions_here() -> int:
    """For two processors and four GiB of this machine one, at most four: each takes one GiB and all of a processor."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(4, (os.cpu_count() or 1) // 2, memory // _MEMORY_BYTES))


class Turns:
    """Lets `limit()` at once pass, which is asked again each time; 0 for as many as come."""

    def __init__(self, limit: Callable[[], int] = conversions_here) -> None:
        self._limit = limit
        self._taken = 0
        self._freed = threading.Condition()

    @contextmanager
    def taken(self, stopping: Callable[[], bool]) -> Iterator[None]:
        """A turn for the block. Stopped when `stopping()` becomes true while it is waited for."""
        with self._freed:
            while self._taken >= (self._limit() or self._taken + 1):
                if stopping():
                    raise Stopped(
                        "stopped before the guest was converted", hint="run the same command again; it continues"
                    )
                self._freed.wait(_LOOK_SECONDS)
            self._taken += 1
        try:
            yield
        finally:
            with self._freed:
                self._taken -= 1
                self._freed.notify_all()
