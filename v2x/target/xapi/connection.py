# SPDX-License-Identifier: Apache-2.0
"""Connections to a pool and what goes over them: XML-RPC as XAPI wants it, and JSON-RPC for long lists."""

import http.client
import time
import xmlrpc.client  # nosec B411  # Transport parses with defusedxml
from collections.abc import Iterator
from typing import Any

import msgspec
import XenAPI
from defusedxml.xmlrpc import DefusedExpatParser

from v2x.errors import TargetError
from v2x.model.units import MIB
from v2x.tls import Trust, connect

REQUEST_LIMIT_BYTES = 300 * 1024
ANSWER_LIMIT_BYTES = 512 * 1024 * 1024
"""Ten thousand machines with all their records are less than half of that."""
_IDLE_SECONDS = 5.0
_FORBIDDEN = dict.fromkeys([*range(9), 11, 12, *range(14, 32), *range(0x7F, 0xA0), 0xFFFE, 0xFFFF])


def split_address(address: str) -> tuple[str, int]:
    """Host and port of a host.address: a name, IPv4, or IPv6 with or without brackets. The port is 0 where none is."""
    if address.startswith("["):
        host, _, rest = address[1:].partition("]")
        port = rest.removeprefix(":")
    elif address.count(":") == 1:
        host, _, port = address.partition(":")
    else:
        host, port = address, ""
    if not host or (port and not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536)):
        raise TargetError(f"the pool names a host address that is none: {address!r}")
    return host, int(port) if port else 0


def wire(value: object) -> object:
    """`value` as XAPI wants it on XML-RPC: every int as a string of digits, text without what XML cannot hold."""
    if isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return value.translate(_FORBIDDEN).encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {str(wire(key)): wire(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [wire(item) for item in value]
    return value


def _too_much(host: str) -> TargetError:
    return TargetError(
        f"{host} answers with more than {ANSWER_LIMIT_BYTES:,} bytes", hint="no pool does: is it the pool that answers?"
    )


def _pieces(response: http.client.HTTPResponse, host: str) -> Iterator[bytes]:
    """An answer piece by piece: no more of it than the limit, and never unpacked, since nobody asked for that.

    Whatever length it claims, only what comes takes memory. What ends early is IncompleteRead, and not an answer that
    makes no sense.
    """
    left = ANSWER_LIMIT_BYTES
    while piece := response.read(MIB):
        left -= len(piece)
        if left < 0:
            response.close()
            raise _too_much(host)
        yield piece
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)


class Connection(http.client.HTTPConnection):
    default_port = 443

    def __init__(self, host: str, port: int, trust: Trust, timeout: float) -> None:
        super().__init__(host, port, timeout=timeout)
        self._trust = trust
        self._call_timeout = timeout

    def connect(self) -> None:
        self.sock = connect(self.host, self.port, self._trust)
        self.sock.settimeout(self._call_timeout)


class Transport(xmlrpc.client.SafeTransport):
    """Keeps one connection; never repeats a request by itself, as the standard one does."""

    user_agent = "v2x"
    accept_gzip_encoding = False

    def __init__(self, host: str, port: int, trust: Trust, timeout: float) -> None:
        super().__init__()
        self.place = (host, port)
        self._trust, self._call_timeout = trust, timeout
        self._kept: Connection | None = None
        self._used = time.monotonic()

    def make_connection(self, host: Any) -> Any:
        self._extra_headers = []
        # A server closes idle connections; a request sent into a closing one is lost, so begin afresh.
        if self._kept is not None and time.monotonic() - self._used > _IDLE_SECONDS:
            self.close()
        if self._kept is None:
            self._kept = Connection(*self.place, self._trust, self._call_timeout)
        self._used = time.monotonic()
        return self._kept

    def getparser(self) -> Any:
        """A parser that refuses a document type: no answer of a pool has one, and entities are defined in it."""
        target = xmlrpc.client.Unmarshaller(use_datetime=False, use_builtin_types=False)
        return DefusedExpatParser(target, forbid_dtd=True), target

    def limit(self, seconds: float) -> None:
        """Bounds each wait for the pool from now on."""
        self._call_timeout = seconds
        if self._kept is not None and self._kept.sock is not None:
            self._kept.sock.settimeout(seconds)

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def request(self, host: Any, handler: str, request_body: Any, verbose: bool = False) -> Any:
        if len(request_body) > REQUEST_LIMIT_BYTES:
            raise TargetError(
                f"a request of {len(request_body):,} bytes is more than a pool accepts",
                hint="shorten the machine's notes",
            )
        reply = self.single_request(host, handler, request_body, verbose)
        self._used = time.monotonic()
        return reply

    def parse_response(self, response: Any) -> Any:
        parser, unmarshaller = self.getparser()
        try:
            for piece in _pieces(response, self.place[0]):
                parser.feed(piece)
        except TargetError:
            self.close()  # the rest of the answer would be taken for the next one
            raise
        parser.close()
        return unmarshaller.close()


class NoJson(TargetError):
    """The pool does not answer in JSON-RPC."""


class _Told(msgspec.Struct):
    message: str = ""
    data: list[str] = []


class _Answer(msgspec.Struct):
    """All of an answer but its result, which stays unread."""

    error: _Told | None = None


def ask_json(host: str, port: int, trust: Trust, method: str, session: str, timeout: float) -> bytes:
    """The JSON-RPC 2.0 answer to `method` of the session alone (xapi: api_server.ml, ocaml-rpc jsonrpc.ml).

    XenAPI.Failure for a failure, NoJson for what is no answer, OSError and HTTPException where the connection breaks.
    """
    request = msgspec.json.encode({"jsonrpc": "2.0", "method": method, "params": [session], "id": 1})
    connection = Connection(host, port, trust, timeout)
    try:
        connection.request("POST", "/jsonrpc", request, {"User-Agent": "v2x", "Content-Type": "application/json"})
        response = connection.getresponse()
        body = b"".join(_pieces(response, host))
    except (ValueError, OverflowError):
        raise http.client.HTTPException("an answer of impossible length") from None
    finally:
        connection.close()
    if response.status != 200:
        raise NoJson(f"{method}: {host} answers HTTP {response.status} to JSON-RPC")
    try:
        told = msgspec.json.decode(body, type=_Answer).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise NoJson(f"{method}: {host} does not answer in JSON-RPC") from None
    if told is not None:
        raise XenAPI.Failure([told.message, *told.data])
    return body
