# SPDX-License-Identifier: Apache-2.0
"""Read-only NBD of a host, served by qemu-nbd behind a gate that takes TLS and looks at the session.

xapi's own server takes the export name `/<vdi uuid>?session_id=<ref>` (xapi.md 2.10). So does the gate: it speaks the
handshake of the NBD protocol (fixed newstyle), attaches the VDI read-only to the control domain, starts a qemu-nbd for
the connection and hands both ends to each other. With a network of purpose `nbd`, TLS is a must; where only
`insecure_nbd` is there, it is refused.
"""

import contextlib
import selectors
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from v2x.simulators.xapi.attach import attach_to_dom0, detach
from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.state import PoolState
from v2x.simulators.xapi.transfer.request import query_of

_MAGIC, _OPTION, _REPLY = b"NBDMAGIC", b"IHAVEOPT", 0x3E889045565A9
_FIXED_NEWSTYLE, _NO_ZEROES = 1, 2
_EXPORT_NAME, _ABORT, _STARTTLS, _INFO, _GO = 1, 2, 5, 6, 7
_ACK, _UNSUPPORTED, _POLICY, _TLS_REQUIRED, _UNKNOWN = 1, 2**31 + 1, 2**31 + 2, 2**31 + 5, 2**31 + 6
_OPTION_LIMIT_BYTES = 4096
_TIMEOUT_SECONDS = 10.0
_PIECE_BYTES = 256 * 1024


class _Refused(Exception):
    """The client asked for something it does not get; `reply` is the error of the protocol."""

    def __init__(self, reply: int) -> None:
        super().__init__(reply)
        self.reply = reply


def purposes(state: PoolState, host: str) -> set[str]:
    """Which NBD purposes the networks of a host have: nbd, insecure_nbd."""
    store = state.store
    networks = [store.get("PIF", p, "network") for p in store.get("host", host, "PIFs")]
    return {purpose for network in networks for purpose in store.get("network", network, "purpose")}


