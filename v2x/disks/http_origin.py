# SPDX-License-Identifier: Apache-2.0
"""One HTTP(S) server that files are read from: its connections, its session cookie, and what is done when it fails.

Connections are kept and shared by all files and threads, at most `connections` of them. Trust is in the SSL context
that is given: it verifies or checks a pin while connecting, before a request with a cookie is sent. Proxies that the
environment names are not used; one that is given is asked for a tunnel, so that TLS ends at the server itself.
"""

import contextlib
import http.client
import logging
import random
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from v2x.errors import (
    InputRefused,
    LoginError,
    PermissionRefused,
    Retry,
    SourceError,
    TrustError,
    UsageError,
    V2xError,
)
from v2x.text import printable
from v2x.waiting import nap

_LOG = logging.getLogger(__name__)
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_MOVED: Final = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS: Final = 3
# 403 may also mean that a privilege is missing, which no login cures.
_MOST_RENEWALS: Final = {401: 2, 403: 1}
_LONGEST_WAIT: Final = 60.0
_SAMPLES: Final = 16


class SessionCookie:
    """A cookie (`name=value`) shared by all connections. Never part of a message.

    `obtain` is called with the cookie that has grown old or was refused, empty at first, and gives one to use instead.
    A vSphere session's cookie is good for 30 minutes, so it is renewed after 25.
    """

    def __init__(
        self,
        obtain: Callable[[str], str],
        *,
        life_seconds: float = 25 * 60,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._obtain, self._life_seconds, self._clock = obtain, life_seconds, clock
        self._lock = threading.Lock()
        self._value = ""
        self._since = 0.0

    def value(self) -> str:
        """The cookie, renewed first if it is too old."""
        with self._lock:
            if not self._value or self._clock() - self._since >= self._life_seconds:
                self._renew()
            return self._value

    def refused(self, value: str) -> None:
        """The server did not take `value`: a new one is obtained, unless another thread just did so."""
        with self._lock:
            if self._value == value:
                self._renew()

    def _renew(self) -> None:
        self._value = self._obtain(self._value)
        self._since = self._clock()


@dataclass(slots=True)
class Answer:
    """The head of an answer whose body is still to be read."""

    response: http.client.HTTPResponse
    connection: http.client.HTTPConnection
    whole: bool = False

    @property
    def status(self) -> int:
        return self.response.status

    def header(self, name: str) -> str:
        return self.response.getheader(name) or ""

    def read_into(self, view: memoryview) -> int:
        """Some bytes of the body; 0 at its end. OSError or HTTPException when the connection breaks."""
        return self.response.readinto(view)


class Passing(SourceError):
    """A failure that may not come again; raised to the caller only when attempts are used up."""

    code = "HTTP"
    retry = Retry.LATER

    def __init__(self, message: str, *, wait_seconds: float = 0.0) -> None:
        super().__init__(message, hint="check the source and the network between; the same command continues")
        self.wait_seconds = wait_seconds


@dataclass(kw_only=True)
class HttpOrigin:
    """The server `host`:`port`, over TLS with `tls`, or in clear where that is None (a host's own loopback, tests).

    `proxy` is `host:port` or `http://host:port`, empty for a direct connection. `timeout` is seconds for one wait of a
    socket; `attempts` how often in a row something is tried without a single byte of progress. `needs` names the
    privileges that reading takes.
    """

    host: str
    port: int = 443
    tls: ssl.SSLContext | None
    cookie: SessionCookie | None = None
    proxy: str = ""
    needs: str = ""
    connections: int = 12
    timeout: float = 60.0
    attempts: int = 6
    first_wait: float = 0.5
    sleep: Callable[[float], None] = nap
    clock: Callable[[], float] = time.monotonic
    _idle: list[http.client.HTTPConnection] = field(default_factory=list, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _round_trips: list[float] = field(default_factory=list, repr=False)
    _closed: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        self._free = threading.BoundedSemaphore(self.connections)
        _proxy_address(self.proxy)

    @property
    def round_trip_seconds(self) -> float:
        """The shortest time lately from a request to the head of its answer; 0 before the first."""
        with self._lock:
            return min(self._round_trips, default=0.0)

    def wait_after(self, problem: Passing, failures: int) -> None:
        """Waits before the next attempt: doubling, with jitter, or as long as the server asked for."""
        if failures >= self.attempts:
            raise problem
        _LOG.debug("%s; attempt %d follows", problem.message, failures + 1)
        backed_off = self.first_wait * 2 ** (failures - 1) * random.uniform(0.75, 1.25)
        self.sleep(min(_LONGEST_WAIT, max(backed_off, problem.wait_seconds)))

    @contextlib.contextmanager
    def answer(self, path: str, name: str, headers: Mapping[str, str]) -> Iterator[Answer]:
        """The answer to one GET with status 200, 206 or 416. Its connection is used again if the caller set `whole`.

        Passing for what may be tried again; other errors are final: TrustError, LoginError, PermissionRefused,
        InputRefused MISSING-FILE, SourceError.
        """
        with self._free:
            answer = self._ask(path, name, headers)
            try:
                yield answer
            except (OSError, http.client.HTTPException) as problem:
                raise broken(name, self.host, problem) from None
            finally:
                if answer.whole and not answer.response.will_close:
                    self._keep(answer.connection)
                else:
                    answer.connection.close()

    def _ask(self, path: str, name: str, headers: Mapping[str, str]) -> Answer:
        redirects = renewals = 0
        while True:
            cookie = self.cookie.value() if self.cookie is not None else ""
            answer = self._exchange(path, name, {**headers, **({"Cookie": cookie} if cookie else {})})
            status = answer.status
            if status in {200, 206, 416}:
                return answer
            location = answer.header("Location")
            wait = _seconds(answer.header("Retry-After"))
            answer.connection.close()
            if status in _MOVED and redirects < _MOST_REDIRECTS:
                redirects += 1
                path = self._redirected(location, path, name)
            elif self.cookie is not None and renewals < _MOST_RENEWALS.get(status, 0):
                renewals += 1
                self.cookie.refused(cookie)
            else:
                raise self._refusal(status, name, wait)

    def _refusal(self, status: int, name: str, wait: float) -> V2xError:
        if status in _PASSING:
            return Passing(f"{self.host} answers {status} for {name}", wait_seconds=wait)
        if status == 404:
            return InputRefused(
                f"{name} is not there: {self.host} answers 404",
                code="MISSING-FILE",
                hint="take the inventory again: the machine may have moved to another datastore",
            )
        if status == 401:
            return LoginError(f"{self.host} does not accept the session for {name}", hint="check user and password")
        if status == 403:
            return PermissionRefused(
                f"{self.host} does not let this user read {name}" + (f": it takes {self.needs}" if self.needs else ""),
                hint="grant the role on the datastore's folder, propagating",
            )
        return SourceError(f"{self.host} answers {status} for {name}", code="HTTP", hint="see the host's own logs")

    def _redirected(self, location: str, path: str, name: str) -> str:
        """The new path on this very server; TrustError for any other place."""
        target = urlsplit(location)
        here = (("https" if self.tls is not None else "http"), self.host.lower(), self.port)
        there = (
            target.scheme or here[0],
            (target.hostname or self.host).lower(),
            target.port or (self.port if not target.hostname else {"https": 443, "http": 80}.get(target.scheme, 0)),
        )
        if there != here or not target.path.startswith("/"):
            raise TrustError(
                f"{self.host} sends {name} elsewhere: {printable(location, 80) or 'it does not say where'}",
                code="REDIRECTED",
                hint="v2x follows no redirection to another host; give that host as the source if you trust it",
            )
        return target.path + (f"?{target.query}" if target.query else "")

    def _exchange(self, path: str, name: str, headers: Mapping[str, str]) -> Answer:
        """Sends the request. One that fails on a kept connection, which the server may have closed, is sent again."""
        while True:
            with self._lock:
                if self._closed:
                    raise ValueError("the server's connections are closed")
                kept = self._idle.pop() if self._idle else None
            connection = kept or self._connected(name)
            try:
                begun = self.clock()
                connection.request("GET", path, headers={"Accept-Encoding": "identity", **headers})
                response = connection.getresponse()
                self._took(self.clock() - begun)
                return Answer(response, connection)
            except (OSError, http.client.HTTPException) as problem:
                connection.close()
                if kept is None:
                    raise broken(name, self.host, problem) from None

    def _took(self, seconds: float) -> None:
        with self._lock:
            self._round_trips.append(seconds)
            del self._round_trips[:-_SAMPLES]

    def _connected(self, name: str) -> http.client.HTTPConnection:
        connection = https_connection(self.host, self.port, self.tls, self.proxy, timeout=self.timeout)
        try:
            connection.connect()
        except ssl.SSLCertVerificationError as problem:
            connection.close()
            raise TrustError(
                f"the certificate of {self.host}:{self.port} is not trusted: {problem.verify_message}",
                hint="give its CA with --source-ca, or its pin with --source-fingerprint",
            ) from None
        except (OSError, http.client.HTTPException) as problem:
            connection.close()
            raise broken(name, self.host, problem) from None
        except V2xError:
            connection.close()
            raise
        return connection

    def _keep(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Closes the connections that nobody uses; those in use close when they are given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


def https_connection(
    host: str, port: int, tls: ssl.SSLContext | None, proxy: str = "", *, timeout: float = 60.0
) -> http.client.HTTPConnection:
    """A connection that is still to be made, through a tunnel of `proxy` if one is given. UsageError for a bad one."""
    via = _proxy_address(proxy)
    first = via or (host, port)
    connection = (
        http.client.HTTPSConnection(*first, timeout=timeout, context=tls)
        if tls is not None
        else http.client.HTTPConnection(*first, timeout=timeout)
    )
    if via is not None:
        connection.set_tunnel(host, port)
    return connection


def broken(name: str, host: str, problem: BaseException) -> Passing:
    """The error for a connection that could not be made, or broke."""
    reason = getattr(problem, "strerror", None) or getattr(problem, "reason", None) or str(problem)
    return Passing(f"reading {name} from {host} failed: {printable(str(reason or problem.__class__.__name__), 200)}")


def _seconds(text: str) -> float:
    return float(text) if text.isdecimal() and len(text) < 6 else 0.0


def _proxy_address(text: str) -> tuple[str, int] | None:
    if not text:
        return None
    parts = urlsplit(text if "://" in text else f"http://{text}")
    try:
        port = parts.port or 3128
    except ValueError:
        port = 0
    if parts.scheme != "http" or not parts.hostname or not port or parts.username:
        raise UsageError(f"{printable(text, 80)} is no proxy", hint="give http://HOST:PORT, without user or password")
    return parts.hostname, port
