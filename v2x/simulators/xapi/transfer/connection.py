# SPDX-License-Identifier: Apache-2.0
"""One connection to a simulated host: pages, RPC with keep-alive, and the hand-over to the transfer handlers."""

import socket
import struct
import sys
from collections.abc import Callable

from v2x.simulators.xapi import jsonrpc, xmlrpc
from v2x.simulators.xapi.dispatch import dispatch
from v2x.simulators.xapi.failure import ApiError, AsyncRefused, internal
from v2x.simulators.xapi.state import PoolState
from v2x.simulators.xapi.transfer import handlers
from v2x.simulators.xapi.transfer.request import RPC_LIMIT_BYTES, BadHead, Request, read_request

REASONS = {
    200: "OK",
    302: "Found",
    400: "Bad Request",
    401: "Unauthorised",
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    413: "Request Entity Too Large",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Method Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
_XML, _JSON = frozenset({"/", "/RPC2"}), frozenset({"/jsonrpc", "/json"})


def serving(state: PoolState, host: str) -> Callable[[socket.socket], None]:
    """What a listener does with a connection to `host`."""
    return lambda sock: Connection(state, host, sock).serve()


class _Troubled(Exception):
    """A call that an armed fault answers with an HTTP status, before it took effect."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Connection:
    """Serves requests until the peer or a transfer ends it."""

    def __init__(self, state: PoolState, host: str, sock: socket.socket) -> None:
        self.state = state
        self.host = host
        self.sock = sock

    def serve(self) -> None:
        pending = b""
        while not self.state.stopping.is_set():
            try:
                request = read_request(self.sock, pending)
                if request is None or not self._answer(request):
                    return
            except BadHead as error:
                self.page(error.status)
                return
            pending = request.pending

    def send(
        self, status: int, headers: dict[str, str], body: bytes = b"", *, length: bool = True, most: int | None = None
    ) -> None:
        """An answer. Without `length` its end is the end of the connection; `most` sends less than it promises."""
        if length:
            headers = {**headers, "content-length": str(len(body))}
        lines = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        self.sock.sendall(f"HTTP/1.1 {status} {REASONS[status]}\r\n{lines}\r\n".encode() + body[:most])

    def page(self, status: int, headers: dict[str, str] | None = None) -> None:
        """A short HTML page; the connection ends after it."""
        text = f"<html><body><h1>HTTP {status}</h1>{REASONS[status]}</body></html>\r\n".encode()
        named = {"connection": "close", "cache-control": "no-cache, no-store", "content-type": "text/html"}
        self.send(status, {**named, **(headers or {})}, text)

    def drop(self) -> None:
        """Makes the close of this connection a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _answer(self, request: Request) -> bool:
        """Answers one request; whether the connection may take another."""
        path = request.path
        if request.method == "POST" and (path in _XML or path in _JSON):
            return self._rpc(request, as_json=path in _JSON)
        if request.method == "GET" and path == "/":
            self.send(200, {"content-type": "text/html"}, b"<html><body>simulated XCP-ng</body></html>\r\n")
            return request.keep_alive
        handler = handlers.find(request.method, path)
        if handler is not None:
            handler(self, request)
            return False
        known = {a.path for a in self.state.model.actions if a.path.startswith("/")} | _XML | _JSON
        self.page(501 if path in known else 403)
        return False

    def _rpc(self, request: Request, *, as_json: bool) -> bool:
        length = request.content_length
        if length is None or length > RPC_LIMIT_BYTES:
            self.page(400 if length is None else 413)
            return False
        body = request.pending[:length]
        request.pending = request.pending[length:]
        while len(body) < length:
            part = self.sock.recv(length - len(body))
            if not part:
                return False
            body += part
        try:
            names, answer = self._json(body) if as_json else self._xml(body)
        except xmlrpc.Malformed:
            self.page(500)
            return False
        except _Troubled as trouble:
            self.page(trouble.status)
            return False
        kind = "application/json" if as_json else "text/xml"
        kept = "keep-alive" if request.keep_alive else "close"
        return self._sent({"content-type": kind, "connection": kept}, answer, names) and request.keep_alive

    def _sent(self, headers: dict[str, str], answer: bytes, names: tuple[str, ...]) -> bool:
        """Sends the answer to a call, as armed faults of these names want; whether the connection lives on."""
        faults = self.state.faults
        if faults.take("broken", *names) is not None:
            answer = answer[: len(answer) // 2] + b"\0<" + answer[len(answer) // 2 :]
        late = faults.take("status_late", *names)
        if late is not None:
            self.page(late.at or 500)
            return False
        cut = faults.take("cut_answer", *names)
        self.send(200, headers, answer, most=cut.at if cut is not None else None)
        if cut is not None:
            self.drop()
        return cut is None

    def _call(self, name: str, params: list[object], *, string_dates: bool) -> object:
        names = _names(name)
        slow = self.state.faults.take("slow", *names)
        if slow is not None:
            self.state.stopping.wait(slow.seconds)
        status = self.state.faults.take("status", *names)
        if status is not None:
            raise _Troubled(status.at or 500)
        try:
            return dispatch(self.state, self.host, name, params, string_dates=string_dates)
        except (ApiError, AsyncRefused):
            raise
        except Exception as error:  # as in xapi, what nobody foresaw is INTERNAL_ERROR; the trace is for us
            sys.excepthook(type(error), error, error.__traceback__)
            raise internal(repr(error)) from error

    def _xml(self, body: bytes) -> tuple[tuple[str, ...], bytes]:
        """What faults call the call, and its answer."""
        name, params = xmlrpc.parse_call(body)
        try:
            return _names(name), xmlrpc.success(self._call(name, params, string_dates=False))
        except AsyncRefused as error:
            return _names(name), xmlrpc.fault(str(error))
        except ApiError as error:
            return _names(name), xmlrpc.failure(error)

    def _json(self, body: bytes) -> tuple[tuple[str, ...], bytes]:
        request = jsonrpc.parse(body)
        names = _names(request.method)
        try:
            return names, jsonrpc.success(request, self._call(request.method, request.params, string_dates=True))
        except AsyncRefused as error:
            return names, jsonrpc.failure(request, internal(str(error)))
        except ApiError as error:
            return names, jsonrpc.failure(request, error)


def _names(method: str) -> tuple[str, ...]:
    """What a fault may name a call by: as it was called, without `Async.`, `effect` or `look`, and `rpc` for any."""
    plain = method.removeprefix("Async.")
    cls, _, verb = plain.partition(".")
    looks = cls == "event" or verb.startswith(("get_", "assert_", "compute_", "list_", "query_"))
    return method, plain, "look" if looks else "effect", "rpc"
