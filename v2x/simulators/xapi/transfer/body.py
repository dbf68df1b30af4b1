# SPDX-License-Identifier: Apache-2.0
"""A request body read strictly forward, with the faults that belong to the wire: a slow socket, a cut connection."""

import ssl
import threading
from collections.abc import Callable
from typing import Protocol

from v2x.simulators.xapi.failure import StreamBroken, StreamEnded

BUFFER_BYTES = 2 * 1024 * 1024
_SLOW_PIECE = 64 * 1024


class ConnectionCut(StreamEnded):
    """The armed fault struck: the connection is closed without a word."""


class Wire(Protocol):
    """Where a body comes from: a socket, or an answer that the server itself asked for."""

    def recv_into(self, view: memoryview, /) -> int: ...


class Body:
    """`length` is the Content-Length, None when there is none and the end is the end of the connection.

    `cut_at` ends the connection after that many bytes; `rate` answers the allowed bytes per second, 0 for no limit.
    """

    def __init__(
        self,
        sock: Wire,
        pending: bytes,
        length: int | None,
        *,
        rate: Callable[[], int],
        stopping: threading.Event,
    ) -> None:
        self._sock = sock
        self._pending = memoryview(pending)
        self.length = length
        self._rate = rate
        self._stopping = stopping
        self.cut_at: int | None = None
        self.position = 0
        self._scratch = bytearray()

    @property
    def was_cut(self) -> bool:
        """Whether the armed fault has struck."""
        return self.cut_at is not None and self.position >= self.cut_at

    @property
    def left(self) -> int | None:
        """Bytes to come; None when the length is not known."""
        return None if self.length is None else self.length - self.position

    def read_some(self, view: memoryview) -> int:
        """Fills the beginning of `view`; 0 at the end of the body."""
        wanted = len(view) if self.length is None else min(len(view), self.length - self.position)
        if self.cut_at is not None:
            if self.position >= self.cut_at:
                raise ConnectionCut(f"connection cut after {self.position} bytes")
            wanted = min(wanted, self.cut_at - self.position)
        if wanted == 0:
            return 0
        if self._pending:
            got = min(wanted, len(self._pending))
            view[:got] = self._pending[:got]
            self._pending = self._pending[got:]
        else:
            got = self._receive(view[:wanted])
        self.position += got
        return got

    def _receive(self, view: memoryview) -> int:
        if self._stopping.is_set():
            raise StreamEnded(f"the server stopped after {self.position} bytes")
        rate = self._rate()
        if rate:
            view = view[:_SLOW_PIECE]
        try:
            got = self._sock.recv_into(view)
        except (OSError, ssl.SSLError, ValueError) as error:
            raise StreamEnded(f"connection lost after {self.position} bytes: {error}") from None
        if rate and got:
            self._stopping.wait(got / rate)
        return got

    def read_into(self, view: memoryview) -> None:
        """Fills all of `view`; StreamEnded when the body ends before."""
        filled = 0
        while filled < len(view):
            got = self.read_some(view[filled:])
            if got == 0:
                raise StreamEnded(f"stream ended after {self.position} bytes")
            filled += got

    def read(self, count: int) -> bytes:
        """Exactly `count` bytes, which the caller has bounded."""
        made = bytearray(count)
        self.read_into(memoryview(made))
        return bytes(made)

    def skip_to(self, position: int) -> None:
        """Reads on to a position that must not lie behind."""
        if position < self.position:
            raise StreamBroken(f"position {position} is behind the reader at {self.position}")
        if self.length is not None and position > self.length:
            raise StreamEnded(f"position {position} is beyond the end of the stream at {self.length}")
        self._scratch = self._scratch or bytearray(BUFFER_BYTES)
        view = memoryview(self._scratch)
        while self.position < position:
            self.read_into(view[: min(len(view), position - self.position)])

    def drain(self, limit: int) -> None:
        """Takes what the client announced beyond the last byte that matters, at most `limit` bytes."""
        if self.length is None:
            return
        view = memoryview(bytearray(min(limit, BUFFER_BYTES)))
        end = self.position + limit
        while self.position < end and self.read_some(view[: end - self.position]):
            pass


class Source(Protocol):
    """Bytes read strictly forward: a body, or what is unpacked from one."""

    def read(self, count: int) -> bytes: ...

    def read_into(self, view: memoryview) -> None: ...


Progress = Callable[[float], None]
Write = Callable[[memoryview, int], None]
