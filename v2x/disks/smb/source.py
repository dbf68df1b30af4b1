# SPDX-License-Identifier: Apache-2.0
"""A file on a share as a byte source."""

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from v2x.disks.extent import Extent
from v2x.disks.interface import Buffer
from v2x.disks.smb.connection import Lost
from v2x.disks.smb.paths import UncPath
from v2x.disks.smb.server import FileState, SmbHandle, SmbServer
from v2x.errors import BadImage, ConnectError, Retry, SourceError
from v2x.waiting import nap

WAITS_SECONDS: Final = (0.0, 1.0, 4.0, 15.0, 30.0)
"""Before each further attempt: a server that dropped a connection is mostly there, one that restarts takes a while."""

Result = TypeVar("Result")


def persistent(server: SmbServer, action: Callable[[], Result], sleep: Callable[[float], None]) -> Result:
    """Does `action` again over a new connection as long as connections are lost. SourceError at last."""
    for wait_seconds in (*WAITS_SECONDS, None):
        try:
            return action()
        except Lost as problem:
            why = str(problem)
        if wait_seconds:
            sleep(wait_seconds)
    raise SourceError(
        f"the connection to {server.name} was lost {len(WAITS_SECONDS) + 1} times: {why[:200]}",
        hint="check the network; the same command continues",
        retry=Retry.NOW,
    )


class SmbSource:
    """One file. Reads survive lost connections, as long as the file is then still the same.

    Its size is fixed at opening. One thread per source; clones have a handle of their own on the same connection.
    """

    def __init__(
        self,
        server: SmbServer,
        place: UncPath,
        *,
        name: str = "",
        expected: FileState | None = None,
        sleep: Callable[[float], None] = nap,
    ) -> None:
        """`name` is what its listing calls it, where that is not the file's own name."""
        self._server = server
        self._place = place
        self._name = name or place.name
        self._sleep = sleep
        self._closed = False
        self._handle: SmbHandle | None = persistent(server, lambda: self._opened(expected), sleep)
        self._state = self._handle.state

    def _opened(self, expected: FileState | None) -> SmbHandle:
        handle = self._server.open(self._place)
        if expected is not None and handle.state != expected:
            handle.close()
            raise SourceError(
                f"{self.name} changed at the source while it was read",
                code="SOURCE-CHANGED",
                hint="make sure that the machine stays off, then run the same command again",
            )
        return handle

    @property
    def name(self) -> str:
        return self._name

    @property
    def place(self) -> UncPath:
        return self._place

    @property
    def size(self) -> int:
        return self._state.size

    @property
    def write_id(self) -> str:
        """Size and time of the last write, as they were when it was opened."""
        return self._state.write_id

    def read_into(self, offset: int, buffer: Buffer) -> None:
        view = memoryview(buffer).cast("B")
        if self._closed:
            raise ValueError(f"{self.name} is closed")
        if offset < 0 or offset + len(view) > self.size:
            raise BadImage(
                f"{self.name} ends at byte {self.size:,} where more was expected",
                hint="the file is truncated or still being written; copy it again",
            )
        if view:
            persistent(self._server, lambda: self._read(offset, view), self._sleep)

    def _read(self, offset: int, view: memoryview) -> None:
        if self._handle is None:
            try:
                self._handle = self._opened(self._state)
            except ConnectError as problem:  # it was there before, so it may come back
                raise Lost(problem.message) from None
        try:
            self._handle.read_into(offset, view)
        except Lost:
            self._handle = None
            raise

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        """A share does not tell the holes of a file; the tables of the image in it do."""
        if length:
            yield Extent(start, length, True)

    def clone(self) -> "SmbSource":
        return SmbSource(self._server, self._place, name=self._name, expected=self._state, sleep=self._sleep)

    def close(self) -> None:
        self._closed = True
        if self._handle is not None:
            self._handle.close()
            self._handle = None
