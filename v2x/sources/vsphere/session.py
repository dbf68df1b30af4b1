# SPDX-License-Identifier: Apache-2.0
"""The session with a vCenter or an ESXi host: one login for all threads, over connections verified or pinned.

A refused password is tried once. A session that the server ended is opened again, once per call; calls that only read
are repeated over a new connection, a call that changes something is not: whether a lost one took effect can only be
seen at the source, and the caller looks there.
"""

import base64
import contextlib
import http.client
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from types import TracebackType
from typing import Any
from xml.parsers.expat import ExpatError

from pyVmomi import SoapStubAdapter, vim, vmodl

from v2x.errors import ConnectError, LoginError, V2xError
from v2x.secrets import Secret
from v2x.sources.vsphere.bounded import BoundedAnswer
from v2x.sources.vsphere.collecting import Collected, collect
from v2x.sources.vsphere.endpoint import Endpoint, find_endpoint
from v2x.sources.vsphere.failures import ConnectionLost, error_from
from v2x.tls import PinRefused, Trust, pin_refused, pinned_context, split_proxy, untrusted
from v2x.waiting import heeding, nap

_IDLE_SECONDS = 10.0
_KEEP_ALIVE_SECONDS = 300.0
_CALL_SECONDS = 300.0
_READ_TRIES = 4
_COOKIE = "vmware_soap_session"
_FIRST_POLL_SECONDS, _LAST_POLL_SECONDS = 0.05, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a server says of itself; `instance` is the uuid of a vCenter, empty for a host."""

    product: str
    version: str
    build: str
    api_version: str
    is_vcenter: bool
    instance: str


class _Stub(SoapStubAdapter):  # type: ignore[misc]
    """pyVmomi's, except that only the answer to a login may change the session's cookie.

    pyVmomi takes the cookie of any answer, so that a call that was under way when a session ended would throw away
    the one that another thread has just logged in with.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._local = threading.local()
        self._held = ""
        super().__init__(*arguments, **options)

    def GetConnection(self) -> Any:  # noqa: N802 - as pyVmomi names it
        connection = super().GetConnection()
        connection.response_class = BoundedAnswer
        return connection

    @property
    def cookie(self) -> str:
        return str(getattr(self._local, "cookie", self._held))

    @cookie.setter
    def cookie(self, value: str) -> None:
        if hasattr(self._local, "cookie"):
            self._local.cookie = value

    @contextlib.contextmanager
    def new_session(self) -> Iterator[None]:
        """What this thread calls meanwhile begins a session of its own, which is everyone's if all went well."""
        self._local.cookie = ""
        try:
            yield
            self._held = self._local.cookie
        finally:
            del self._local.cookie


