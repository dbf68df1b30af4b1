# SPDX-License-Identifier: Apache-2.0
"""A request head within the limits of xapi's HTTP server (xapi: http_svr.ml)."""

import socket
import time
from dataclasses import dataclass, field
from urllib.parse import unquote_plus, urlsplit

HEAD_LIMIT_BYTES = 1024
RPC_LIMIT_BYTES = 300 * 1024
_HEAD_SECONDS = 60.0
_LINE_SECONDS = 10.0


class BadHead(Exception):
    """The head breaks a rule; `status` is the answer."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(slots=True)
class Request:
    """`query` holds decoded values, the first of each name; `target_query` is the query as it came."""

    method: str
    path: str
    target_query: str
    query: dict[str, str]
    headers: dict[str, str]
    keep_alive: bool
    pending: bytes = field(repr=False, default=b"")

    @property
    def content_length(self) -> int | None:
        text = self.headers.get("content-length")
        if text is None:
            return None
        if not text.isascii() or not text.isdigit():
            raise BadHead(400)
        return int(text)


def read_request(sock: socket.socket, pending: bytes) -> Request | None:
    """The next request on a connection; None when the peer is done. BadHead when it breaks a rule."""
    held = bytearray(pending)
    deadline = 0.0
    while b"\r\n\r\n" not in held[: HEAD_LIMIT_BYTES + 4]:
        if len(held) > HEAD_LIMIT_BYTES:
            raise BadHead(431)
        if held:
            deadline = deadline or time.monotonic() + _HEAD_SECONDS
            sock.settimeout(max(min(_LINE_SECONDS, deadline - time.monotonic()), 0.01))
        try:
            part = sock.recv(4096)
        except TimeoutError:
            raise BadHead(408) from None
        except OSError:
            return None
        if not part:
            return None
        held += part
    sock.settimeout(None)
    end = held.index(b"\r\n\r\n")
    return _parse(bytes(held[:end]), bytes(held[end + 4 :]))


def _parse(head: bytes, rest: bytes) -> Request:
    try:
        lines = head.decode("utf-8").split("\r\n")
    except UnicodeDecodeError:
        raise BadHead(400) from None
    parts = lines[0].split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise BadHead(400)
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, sign, value = line.partition(":")
        if not sign:
            raise BadHead(400)
        headers[name.strip().lower()] = value.strip()
    try:
        target = urlsplit(parts[1])
    except ValueError:
        raise BadHead(400) from None
    keep = headers.get("connection", "" if parts[2] == "HTTP/1.1" else "close").lower() != "close"
    return Request(parts[0], target.path, target.query, query_of(target.query), headers, keep, rest)


def query_of(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in text.split("&"):
        name, _, value = pair.partition("=")
        if name:
            found.setdefault(unquote_plus(name), unquote_plus(value))
    return found


def cookies_of(text: str, *, semicolons: bool) -> dict[str, str]:
    """Cookies as xapi splits them: on `&`, later on `;` too; names keep leading blanks."""
    if semicolons:
        text = text.replace(";", "&")
    pairs = (p.partition("=") for p in text.split("&"))
    return {name: unquote_plus(value) for name, sign, value in pairs if sign}
