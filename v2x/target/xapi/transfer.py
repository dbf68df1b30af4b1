# SPDX-License-Identifier: Apache-2.0
"""One HTTP transfer with a host of the pool, over a socket of our own.

XAPI answers 200 before it reads a byte of an upload, and closes without reading when it redirects: so the answer is
read before anything is sent (xapi: import_raw_vdi.ml). No Expect, no Transfer-Encoding, no cookie; request line and
headers stay below 1024 bytes. The session reference is in the query string, where alone XAPI takes it reliably: never
log a URL.
"""

import contextlib
import re
import ssl
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from v2x.disks.interface import Buffer
from v2x.errors import PermissionRefused, Retry, TargetError
from v2x.target.xapi.client import Client
from v2x.target.xapi.failures import ConnectionLost
from v2x.target.xapi.routes import Route, Routes
from v2x.tls import connect

_HEAD_LIMIT_BYTES = 1024
_ANSWER_LIMIT_BYTES = 64 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    location: str
    rest: bytes


class Transfer:
    """An open transfer after its 200. `rest` is what of the body came along with the headers."""

    def __init__(self, connection: ssl.SSLSocket, rest: bytes) -> None:
        self._connection = connection
        self._rest = memoryview(rest)

    def send(self, piece: Buffer | bytes) -> None:
        """Sends the whole of `piece` without copying it. ConnectionLost when the host stopped taking it."""
        try:
            self._connection.sendall(piece)
        except OSError as problem:
            raise ConnectionLost(f"the host stopped taking data ({problem.__class__.__name__})") from None

    def receive_into(self, buffer: memoryview) -> int:
        """Reads at least one byte, or returns 0 at the end of the body."""
        if self._rest:
            count = min(len(self._rest), len(buffer))
            buffer[:count] = self._rest[:count]
            self._rest = self._rest[count:]
            return count
        try:
            return self._connection.recv_into(buffer)
        except ssl.SSLEOFError:
            # The end without a TLS goodbye looks like a cut; the task tells which it was.
            return 0
        except OSError as problem:
            raise ConnectionLost(f"the host stopped sending data ({problem.__class__.__name__})") from None

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._connection.close()


def _head(method: str, path: str, query: dict[str, str], route: Route, content_length: int | None) -> bytes:
    host = f"[{route.host}]" if ":" in route.host else route.host
    lines = [f"{method} {path}?{urlencode(query, safe=':/')} HTTP/1.1", f"Host: {host}:{route.port}", "User-Agent: v2x"]
    if content_length is not None:
        lines.append(f"Content-Length: {content_length}")
    head = "\r\n".join([*lines, "Connection: close", "", ""]).encode("ascii")
    if len(head) > _HEAD_LIMIT_BYTES:
        raise TargetError(f"the request for {path} is longer than XAPI accepts: {len(head)} bytes")
    return head


def _answer(connection: ssl.SSLSocket, who: str) -> _Answer:
    got = bytearray()
    while b"\r\n\r\n" not in got:
        part = connection.recv(16 * 1024)
        if not part:
            raise ConnectionLost(f"{who} closed the connection without an answer")
        got += part
        if len(got) > _ANSWER_LIMIT_BYTES:
            raise TargetError(f"{who} answers with endless headers")
    head, _, rest = bytes(got).partition(b"\r\n\r\n")
    match = _STATUS.match(head)
    if match is None:
        raise TargetError(f"{who} does not answer in HTTP")
    location = ""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"location":
            location = value.strip().decode("latin-1")
    return _Answer(int(match[1]), location, rest)


def _refusal(status: int, path: str, who: str) -> TargetError | PermissionRefused:
    if status == 403:
        return PermissionRefused(
            f"{who} refuses {path} to this account", hint="the account needs the role vm-admin or stronger"
        )
    retry = Retry.LATER if status in (408, 500, 503) else None
    return TargetError(
        f"{who} answered HTTP {status} to {path}", hint="/var/log/xensource.log on that host has more", retry=retry
    )


def open_transfer(
    client: Client,
    routes: Routes,
    route: Route,
    *,
    method: str,
    path: str,
    query: dict[str, str],
    content_length: int | None = None,
    timeout: float = 300.0,
) -> Transfer:
    """Asks, and returns once the host has said 200. Follows one 302 within the pool, and logs in anew after one 401.

    `timeout` bounds each wait of the socket, in seconds. ConnectError, PermissionRefused, TargetError otherwise.
    """
    redirects, renewals = 0, 0
    while True:
        session = client.reference
        head = _head(method, path, {"session_id": session, **query}, route, content_length)
        who = f"{route.host}:{route.port}"
        connection = connect(route.host, route.port, route.trust)
        try:
            connection.settimeout(timeout)
            connection.sendall(head)
            answer = _answer(connection, who)
            if answer.status == 200:
                return Transfer(connection, answer.rest)
        except OSError as problem:
            connection.close()
            raise ConnectionLost(f"no answer from {who} ({problem.__class__.__name__})") from None
        except BaseException:
            connection.close()
            raise
        connection.close()
        if answer.status == 302 and redirects == 0:
            redirects += 1
            place = urlsplit(answer.location)
            if place.scheme != "https" or "@" in place.netloc:
                raise TargetError(f"{who} redirects {path} to something that is not HTTPS")
            route = routes.redirected(place.netloc)
        elif answer.status == 401 and renewals == 0:
            renewals += 1
            client.renew(session)
        else:
            raise _refusal(answer.status, path, who)