class VsphereSession:
    """Calls of one server, from any thread. Used as a context manager: entering logs in, leaving logs out.

    `tls` is the context of every connection to this server; those to its hosts take `host_tls`. `proxy` is HOST:PORT
    of an HTTP proxy; what the environment says of proxies does not count.
    """

    def __init__(
        self,
        host: str,
        port: int,
        user: str,
        password: Secret,
        trust: Trust,
        *,
        proxy: str = "",
        keep_alive_seconds: float = _KEEP_ALIVE_SECONDS,
        call_seconds: float = _CALL_SECONDS,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = nap,
    ) -> None:
        self.host, self.port, self.user, self.trust = host, port or 443, user, trust
        self.now, self.sleep = now, sleep
        self._password, self.proxy = password, proxy
        self._keep_alive_seconds, self._call_seconds = keep_alive_seconds, call_seconds
        self._lock = threading.Lock()
        self._logins = 0
        self._refused: V2xError | None = None
        self._closed = threading.Event()
        self._endpoint: Endpoint | None = None
        self._stub: Any = None
        self._content: Any = None

    def __enter__(self) -> "VsphereSession":
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> None:
        """Finds the server and logs in. ConnectError, TrustError, LoginError or Unsupported say why not."""
        self._endpoint = find_endpoint(self.host, self.port, self.trust, proxy=self.proxy)
        self._stub = _Stub(
            host=self.host,
            port=self.port,
            path="/sdk",
            version=self._endpoint.version,
            sslContext=self._endpoint.tls,
            acceptCompressedResponses=False,
            connectionPoolTimeout=_IDLE_SECONDS,
            httpConnectionTimeout=self._call_seconds,
            **self._tunnel(),
        )
        service = vim.ServiceInstance("ServiceInstance", self._stub)
        self._content = self._repeated(service.RetrieveContent, (), {}, doing="first call")
        if not isinstance(self._content, vim.ServiceInstanceContent):
            raise self._not_vsphere("first call", "no service content")
        self.renew(0)
        threading.Thread(target=self._keep_alive, name="v2x-vsphere-keep-alive", daemon=True).start()

    def _tunnel(self) -> dict[str, Any]:
        if not self.proxy:
            return {}
        host, port = split_proxy(self.proxy)
        return {"httpProxyHost": host, "httpProxyPort": port}

    @property
    def content(self) -> Any:
        """The server's vim.ServiceInstanceContent."""
        return self._content

    @property
    def stub(self) -> Any:
        return self._stub

    @property
    def endpoint(self) -> Endpoint:
        if self._endpoint is None:
            raise ConnectError("the session is not open")
        return self._endpoint

    @property
    def password(self) -> Secret:
        """For programs that log in by themselves (VDDK)."""
        return self._password

    @property
    def tls(self) -> ssl.SSLContext:
        return self.endpoint.tls

    @property
    def certificate(self) -> bytes:
        """The server's certificate (DER), as it was when the session was opened and trusted."""
        return self.endpoint.certificate

    @property
    def about(self) -> About:
        said = self._content.about
        return About(
            product=said.fullName or said.name or "",
            version=said.version or "",
            build=said.build or "",
            api_version=said.apiVersion or "",
            is_vcenter=said.apiType == "VirtualCenter",
            instance=said.instanceUuid or "",
        )

    @property
    def logins(self) -> int:
        """How often the session was opened; it grows when the server had ended it."""
        return self._logins

    def host_tls(self, thumbprint: str) -> ssl.SSLContext:
        """A context for a host whose certificate this (trusted) server names by SHA-1 or SHA-256."""
        digits = thumbprint.replace(":", "").replace(" ", "").lower()
        kind = {40: "sha1", 64: "sha256"}.get(len(digits))
        if kind is None or any(digit not in "0123456789abcdef" for digit in digits):
            raise ConnectError(f"the server names a thumbprint that is none: {thumbprint!r}")
        return pinned_context([f"{kind}:{digits}"])

    def cookie(self) -> str:
        """The value of a Cookie header that carries the session. A secret."""
        jar: SimpleCookie = SimpleCookie()
        with contextlib.suppress(CookieError):
            jar.load(self._stub.cookie or "")
        if _COOKIE not in jar:
            raise LoginError("the server gave no session cookie", hint="run again", code="SESSION")
        return f"{_COOKIE}={jar[_COOKIE].coded_value}"

    def basic_authorization(self) -> str:
        """The value of an Authorization header for this server's other interfaces. A secret."""
        pair = f"{self.user}:{self._password.reveal()}".encode()
        return "Basic " + base64.b64encode(pair).decode("ascii")

    def renew(self, stale: int) -> int:
        """A login later than number `stale`, made now unless another thread did; its number."""
        with self._lock:
            if self._refused is not None:
                raise self._refused
            if self._logins == stale:
                try:
                    self._login()
                except V2xError as problem:
                    if not isinstance(problem, ConnectError):
                        self._refused = problem
                    raise
                self._logins += 1
            return self._logins

    def _login(self) -> None:
        login = self._content.sessionManager.Login
        with self._stub.new_session():
            self._repeated(
                login,
                (self.user, self._password.reveal(), None),
                {},
                tries=1,
                doing=f"login of {self.user} at {self.host}",
            )

    def call(self, function: Callable[..., Any], *args: Any, doing: str = "", subject: str = "", **named: Any) -> Any:
        """Runs one call of pyVmomi that may change something; once more only if the session had ended before.

        A V2xError for every failure: `doing` and `subject` go before its text.
        """
        return self._renewed(function, args, named, tries=1, doing=doing, subject=subject)

    def read(self, function: Callable[..., Any], *args: Any, doing: str = "", subject: str = "", **named: Any) -> Any:
        """Runs one call of pyVmomi that only reads; repeated when the connection broke."""
        return self._renewed(function, args, named, tries=_READ_TRIES, doing=doing, subject=subject)

    def _renewed(self, function: Callable[..., Any], args: Sequence[Any], named: dict[str, Any], **how: Any) -> Any:
        seen = self._logins
        try:
            return self._repeated(function, args, named, **how)
        except _SessionEnded:
            self.renew(seen)
        try:
            return self._repeated(function, args, named, **how)
        except _SessionEnded:
            raise LoginError(
                "the server ends every session at once", hint="look at its session limits", code="SESSION"
            ) from None

    def _repeated(
        self,
        function: Callable[..., Any],
        args: Sequence[Any],
        named: dict[str, Any],
        *,
        tries: int = _READ_TRIES,
        doing: str = "",
        subject: str = "",
    ) -> Any:
        for attempt in range(1, tries + 1):
            try:
                return self._once(function, args, named, doing, subject)
            except ConnectionLost:
                if attempt == tries or self._closed.is_set():
                    raise
                self.sleep(0.2 * 4**attempt)
        raise AssertionError("unreachable")

    def _once(
        self, function: Callable[..., Any], args: Sequence[Any], named: dict[str, Any], doing: str, subject: str
    ) -> Any:
        try:
            return function(*args, **named)
        except vim.fault.NotAuthenticated:
            raise _SessionEnded from None
        except PinRefused as problem:
            raise pin_refused(f"{self.host}:{self.port}", self.trust, problem) from None
        except ssl.SSLCertVerificationError as problem:
            raise untrusted(self.host, self.port, self.trust, problem.verify_message) from None
        except (OSError, http.client.HTTPException) as problem:
            raise ConnectionLost(
                f"{doing or 'a call'}: the connection to {self.host} broke ({problem.__class__.__name__})",
                hint="check the network and the server; the same command continues",
            ) from None
        except vmodl.MethodFault as fault:
            raise error_from(fault, doing, subject) from fault
        except ExpatError:
            raise ConnectionLost(
                f"{doing or 'a call'}: the answer of {self.host} is cut short, or is none of vSphere's",
                hint="check the network and what lies between; the same command continues",
            ) from None
        except V2xError:
            raise
        except Exception as problem:
            # pyVmomi builds objects of whatever it is sent, and fails in any way there is where that does not fit.
            raise self._not_vsphere(doing, problem.__class__.__name__) from problem

    def _not_vsphere(self, doing: str, seen: str) -> ConnectError:
        return ConnectError(
            f"{doing or 'a call'}: the answer of {self.host} is not vSphere's ({seen})",
            hint="is there a proxy between?",
            code="NOT-VSPHERE",
        )

    def retrieve(
        self, kind: type, paths: Sequence[str], *, objects: Sequence[Any] | None = None, page: int = 250
    ) -> Iterator[Collected]:
        """The properties `paths` of every object of `kind`, or of `objects`, in pages of `page`.

        Pages are dropped as they are consumed. A path that this server does not know is left out of all answers.
        """
        return collect(self, kind, paths, objects=objects, page=page)

    def wait_task(
        self,
        task: Any,
        *,
        doing: str = "",
        subject: str = "",
        timeout: float | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Any:
        """Waits for a task's end and gives its result; the V2xError of its fault. `progress` takes percents.

        ConnectionLost code TIMEOUT when it has not ended after `timeout` seconds; the task goes on.
        """
        begun, pause = self.now(), _FIRST_POLL_SECONDS
        paths = ["info.state", "info.progress", "info.result", "info.error"]
        while True:
            (found,) = self.retrieve(vim.Task, paths, objects=[task])
            state = str(found.values.get("info.state", ""))
            if state == "success":
                return found.values.get("info.result")
            if state == "error":
                fault = found.values.get("info.error")
                raise error_from(fault, doing, subject) from fault
            if progress is not None and found.values.get("info.progress") is not None:
                progress(int(found.values["info.progress"]))
            if timeout is not None and self.now() - begun > timeout:
                raise ConnectionLost(
                    f"{doing or 'a task'} did not end within {timeout:g} s", hint="look at its task", code="TIMEOUT"
                )
            with heeding(None):  # what was begun is waited for: nobody else would know what came of it
                self.sleep(pause)
            pause = min(pause * 1.5, _LAST_POLL_SECONDS)

    def _keep_alive(self) -> None:
        service = vim.ServiceInstance("ServiceInstance", self._stub)
        while not self._closed.wait(self._keep_alive_seconds):
            with contextlib.suppress(V2xError):
                self.read(service.CurrentTime)

    def close(self) -> None:
        """Logs out and closes every connection; a server that is gone is no error. Safe to call twice."""
        if self._closed.is_set():
            return
        self._closed.set()
        if self._logins and self._refused is None:
            with contextlib.suppress(V2xError, _SessionEnded):
                self._repeated(self._content.sessionManager.Logout, (), {}, tries=1)
        if self._stub is not None:
            self._stub.DropConnections()


class _SessionEnded(Exception):
    """NotAuthenticated: internal to the session."""
