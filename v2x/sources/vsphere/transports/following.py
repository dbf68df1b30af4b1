# SPDX-License-Identifier: Apache-2.0
"""Follows a snapshot's disk to other files while it is read: somebody else may remove a snapshot below ours.

Removing a snapshot merges a file of the chain into its neighbour and takes it away; what our snapshot keeps stays the
same, and its configuration names the files that hold it from then on (vSphere API, RemoveSnapshot_Task and
VirtualMachineSnapshot.config). Reads over /folder hold no file open, so that the next range of a file that was merged
away is 404. Bytes are right until then: a merge writes to a file only blocks that a file above it in our chain holds,
and those are never read from below; blocks that it does not hold are not written.

That ends with our own snapshot, whose files then take what the guest writes; so it is looked for time and again. A
name that became free may be given to another delta, which can be read once one more snapshot stands on it: the same
look finds before that our chain is shorter.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

from v2x.disks.interface import DiskReader
from v2x.disks.wrap import Persistent
from v2x.errors import V2xError
from v2x.sources.vsphere.transports.place import DatastoreFile
from v2x.waiting import nap

_ATTEMPTS: Final = 6
_OPENINGS: Final = 3
_LOOK_EVERY_SECONDS: Final = 10.0
_FOLLOWED: Final = frozenset({"MISSING-FILE", "MISSING-PARENT", "PARENT-CHANGED", "SOURCE-CHANGED"})
"""What a merge looks like to a reader, also before the configuration says so."""
_PERHAPS: Final = frozenset({"BAD-IMAGE", "HTTP"})
"""What it may look like where the name of a file was given to another, or is held by a running machine."""

Files = tuple[DatastoreFile, ...]


class Chain:
    """What the clones of one reader share: the files that our snapshot has now, and a reader over them.

    `look` asks for the files, and raises SOURCE-GONE when the snapshot is there no more; `make` opens them. Readers
    that were left behind are not closed: they must hold nothing of their own, as those over an HttpOrigin.
    """

    def __init__(
        self,
        files: Files,
        look: Callable[[], Files],
        make: Callable[[Files], DiskReader],
        *,
        sleep: Callable[[float], None] = nap,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files, self._look, self._make = files, look, make
        self._sleep, self._clock = sleep, clock
        self._lock = threading.Lock()
        self._reader: DiskReader | None = None
        self._looked = clock()
        self.generation = 0

    def open(self) -> "FollowingReader":
        """The first reader. The errors of `make` and `look`."""
        attempt = 1
        while True:
            try:
                return FollowingReader(self, *self.current())
            except V2xError as problem:
                self.failed(problem, self.generation, attempt, most=_OPENINGS)
                attempt += 1

    def current(self) -> tuple[DiskReader, int]:
        """A reader over the files as they are known, and the number of that knowledge."""
        with self._lock:
            if self._reader is None:
                self._reader = self._make(self._files)
            return self._reader.clone(), self.generation

    def failed(self, problem: V2xError, generation: int, attempt: int, *, most: int = _ATTEMPTS) -> None:
        """Raises `problem` where another file would not help; else the next attempt has the files as they are now."""
        if problem.code not in _FOLLOWED | _PERHAPS or attempt >= most:
            raise problem
        if attempt > 1:
            self._sleep(2.0 ** (attempt - 2))
        with self._lock:
            if generation == self.generation and not self._moved() and problem.code in _PERHAPS:
                raise problem
            if generation == self.generation:
                # The same files, too, are opened anew: a merge changes their sizes and stamps.
                self._anew()

    def look_again(self) -> None:
        """From time to time, whether the snapshot is still there, with the same files."""
        with self._lock:
            if self._clock() - self._looked < _LOOK_EVERY_SECONDS:
                return
            try:
                if self._moved():
                    self._anew()
            except V2xError as problem:
                if problem.code == "SOURCE-GONE":
                    raise
                # A server that does not answer just now is the business of whoever reads.
                self._looked = self._clock()

    def _moved(self) -> bool:
        files = self._look()
        self._looked = self._clock()
        moved, self._files = files != self._files, files
        return moved

    def _anew(self) -> None:
        self._reader = None
        self.generation += 1


class FollowingReader(Persistent):
    """A DiskReader over a Chain. A read that fails goes on in the files that the snapshot has by then."""

    def __init__(self, chain: Chain, inner: DiskReader, generation: int) -> None:
        super().__init__(inner)
        self._chain, self._generation = chain, generation

    def _ready(self) -> DiskReader:
        self._chain.look_again()
        if self._generation != self._chain.generation:
            self._inner, self._generation = self._chain.current()
        return self._inner

    def _after(self, problem: V2xError, attempt: int) -> None:
        self._chain.failed(problem, self._generation, attempt)

    def clone(self) -> "FollowingReader":
        return FollowingReader(self._chain, self._inner.clone(), self._generation)
