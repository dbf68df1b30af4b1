# SPDX-License-Identifier: Apache-2.0
"""Serves a batch to browsers: one page, and what is new of it as server-sent events. Nothing can be changed by it.

Whoever has the token may look. It stands behind the # of the address, which browsers do not send, and in the query of
the one request for events; it is compared in constant time, and never logged. On loopback only addresses of loopback
are answered to, so that no other site's name can be made to lead here.
"""

import hmac
import http.server
import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from v2x.render.wall import wall_page

_log = logging.getLogger("v2x.cli")
MOST_LISTENERS = 32
PULSE_SECONDS = 15.0
REST = 3
_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class News:
    """The last words, for any number of listeners; `version` counts them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._words = ""
        self.version = 0
        self.ended = False

    def tell(self, words: dict[str, Any]) -> None:
        text = json.dumps(words, ensure_ascii=True)
        with self._changed:
            if text != self._words:
                self._words, self.version = text, self.version + 1
                self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def after(self, version: int, seconds: float) -> tuple[int, str]:
        """The words that are newer than `version`, or an empty text after `seconds`."""
        with self._changed:
            self._changed.wait_for(lambda: self.version > version or self.ended, seconds)
            return self.version, self._words if self.version > version else ""


class WallServer:
    """Answers GET / and /events on `host`; used as a context manager. `read` is asked every `seconds` for the words."""

    def __init__(
        self, host: str, port: int, token: str, read: Callable[[], dict[str, Any]], *, seconds: float = 1.0
    ) -> None:
        self._news, self._read, self._seconds = News(), read, seconds
        self._listeners = threading.BoundedSemaphore(MOST_LISTENERS)
        self._server = http.server.ThreadingHTTPServer((host, port), self._handler(token, loopback=host == "127.0.0.1"))
        self._server.daemon_threads = True
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._server.serve_forever, name="v2x-wall", daemon=True),
            threading.Thread(target=self._watch, name="v2x-wall-news", daemon=True),
        ]

    @property
    def port(self) -> int:
        return self._server.server_port

    def _watch(self) -> None:
        while not self._stopped.is_set():
            began = time.monotonic()
            try:
                self._news.tell(self._read())
            except Exception:  # the state may be locked or away for a moment; the page shows the time of its news
                _log.debug("no news of the batch", exc_info=True)
            # A look at thousands of machines takes its time: it rests longer than it works.
            self._stopped.wait(max(self._seconds, REST * (time.monotonic() - began)))

    def _handler(self, token: str, *, loopback: bool) -> type[http.server.BaseHTTPRequestHandler]:
        news, listeners = self._news, self._listeners

        class Handler(http.server.BaseHTTPRequestHandler):
            server_version, sys_version = "v2x", ""
            timeout = 30

            def do_GET(self) -> None:
                asked = urlsplit(self.path)
                name = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
                if loopback and name not in _NAMES:
                    self._refuse(403, "wrong host")
                elif asked.path == "/":
                    self._page()
                elif asked.path != "/events":
                    self._refuse(404, "there is nothing here")
                elif not hmac.compare_digest(parse_qs(asked.query).get("token", [""])[0].encode(), token.encode()):
                    self._refuse(403, "wrong token")
                elif not listeners.acquire(blocking=False):
                    self._refuse(503, "too many pages are open")
                else:
                    try:
                        self._events()
                    finally:
                        listeners.release()

            def _head(self, status: int, kind: str, length: int | None = None) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                if length is not None:
                    self.send_header("Content-Length", str(length))
                for key, value in _HEADERS.items():
                    self.send_header(key, value)
                self.end_headers()

            def _refuse(self, status: int, why: str) -> None:
                body = f"{why}\n".encode()
                self._head(status, "text/plain; charset=utf-8", len(body))
                self.wfile.write(body)

            def _page(self) -> None:
                body = wall_page()
                self._head(200, "text/html; charset=utf-8", len(body))
                self.wfile.write(body)

            def _events(self) -> None:
                self._head(200, "text/event-stream; charset=utf-8")
                version, last = 0, time.monotonic()
                try:
                    while not news.ended:
                        version, words = news.after(version, PULSE_SECONDS)
                        if words:
                            self.wfile.write(f"data: {words}\n\n".encode())
                        elif time.monotonic() - last >= PULSE_SECONDS:
                            self.wfile.write(b": still here\n\n")
                        last = time.monotonic()
                        self.wfile.flush()
                except OSError:  # the page was closed
                    self.close_connection = True

            def log_message(self, format: str, *arguments: object) -> None:
                """Without the request's text: the token stands in it."""

        return Handler

    def __enter__(self) -> "WallServer":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._news.end()
        self._server.shutdown()
        self._server.server_close()
