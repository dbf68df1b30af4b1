# SPDX-License-Identifier: Apache-2.0
"""One HTTPS connection to vCenter or a host: the API, files of datastores, lease transfers, REST."""

import contextlib
import gzip
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler
from typing import Any, cast
from urllib.parse import urlsplit

from pyVmomi import VmomiSupport

from v2x.simulators.vsphere import calls, dispatch, soap
from v2x.simulators.vsphere.state import Context, State
from v2x.simulators.vsphere.web import folder, nfc, rest

COOKIE = "vmware_soap_session"
_BODY_LIMIT_BYTES = 16 * 1024 * 1024
_GZIP_FROM_BYTES = 1400
_METHOD = re.compile(rb"Body[^>]*>\s*<(?:[\w.-]+:)?(\w+)")
_SLICE_BYTES = 64 * 1024
_WELCOME = b"<html><head><title>%s</title></head><body><p>%s</p></body></html>"

assert calls  # importing it registers the methods


@dataclass(frozen=True, slots=True)
class Site:
    """What answers at a port: the API (`host` is "") or a host of a vCenter, which has transfers only."""

    state: State
    host: str


def serving(state: State, host: str) -> Callable[[ssl.SSLSocket], None]:
    """What a listener does with a connection."""

    def serve(sock: ssl.SSLSocket) -> None:
        if _is_down(state, host):
            return
        Connection(sock, ("127.0.0.1", 0), cast(Any, Site(state, host)))

    return serve


def _is_down(state: State, host: str) -> bool:
    """Whether what answers at this port has fallen away: with a lone host its API as well."""
    return host in state.closed_hosts or (not state.profile.vcenter and bool(state.closed_hosts))


class Gone(OSError):
    """The connection is cut on purpose."""


