# SPDX-License-Identifier: Apache-2.0
"""The fault panel: plain HTTP on loopback, for tests that run the pool in another process.

GET  /_faults   {"settings": {...}, "armed": [...], "kinds": {...}}
POST /_faults   {"settings": {"attach_delay": 2}, "arm": [{"kind": "cut_import", "at": 1048576, "times": 1}],
                 "clear": true, "expire_sessions": true, "vanish_task": "OpaqueRef:…",
                 "close_host": 0, "open_host": 0, "promote": 1, "fail_over": 1}
GET  /_ledger   {"calls": [...], "imports": [...], "blocks": {"<vdi uuid>": {"0": 1}}}
GET  /_console?vm=<uuid>   what the serial console of a VM has said, as text, where the pool boots its VMs
"""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from v2x.errors import UsageError
from v2x.simulators.xapi import tasks
from v2x.simulators.xapi.faults import KINDS, apply_settings
from v2x.simulators.xapi.state import PoolState

_BODY_LIMIT_BYTES = 64 * 1024


HostOrders = Mapping[str, Callable[[int], None]]


def command(state: PoolState, order: dict[str, Any], hosts: HostOrders) -> dict[str, Any]:
    """Carries out one POST to the panel; UsageError names what is wrong with it."""
    unknown = set(order) - {"settings", "arm", "clear", "expire_sessions", "vanish_task", *hosts}
    if unknown:
        raise UsageError(f"The panel has no {', '.join(sorted(unknown))}")
    if order.get("clear"):
        state.faults.clear()
    apply_settings(state.settings, order.get("settings", {}))
    for fault in order.get("arm", []):
        try:
            state.faults.arm(**fault)
        except TypeError as error:
            raise UsageError(f"A fault does not read: {error}") from None
    if order.get("expire_sessions"):
        state.sessions.expire_all()
    if "vanish_task" in order:
        tasks.vanish(state, order["vanish_task"])
    for name in [n for n in order if n in hosts]:
        number, count = order[name], len(state.store.refs("host"))
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < count:
            raise UsageError(f"{name} takes the number of a host, 0 to {count - 1}, not {number!r}")
        hosts[name](number)
    return {"settings": asdict(state.settings), "armed": state.faults.armed(), "kinds": KINDS}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, state: PoolState, port: int, hosts: HostOrders) -> None:
        super().__init__(("127.0.0.1", port), _Page)
        self.state = state
        self.hosts = hosts


class _Page(BaseHTTPRequestHandler):
    @property
    def _state(self) -> PoolState:
        return cast(_Server, self.server).state

    def _command(self, order: dict[str, Any]) -> None:
        self._send(200, command(self._state, order, cast(_Server, self.server).hosts))

    def log_message(self, format: str, *args: Any) -> None:
        """The panel keeps quiet."""

    def _send(self, status: int, told: dict[str, Any]) -> None:
        self._answer(status, "application/json", json.dumps(told).encode())

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
            self._send(403, {"error": "loopback only"})
        return here

    def do_GET(self) -> None:
        if not self._local():
            return
        if self.path == "/_faults":
            self._command({})
        elif self.path == "/_ledger":
            self._send(200, self._state.ledger.to_json())
        elif self.path.startswith("/_console?vm="):
            self._console(self.path.partition("=")[2])
        else:
            self._send(404, {"error": "only /_faults, /_ledger and /_console?vm=<uuid>"})

    def _console(self, uuid: str) -> None:
        machines, store = self._state.machines, self._state.store
        if machines is None:
            self._send(404, {"error": "this pool does not boot its VMs: v2x simulate xapi --boot"})
        elif not store.find("VM", uuid=uuid):
            self._send(404, {"error": "no such VM"})
        else:
            self._answer(200, "text/plain; charset=utf-8", machines.console(uuid).encode())

    def do_POST(self) -> None:
        if not self._local():
            return
        length = self.headers.get("content-length", "")
        if self.path != "/_faults" or not length.isdigit() or int(length) > _BODY_LIMIT_BYTES:
            self._send(400, {"error": "POST a small JSON object to /_faults"})
            return
        try:
            order = json.loads(self.rfile.read(int(length)))
            if not isinstance(order, dict):
                raise UsageError("The panel takes a JSON object")
            self._command(order)
        except (ValueError, UsageError) as error:
            self._send(400, {"error": str(error)})


class Panel:
    """Serves the panel on a free port of 127.0.0.1 (or on `port`)."""

    def __init__(self, state: PoolState, port: int, hosts: HostOrders) -> None:
        self._server = _Server(state, port, hosts)
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
