# SPDX-License-Identifier: Apache-2.0
"""The HTTP side of WinRM: Negotiate with NTLM, messages encrypted by it, HTTPS, client certificates.

[MS-WSMV] 2.2.9.1 describes the encrypted messages. A login belongs to its connection.
"""

import base64
import hashlib
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import spnego
from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import SpnegoError

from v2x.simulators.faults import Faults

_BOUNDARY = b"--Encrypted Boundary"
_SEALED = "application/HTTP-SPNEGO-session-encrypted"
_SOAP = "application/soap+xml;charset=UTF-8"
_MUTUAL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
_MOST_BYTES = 16 << 20

Answer = Callable[[bytes], tuple[bytes, bool]]
Record = Callable[[str, str], None]

_environment = threading.RLock()


@contextmanager
def _accounts(path: Path) -> Iterator[None]:
    """pyspnego finds the accounts of its NTLM acceptor through the environment only."""
    with _environment:
        before = os.environ.get("NTLM_USER_FILE")
        os.environ["NTLM_USER_FILE"] = str(path)
        try:
            yield
        finally:
            if before is None:
                del os.environ["NTLM_USER_FILE"]
            else:
                os.environ["NTLM_USER_FILE"] = before


def _entities() -> bytes:
    """Ten entities, each of which is ten times the one before it."""
    names = [f"e{number}" for number in range(10)]
    lines = [f'<!ENTITY {names[0]} "{"x" * 10}">']
    lines += [f'<!ENTITY {name} "{f"&{below};" * 10}">' for below, name in pairwise(names)]
    return f"<?xml version='1.0'?><!DOCTYPE a [{''.join(lines)}]><a>&{names[-1]};</a>".encode()


@dataclass(frozen=True, kw_only=True)
class Door:
    """What every connection needs. `certificates` are the SHA-256 of client certificates, with their users."""

    accounts: Path
    answer: Answer
    faults: Faults
    record: Record
    tls: bool
    certificate: bytes = b""
    certificates: Mapping[str, str] | None = None