class Connection(BaseHTTPRequestHandler):
    """Serves requests until the peer goes, or a fault cuts it."""

    protocol_version = "HTTP/1.1"
    server_version = "VMware-HTTP-server"
    sys_version = ""
    wbufsize = 256 * 1024

    @property
    def site(self) -> Site:
        return cast(Site, self.server)

    @property
    def state(self) -> State:
        return self.site.state

    def log_message(self, format: str, *args: Any) -> None:
        """The ledger says what happened."""

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()

    def handle_one_request(self) -> None:
        super().handle_one_request()
        if self.state.stopping.is_set() or _is_down(self.state, self.site.host):
            self.close_connection = True

    # methods of HTTP

    def do_GET(self) -> None:
        self._route()

    def do_HEAD(self) -> None:
        self._route()

    def do_POST(self) -> None:
        self._route()

    def do_PUT(self) -> None:
        self._route()

    def do_DELETE(self) -> None:
        self._route()

    def _route(self) -> None:
        path = urlsplit(self.path).path
        if self.state.settings.plain_web_server:
            self._unread()
            self.page(200 if path == "/" else 404, "It works!" if path == "/" else "Not Found")
        elif path.startswith("/nfc/"):
            nfc.serve(self)
        elif self.site.host:
            self._unread()
            self.page(404, "Not Found")
        elif path == "/folder" or path.startswith("/folder/"):
            folder.serve(self)
        elif path.startswith(("/rest/", "/api/")):
            rest.serve(self)
        elif path in ("/sdk", "/sdk/") and self.command == "POST":
            self._soap()
        elif path == "/sdk/vimServiceVersions.xml" and self.command in ("GET", "HEAD"):
            self.send(200, service_versions(self.state.profile.api), "text/xml; charset=utf-8")
        elif path == "/" and self.command in ("GET", "HEAD"):
            name = self.state.profile.product.encode()
            self.send(200, _WELCOME % (name, name), "text/html")
        else:
            self._unread()
            self.page(404, "Not Found")

    # answers

    def _unread(self) -> None:
        """Reads a body that nobody wants, lest the next request begin with it."""
        try:
            self.body()
        except ValueError:
            self.close_connection = True

    def body(self) -> bytes:
        """The body of the request, with a length or in chunks. ValueError for one that is broken or too long."""
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            return b"".join(self._chunks())
        length = int(self.headers.get("content-length") or 0)
        if not 0 <= length <= _BODY_LIMIT_BYTES:
            raise ValueError("the body is too long")
        return self.rfile.read(length)

    def _chunks(self) -> Iterator[bytes]:
        total = 0
        while size := int(self.rfile.readline(100).split(b";")[0], 16):
            total += size
            if total > _BODY_LIMIT_BYTES:
                raise ValueError("the body is too long")
            yield self.rfile.read(size)
            self.rfile.readline(100)
        while self.rfile.readline(1000).strip():
            pass

    def cookie(self) -> str:
        """The token of the session cookie, quotes taken off; "" without one."""
        try:
            found = SimpleCookie(self.headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return ""
        return found.value if found is not None else ""

    def set_cookie(self, token: str) -> dict[str, str]:
        return {"Set-Cookie": f'{COOKIE}="{token}"; Path=/; HttpOnly; Secure; '}

    def page(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        self.send(status, f"<html><body><h1>{text}</h1></body></html>".encode(), "text/html", headers)

    def send(self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        """An answer of known length; a HEAD gets no body."""
        self.head(status, {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(body)

    def head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def troubled(self, *targets: str, read: bool = False) -> bool:
        """Waits and answers as armed faults of these targets want; True when the request is answered with that.

        `read` says that the request's body was read already.
        """
        slow = self.state.faults.take("slow", *targets)
        if slow is not None:
            self.state.stopping.wait(slow.seconds)
        status = self.state.faults.take("status", *targets)
        if status is not None:
            if not read:
                self.body()
            self.page(status.at or 503, "Service Unavailable")
        return status is not None

    def cut(self) -> None:
        """Ends the connection as a pulled cable does: what was written may or may not arrive."""
        with contextlib.suppress(OSError):
            self.wfile.flush()
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.connection, socket.SHUT_RDWR)
        self.close_connection = True
        raise Gone("cut")

    # the API

    def _soap(self) -> None:
        state = self.state
        try:
            body = self.body()
        except ValueError:
            self.close_connection = True
            self.page(400, "Bad Request")
            return
        found = _METHOD.search(body)
        name = found[1].decode() if found else ""
        if self.troubled(name, "soap", read=True):
            return
        if state.settings.call_delay:
            time.sleep(state.settings.call_delay)
        token = self.cookie()
        session = state.sessions.visit(token, self.headers.get("user-agent", ""))
        headers = {} if session.token == token and name != "Login" else self.set_cookie(session.token)
        version = asked_version(self.headers.get("soapaction", ""), state.profile.api)
        if version is None:
            action = self.headers.get("soapaction", "").strip('"')
            self._envelope(name, 500, soap.plain_fault(f'Unsupported version URI "{action}"'), headers)
            return
        told = dispatch.answer(Context(state, session, version), body)
        self._envelope(name, told.status, told.body, headers)

    def _envelope(self, name: str, status: int, body: bytes, headers: dict[str, str]) -> None:
        faults = self.state.faults
        if faults.take("broken", name, "soap"):
            body = body[: len(body) // 2] + b"\0<" + body[len(body) // 2 : -20]
        cut = faults.take("cut", name, "soap")
        if cut is None and len(body) > _GZIP_FROM_BYTES and "gzip" in self.headers.get("accept-encoding", ""):
            body = gzip.compress(body, 1)
            headers = {**headers, "Content-Encoding": "gzip"}
        if cut is None:
            self.send(status, body, "text/xml; charset=utf-8", headers)
            return
        self.head(status, {"Content-Type": "text/xml; charset=utf-8", "Content-Length": str(len(body)), **headers})
        self.wfile.write(body[: cut.at])
        self.cut()


def asked_version(action: str, newest: str) -> str | None:
    """The version that a SOAPAction asks for; None for another namespace, which the server does not speak.

    The newest stands in for none and for one that the server does not know: govmomi asks every server for 7.0, by a
    name that is in no list of versions, and is served by older ones as well.
    """
    mine: str = VmomiSupport.versionMap[f"vim25/{newest}"]
    wanted = action.strip('"').removeprefix("urn:")
    if wanted in ("", "vim25"):
        return mine
    if not wanted.startswith("vim25/"):
        return None
    version = VmomiSupport.versionMap.get(wanted)
    return cast(str, version) if version and VmomiSupport.IsChildVersion(mine, version) else mine


def service_versions(newest: str) -> bytes:
    """vimServiceVersions.xml: the newest version of the API, and those before it."""
    mine = VmomiSupport.versionMap[f"vim25/{newest}"]
    prior = [
        key.removeprefix("vim25/")
        for key, version in VmomiSupport.versionMap.items()
        if key.startswith("vim25/") and version != mine and VmomiSupport.IsChildVersion(mine, version)
    ]
    lines = "".join(f"<version>{v}</version>" for v in sorted(prior, reverse=True))
    return (
        '<?xml version="1.0" encoding="UTF-8" ?><namespaces version="1.0"><namespace><name>urn:vim25</name>'
        f"<version>{newest}</version><priorVersions>{lines}</priorVersions></namespace></namespaces>"
    ).encode()
