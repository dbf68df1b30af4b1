# SPDX-License-Identifier: Apache-2.0
"""The fault panel of a simulator: plain HTTP on loopback, for tests that run it in another process."""

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from v2x.errors import UsageError

_BODY_LIMIT_BYTES = 64 * 1024

Orders = Callable[[dict[str, Any]], dict[str, Any]]
"""Carries out one POST to /_faults and says how things stand; UsageError names what is wrong with it."""

Page = Callable[[str], tuple[int, str, bytes]]
"""From the query of a GET to its status, content type and body."""


def json_page(told: Any, status: int = 200) -> tuple[int, str, bytes]:
    return status, "application/json", json.dumps(told).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, orders: Orders, pages: Mapping[str, Page]) -> None:
        super().__init__(("127.0.0.1", port), _Connection)
        self.orders = orders
        self.pages = pages


class _Connection(BaseHTTPRequestHandler):
    @property
    def _panel(self) -> _Server:
        return cast(_Server, self.server)

    def log_message(self, format: str, *args: Any) -> None:
        """The panel keeps quiet."""

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _local(self) -> bool:
        """A web page of elsewhere names another host: it gets nothing."""
        here = self.headers.get("host", "").rsplit(":", 1)[0] in ("127.0.0.1", "localhost")
        if not here:
            self._answer(*json_page({"error": "loopback only"}, 403))
        return here

    def do_GET(self) -> None:
        if not self._local():
            return
        path, _, query = self.path.partition("?")
        if path == "/_faults":
            self._answer(*json_page(self._panel.orders({})))
        elif path in self._panel.pages:
            self._answer(*self._panel.pages[path](query))
        else:
            known = ", ".join(["/_faults", *self._panel.pages])
            self._answer(*json_page({"error": f"only {known}"}, 404))

    def do_POST(self) -> None:
        if not self._local():
            return
        length = self.headers.get("content-length", "")
        if self.path != "/_faults" or not length.isdigit() or int(length) > _BODY_LIMIT_BYTES:
            self._answer(*json_page({"error": "POST a small JSON object to /_faults"}, 400))
            return
        try:
            order = json.loads(self.rfile.read(int(length)))
            if not isinstance(order, dict):
                raise UsageError("The panel takes a JSON object")
            self._answer(*json_page(self._panel.orders(order)))
        except (ValueError, UsageError) as error:
            self._answer(*json_page({"error": str(error)}, 400))


class Panel:
    """Serves the panel on a free port of 127.0.0.1 (or on `port`)."""

    def __init__(self, port: int, orders: Orders, pages: Mapping[str, Page]) -> None:
        self._server = _Server(port, orders, pages)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(5)
        self._server.server_close()
