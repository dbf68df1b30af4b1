# SPDX-License-Identifier: Apache-2.0
"""The outer layer of an XVA that is sent: none, gzip, or zstd through its program as the real server does."""

import shutil
import socket
import subprocess
import threading
import zlib
from contextlib import suppress
from typing import IO, Protocol, cast

from v2x.simulators.xapi.failure import internal, invalid_value

_PIECE_BYTES = 256 * 1024


class Packer(Protocol):
    """Takes the bytes of an archive. `close` ends it well, `abandon` drops it."""

    def send(self, data: bytes) -> None: ...

    def close(self) -> None: ...

    def abandon(self) -> None: ...


class _Plain:
    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def close(self) -> None:
        """Nothing is held back."""

    abandon = close


class _Gzip(_Plain):
    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self._packer = zlib.compressobj(1, zlib.DEFLATED, 31)

    def send(self, data: bytes) -> None:
        self._sock.sendall(self._packer.compress(data))

    def close(self) -> None:
        self._sock.sendall(self._packer.flush())


class _Zstd:
    def __init__(self, sock: socket.socket) -> None:
        program = shutil.which("zstd")
        if program is None:
            raise internal("the simulated pool has no zstd program to pack this with")
        self._sock = sock
        self._process = subprocess.Popen(
            [program, "-1", "-c", "-q"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._in = cast(IO[bytes], self._process.stdin)
        self._out = cast(IO[bytes], self._process.stdout)
        self._lost: OSError | None = None
        self._thread = threading.Thread(target=self._pass_on, daemon=True)
        self._thread.start()

    def _pass_on(self) -> None:
        try:
            while part := self._out.read1(_PIECE_BYTES):  # type: ignore[attr-defined]
                self._sock.sendall(part)
        except OSError as error:
            self._lost = error
            self._process.kill()

    def send(self, data: bytes) -> None:
        self._in.write(data)

    def close(self) -> None:
        self._in.close()
        self._thread.join()
        self._process.wait()
        self._out.close()
        if self._lost is not None:
            raise self._lost

    def abandon(self) -> None:
        self._process.kill()
        self._process.wait()
        self._thread.join()
        with suppress(OSError):
            self._in.close()
        self._out.close()


def packer_for(asked: str, sock: socket.socket) -> Packer:
    """By use_compression: true and gzip are the same. INVALID_VALUE for what is neither of the known words."""
    if asked in ("", "none", "false"):
        return _Plain(sock)
    if asked in ("true", "gzip"):
        return _Gzip(sock)
    if asked == "zstd":
        return _Zstd(sock)
    raise invalid_value("use_compression", asked)
