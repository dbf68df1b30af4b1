# SPDX-License-Identifier: Apache-2.0
"""A TLS listener on loopback for one simulated host, a thread per connection."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable

_HANDSHAKE_SECONDS = 10.0
_END_SECONDS = 5.0
_RECEIVE_BUFFER = 4 * 1024 * 1024


class Listener:
    """Gives each connection to 127.0.0.1:`port` to `serve` until closed; port 0 takes a free one.

    `serve` runs in a thread of its own; the connection ends when it returns, or raises OSError.
    """

    def __init__(self, serve: Callable[[ssl.SSLSocket], None], context: ssl.SSLContext, port: int) -> None:
        self._serve_one = serve
        self._context = context
        self._open: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        try:
            self._socket.bind(("127.0.0.1", port))
            self._socket.listen(128)
        except OSError:
            self._socket.close()
            raise
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name=f"listener-{self.port}", daemon=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _peer = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.settimeout(_HANDSHAKE_SECONDS)
        try:
            sock = self._context.wrap_socket(plain, server_side=True)
        except (OSError, ValueError):
            plain.close()
            return
        sock.settimeout(None)
        with self._lock:
            self._open[sock] = threading.current_thread()
        try:
            with contextlib.suppress(OSError):
                self._serve_one(sock)
        finally:
            with self._lock:
                self._open.pop(sock, None)
            sock.close()

    def close(self) -> None:
        """Stops accepting, ends the connections and waits until what they did has come to its end."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        with self._lock:
            open_now = dict(self._open)
        for sock in open_now:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in open_now.values():
            thread.join(_END_SECONDS)
        if self._thread.is_alive():
            self._thread.join(_END_SECONDS)