class Endpoint:
    """A listener on `address`:`port`; port 0 takes a free one."""

    def __init__(self, door: Door, address: str, port: int, context: ssl.SSLContext | None) -> None:
        self._server = _Server((address, port), door, context)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(5)
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], door: Door, context: ssl.SSLContext | None) -> None:
        super().__init__(address, _Connection)
        self.door = door
        self._context = context

    def get_request(self) -> tuple[Any, Any]:
        plain, peer = self.socket.accept()
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context is None:
            return plain, peer
        # The handshake is made by the connection's own thread, when it reads first.
        return self._context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), peer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "Microsoft-HTTPAPI/2.0"
    timeout = 120

    def setup(self) -> None:
        super().setup()
        self._login: Any = None
        self._user = ""

    @property
    def _door(self) -> Door:
        return cast(_Server, self.server).door

    def log_message(self, format: str, *args: Any) -> None:
        """The ledger has what matters."""

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > _MOST_BYTES or self.path != "/wsman":
            self._reply(404)
            return
        data = self.rfile.read(int(length))
        fault = self._door.faults.take("http_error")
        if fault is not None:
            self._reply(fault.at or 503)
            return
        tokens: dict[str, str] = {}
        if not self._logged_in(tokens):
            return
        if not data:
            self._reply(200, headers=tokens)
        else:
            self._converse(data, tokens)

    def _logged_in(self, tokens: dict[str, str]) -> bool:
        """Goes on with the login of this connection; False when the answer was given here."""
        given = self.headers.get("Authorization", "")
        if self._user and (self._login is None or not given):
            return True
        if given == _MUTUAL:
            return self._by_certificate()
        kind, _, token = given.partition(" ")
        if kind.casefold() != "negotiate" or not token:
            self._door.record("login", "asked for")
            self._refuse()
            return False
        return self._by_token(token, tokens)

    def _by_certificate(self) -> bool:
        shown = self.connection.getpeercert(binary_form=True) if isinstance(self.connection, ssl.SSLSocket) else None
        digest = hashlib.sha256(shown).hexdigest() if shown else ""
        user = (self._door.certificates or {}).get(digest)
        if user is None:
            self._door.record("login", "certificate refused")
            self._refuse()
            return False
        self._user = user
        self._door.record("login", f"certificate of {user}")
        return True

    def _by_token(self, token: str, tokens: dict[str, str]) -> bool:
        try:
            with _accounts(self._door.accounts):
                if self._login is None or self._login.complete:
                    self._login = spnego.server(
                        protocol="negotiate",
                        options=spnego.NegotiateOptions.use_negotiate,
                        channel_bindings=self._bindings(),
                    )
                answer = self._login.step(base64.b64decode(token))
        except (SpnegoError, ValueError):
            self._login = None
            self._door.record("login", "refused")
            self._refuse()
            return False
        if answer:
            tokens["WWW-Authenticate"] = "Negotiate " + base64.b64encode(answer).decode()
        if not self._login.complete:
            self._reply(401, headers=tokens)
            return False
        self._user = str(self._login.client_principal)
        self._door.record("login", f"password of {self._user}")
        return True

    def _bindings(self) -> GssChannelBindings | None:
        """A login over TLS is bound to the certificate that the client has seen (RFC 5929)."""
        if not self._door.tls:
            return None
        digest = hashlib.sha256(self._door.certificate).digest()
        return GssChannelBindings(application_data=b"tls-server-end-point:" + digest)

    def _refuse(self) -> None:
        offered = 'Basic realm="WSMAN"' if self._door.faults.take("only_basic") else "Negotiate"
        self._reply(401, headers={"WWW-Authenticate": offered})

    def _converse(self, data: bytes, tokens: dict[str, str]) -> None:
        sealed = "multipart/encrypted" in self.headers.get("Content-Type", "")
        if not sealed and not self._door.tls:
            # AllowUnencrypted is false on every Windows that was not told otherwise.
            self._door.record("refused", "a message in clear")
            self._reply(500)
            return
        self._door.record("message", "encrypted" if sealed else "over TLS")
        message = self._opened(data) if sealed else data
        answer, failed = self._door.answer(message)
        if self._door.faults.take("entities"):
            answer, failed = _entities(), False
        if self._door.faults.take("in_clear"):
            sealed = False
        body, kind = (self._sealed(answer), self._kind()) if sealed else (answer, _SOAP)
        if self._door.faults.take("half_closed"):
            self._half(body, kind)
            return
        self._reply(500 if failed else 200, body, kind, tokens)

    def _half(self, body: bytes, kind: str) -> None:
        """Says how long the answer is, sends half of it, and closes its side."""
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2])
        self.wfile.flush()
        self.close_connection = True

    def _opened(self, data: bytes) -> bytes:
        begin = data.index(b"\r\n", data.index(b"application/octet-stream")) + 2
        blob = data[begin : data.rindex(_BOUNDARY)]
        head = int.from_bytes(blob[:4], "little")
        return bytes(self._login.unwrap_winrm(blob[4 : 4 + head], blob[4 + head :]))

    def _sealed(self, answer: bytes) -> bytes:
        wrapped = self._login.wrap_winrm(answer)
        about = f"OriginalContent: type={_SOAP};Length={len(answer) + wrapped.padding_length}"
        head = len(wrapped.header).to_bytes(4, "little") + wrapped.header
        return b"".join(
            (
                _BOUNDARY + b"\r\n\tContent-Type: " + _SEALED.encode() + b"\r\n\t" + about.encode() + b"\r\n",
                _BOUNDARY + b"\r\n\tContent-Type: application/octet-stream\r\n",
                head + wrapped.data + _BOUNDARY + b"--\r\n",
            )
        )

    def _kind(self) -> str:
        return f'multipart/encrypted;protocol="{_SEALED}";boundary="Encrypted Boundary"'

    def _reply(self, status: int, body: bytes = b"", kind: str = "", headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if body:
            self.send_header("Content-Type", kind or _SOAP)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
