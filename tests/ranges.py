# SPDX-License-Identifier: Apache-2.0
"""A web server over TLS that answers ranges, asks for a cookie, and fails in the ways that tests name.

It shares no code with v2x. `faults` is a list of functions; each is asked once for every GET until one says that it
has answered. They are called with the handler and the request's range (start, end), end included.
"""

import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from v2x.simulators.certificate import certificate_of

Fault = Callable[["Handler", int, int], bool]


@dataclass
class Ranges:
    """The server's state. `files` by path with its query; `cookies` that are accepted, None: none is asked for."""

    files: dict[str, bytes] = field(default_factory=dict)
    cookies: set[str] | None = None
    faults: list[Fault] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    delay: float = 0.0
    connections: int = 0
    at_once: int = 0
    most_at_once: int = 0
    ranges: bool = True
    lock: threading.Lock = field(default_factory=threading.Lock)
    host: str = "127.0.0.1"
    port: int = 0
    pem: Path = Path()

    def client_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.pem))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    @property
    def state(self) -> Ranges:
        return self.server.state

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        state = self.state
        with state.lock:
            state.requests.append((self.path, self.headers.get("Range", ""), self.headers.get("Cookie", "")))
            state.at_once += 1
            state.most_at_once = max(state.most_at_once, state.at_once)
        try:
            if state.delay:
                time.sleep(state.delay)
            self.answer()
        finally:
            with state.lock:
                state.at_once -= 1

    def answer(self) -> None:
        state = self.state
        if state.cookies is not None and self.headers.get("Cookie", "") not in state.cookies:
            self.plain(401)
            return
        content = state.files.get(self.path)
        if content is None:
            self.plain(404)
            return
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        start, end = (int(asked[1]), int(asked[2])) if asked else (0, len(content) - 1)
        for fault in list(state.faults):
            if fault(self, start, end):
                return
        if not asked or not state.ranges:
            self.reply(200, content)
        elif start >= len(content):
            self.plain(416, {"Content-Range": f"bytes */{len(content)}"})
        else:
            end = min(end, len(content) - 1)
            self.part(content[start : end + 1], start, len(content))

    def part(self, body: bytes, start: int, total: int, **headers: str) -> None:
        told = {"Content-Range": f"bytes {start}-{start + len(body) - 1}/{total}", **headers}
        self.reply(206, body, told)

    def reply(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, *, send: int | None = None
    ) -> None:
        """`send` cuts the body off after so many bytes and closes the connection."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **self.state.headers, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body if send is None else body[:send])
        self.wfile.flush()
        if send is not None:
            self.close_connection = True

    def plain(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.reply(status, b"", headers)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, state: Ranges, context: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.state, self.context = state, context

    def finish_request(self, request, client_address) -> None:
        with self.state.lock:
            self.state.connections += 1
        if self.context is not None:
            request = self.context.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, request, client_address) -> None:
        pass  # a client that goes away is no news


@contextmanager
def serving(folder: Path, *, tls: bool = True, name: str = "server") -> Iterator[Ranges]:
    """A running server with a certificate of its own in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    state = Ranges(pem=certificate_of(folder, name))
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(state.pem)
    server = Server(state, context)
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def once(fault: Fault) -> Fault:
    """The fault for the first request only."""
    return times(1, fault)


def times(count: int, fault: Fault) -> Fault:
    left = [count]

    def limited(handler: Handler, start: int, end: int) -> bool:
        if left[0] <= 0:
            return False
        left[0] -= 1
        return fault(handler, start, end)

    return limited