def _take(sock: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        part = sock.recv(count - len(got))
        if not part:
            raise ConnectionError("the peer has gone")
        got += part
    return got


class NbdListener:
    """Serves the VDIs that `host` can reach at 127.0.0.1:`port`."""

    def __init__(self, state: PoolState, host: str, context: ssl.SSLContext) -> None:
        self._state = state
        self._host = host
        self._context = context
        self._open: set[socket.socket] = set()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name=f"nbd-{self.port}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _peer = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(_TIMEOUT_SECONDS)
        self._open.add(sock)
        try:
            with contextlib.suppress(OSError, struct.error):
                _Gate(self._state, self._host, sock, self._context).serve()
        finally:
            self._open.discard(sock)
            sock.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


class _Gate:
    """One connection: the handshake until an export is named, then the hand-over."""

    def __init__(self, state: PoolState, host: str, sock: socket.socket, context: ssl.SSLContext) -> None:
        self._state = state
        self._host = host
        self._sock = sock
        self._context = context
        self._no_zeroes = False

    def serve(self) -> None:
        offered = purposes(self._state, self._host)
        if not offered & {"nbd", "insecure_nbd"}:
            return
        self._sock.sendall(_MAGIC + _OPTION + struct.pack(">H", _FIXED_NEWSTYLE | _NO_ZEROES))
        self._no_zeroes = bool(struct.unpack(">I", _take(self._sock, 4))[0] & _NO_ZEROES)
        tls_wanted = "nbd" in offered
        secured = False
        while True:
            option, data = self._option()
            if option == _ABORT:
                self._reply(option, _ACK)
                return
            if option == _STARTTLS and tls_wanted and not secured:
                self._reply(option, _ACK)
                self._sock = self._context.wrap_socket(self._sock, server_side=True)
                secured = True
            elif option == _STARTTLS:
                self._reply(option, _POLICY)
            elif tls_wanted and not secured:
                if option == _EXPORT_NAME:
                    return
                self._reply(option, _TLS_REQUIRED)
            elif option in (_EXPORT_NAME, _INFO, _GO):
                if self._named(option, data):
                    return
            else:
                self._reply(option, _UNSUPPORTED)

    def _option(self) -> tuple[int, bytes]:
        magic, option, length = struct.unpack(">8sII", _take(self._sock, 16))
        if magic != _OPTION or length > _OPTION_LIMIT_BYTES:
            raise ConnectionError("no option")
        return option, _take(self._sock, length)

    def _reply(self, option: int, reply: int) -> None:
        self._sock.sendall(struct.pack(">QIII", _REPLY, option, reply, 0))

    def _named(self, option: int, data: bytes) -> bool:
        """An export was named; whether the connection is over with what follows."""
        length = struct.unpack_from(">I", data)[0] if option != _EXPORT_NAME else len(data)
        name, rest = (data, b"") if option == _EXPORT_NAME else (data[4 : 4 + length], data[4 + length :])
        try:
            vdi = self._vdi(name)
            vbd = attach_to_dom0(self._state, vdi, "RO", self._host)
        except (_Refused, ApiError) as error:
            if option == _EXPORT_NAME:
                return True  # the protocol has no other answer to this one
            self._reply(option, error.reply if isinstance(error, _Refused) else _UNKNOWN)
            return False
        try:
            self._hand_over(self._state.volume(vdi).path, option, rest)
        finally:
            detach(self._state, vbd)
        return True

    def _vdi(self, name: bytes) -> str:
        """The VDI that an export name means. _Refused without a live session in it."""
        path, _, query = name.decode("utf-8", "replace").partition("?")
        session = self._state.sessions.find(query_of(query).get("session_id", ""))
        if session is None:
            raise _Refused(_POLICY)
        self._state.sessions.assert_role(session, "http/connect_nbd", "vm-admin")
        return self._state.store.by_uuid("VDI", path.removeprefix("/"))

    def _hand_over(self, path: Path, option: int, rest: bytes) -> None:
        program = shutil.which("qemu-nbd")
        if program is None:
            raise ConnectionError("qemu-nbd is not installed")
        with tempfile.TemporaryDirectory(prefix="v2x-nbd-") as folder:
            place = Path(folder) / "s"
            process = subprocess.Popen(
                [program, "--read-only", "--format=raw", "--export-name=disk", f"--socket={place}", str(path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                with _connected(place) as server:
                    flags = struct.unpack(">8s8sH", _take(server, 18))[2]
                    server.sendall(struct.pack(">I", (flags & _FIXED_NEWSTYLE) | (_NO_ZEROES * self._no_zeroes)))
                    name = b"disk" if option == _EXPORT_NAME else struct.pack(">I", 4) + b"disk" + rest
                    server.sendall(_OPTION + struct.pack(">II", option, len(name)) + name)
                    self._relay(server)
            finally:
                process.kill()
                process.wait()

    def _relay(self, server: socket.socket) -> None:
        """Bytes in both directions until one end is done; in one thread, as a TLS connection is not for two."""
        self._sock.settimeout(None)
        with selectors.DefaultSelector() as ready:
            ready.register(self._sock, selectors.EVENT_READ, server)
            ready.register(server, selectors.EVENT_READ, self._sock)
            while True:
                if isinstance(self._sock, ssl.SSLSocket) and self._sock.pending():
                    if not _pass_on(self._sock, server):
                        return
                    continue
                for key, _events in ready.select():
                    if not _pass_on(key.fileobj, key.data):
                        return


def _connected(place: Path) -> socket.socket:
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    server = socket.socket(socket.AF_UNIX)
    while True:
        try:
            server.connect(str(place))
        except OSError:
            if time.monotonic() > deadline:
                server.close()
                raise
            time.sleep(0.02)
        else:
            return server


def _pass_on(source: Any, target: socket.socket) -> bool:
    """Whether there was something to pass on."""
    part = source.recv(_PIECE_BYTES)
    if part:
        target.sendall(part)
    return bool(part)
