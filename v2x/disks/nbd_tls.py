# SPDX-License-Identifier: Apache-2.0
"""A disk behind an NBD server on another machine, over TLS that v2x itself has verified or pinned.

libnbd speaks the protocol, but the certificate is checked where all certificates are (tls.py): the connection is
secured here, by STARTTLS, and libnbd gets one end of a pair of sockets whose other end is relayed through it. What
names the export, which may be a session, is sent through the secured connection only; a server without TLS gets
nothing. Numbers are those of the NBD project's protocol description (doc/proto.md).
"""

import contextlib
import selectors
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

from v2x.disks.libnbd import libnbd
from v2x.disks.nbd import NbdReader
from v2x.errors import ConnectError, V2xError
from v2x.log import redact
from v2x.model.units import KIB
from v2x.tls import Trust, secured

_MAGIC, _OPTION_MAGIC, _REPLY_MAGIC = b"NBDMAGIC", b"IHAVEOPT", 0x0003E889045565A9
_FIXED_NEWSTYLE, _NO_ZEROES = 1, 2
_STARTTLS, _ACK = 5, 1
_CONNECT_SECONDS = 30.0
_PIECE_BYTES = 256 * KIB


class NbdTlsReader(NbdReader):
    """The export `export` of the server at `host`:`port`. `name` is for messages, and `export` is in none of them.

    ConnectError where there is no such server or it takes no TLS, TrustError for a certificate that is not trusted,
    SourceError for what fails after that. A clone is a second connection.
    """

    over = "NBD"
    at_once = 1  # one connection is enough for a sample, and the least that a pool notices

    def __init__(self, host: str, port: int, export: str, trust: Trust, *, name: str) -> None:
        self._place, self._trust = (host, port), trust
        self._relay: _Relay | None = None
        try:
            super().__init__("", export, name=name)
        except BaseException:
            self._end()
            raise

    def _reach(self, handle: Any) -> None:
        handle.set_debug(False)  # which its environment may turn on, and which would print the export
        self._relay = _Relay(*_greeted(*self._place, self._trust))
        handle.connect_socket(self._relay.take_end())
        self._relay.established()

    def _failed(self, doing: str, problem: Any) -> V2xError:
        failed = super()._failed(doing, problem)
        # A server's message may hold the name of the export, and that the session.
        failed.message = redact(failed.message.replace(self._export, "the disk"))
        return failed

    def clone(self) -> "NbdTlsReader":
        return NbdTlsReader(*self._place, self._export, self._trust, name=self.name)

    def close(self) -> None:
        super().close()
        self._end()

    def _end(self) -> None:
        relay, self._relay = self._relay, None
        if relay is not None:
            relay.close()


def _greeted(host: str, port: int, trust: Trust) -> tuple[ssl.SSLSocket, int]:
    """A connection that has come as far as TLS, and the flags that the server greeted with."""
    who = f"the NBD server {host}:{port}"
    try:
        plain = socket.create_connection((host, port), _CONNECT_SECONDS)
    except OSError as problem:
        raise ConnectError(
            f"cannot connect to {who}: {problem.strerror or problem}", hint="check firewalls, and the host"
        ) from None
    try:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        magic, option, flags = struct.unpack(">8s8sH", _taken(plain, 18))
        if (magic, option) != (_MAGIC, _OPTION_MAGIC) or not flags & _FIXED_NEWSTYLE:
            raise ConnectError(f"{who} does not speak the protocol of today", hint="is this the pool's NBD port?")
        plain.sendall(struct.pack(">I", flags & (_FIXED_NEWSTYLE | _NO_ZEROES)))
        plain.sendall(_OPTION_MAGIC + struct.pack(">II", _STARTTLS, 0))
        magic, option, reply, length = struct.unpack(">QIII", _taken(plain, 20))
        if (magic, option, reply, length) != (_REPLY_MAGIC, _STARTTLS, _ACK, 0):
            raise ConnectError(f"{who} takes no TLS", hint="give the network the purpose nbd, not insecure_nbd")
    except OSError as problem:
        plain.close()
        raise ConnectError(f"{who} broke the connection off: {problem}", hint="look at its log on the host") from None
    except BaseException:
        plain.close()
        raise
    return secured(plain, host, port, trust, look=False), flags


def _taken(connection: socket.socket, length: int) -> bytes:
    got = bytearray()
    while len(got) < length:
        part = connection.recv(length - len(got))
        if not part:
            raise ConnectionError("it has gone")
        got += part
    return bytes(got)


class _Relay:
    """Hands bytes to and fro between libnbd and a secured connection, in a thread of its own, until either ends.

    libnbd is greeted once more, with the server's own flags: to it, the connection is one that just began.
    """

    def __init__(self, remote: ssl.SSLSocket, flags: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._remote, self._flags, self._clock = remote, flags, clock
        self._near, self._end = socket.socketpair()
        self._deadline: float | None = clock() + _CONNECT_SECONDS
        self._remote.settimeout(_CONNECT_SECONDS)
        self._thread = threading.Thread(target=self._run, name="v2x-nbd-tls", daemon=True)
        self._thread.start()

    def take_end(self) -> int:
        """The file descriptor for libnbd, which closes it."""
        return self._end.detach()

    def established(self) -> None:
        """The negotiation is over; from now on a read has the time that reads have."""
        self._deadline = None

    def _run(self) -> None:
        try:
            self._near.sendall(_MAGIC + _OPTION_MAGIC + struct.pack(">H", self._flags))
            _taken(self._near, 4)
            self._pass_on()
        except (OSError, ValueError):
            pass
        finally:
            # A reader that waits hears of the end by this one being closed.
            self._near.close()
            self._remote.close()

    def _pass_on(self) -> None:
        buffer = memoryview(bytearray(_PIECE_BYTES))
        with selectors.DefaultSelector() as ready:
            ready.register(self._remote, selectors.EVENT_READ, self._near)
            ready.register(self._near, selectors.EVENT_READ, self._remote)
            while True:
                if self._remote.pending():
                    events: list[tuple[Any, Any]] = [(self._remote, self._near)]
                else:
                    events = [(key.fileobj, key.data) for key, _ in ready.select(1.0)]
                if self._deadline is not None and self._clock() > self._deadline:
                    return
                for source, sink in events:
                    count = self._received(source, buffer)
                    if count is None:
                        continue
                    if not count:
                        return
                    sink.sendall(buffer[:count])

    def _received(self, source: socket.socket, buffer: memoryview) -> int | None:
        """Bytes that have come, 0 at the end; None where TLS had only something to say to itself, as its tickets."""
        if source is not self._remote:
            return source.recv_into(buffer)
        source.settimeout(0)
        try:
            return source.recv_into(buffer)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        finally:
            source.settimeout(_CONNECT_SECONDS)

    def close(self) -> None:
        """Ends both connections; safe to call twice."""
        with contextlib.suppress(OSError):
            self._near.shutdown(socket.SHUT_RDWR)
        self._thread.join(_CONNECT_SECONDS)
        with contextlib.suppress(OSError):
            self._end.close()


def available() -> bool:
    """Whether libnbd is installed."""
    try:
        libnbd()
    except V2xError:
        return False
    return True
