# SPDX-License-Identifier: Apache-2.0
"""The session with a pool: the official XenAPI package over connections that v2x.tls verifies or pins.

One session for all threads; each call has a connection to itself, which is kept for the next one. A refused password
is tried once. Calls that may be repeated safely are repeated over a new connection for a while; a call that makes
something is not: whether a lost one took effect can only be seen on the pool, and the caller looks there.
"""

import contextlib
import http.client
import threading
import time
import xmlrpc.client  # nosec B411  # connection.Transport parses with defusedxml
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar
from xml.parsers.expat import ExpatError

import XenAPI

from v2x.errors import AccessError, ConnectError, LoginError, TargetError, TrustError, V2xError
from v2x.secrets import Secret
from v2x.target.xapi.connection import Transport, ask_json, split_address, wire
from v2x.target.xapi.failures import BUSY, ConnectionLost, PoolMember, failure_to_error, xapi_code
from v2x.tls import Trust, leads_inward
from v2x.waiting import nap

T = TypeVar("T")

ORIGINATOR = "v2x"
_MOST_TURNS = 3
_EVENT_GRACE_SECONDS = 15.0
# What the standard library and XenAPI raise for an answer that is no XML-RPC, or not XAPI's.
_NO_ANSWER = (xmlrpc.client.Error, ExpatError, TypeError, ValueError, LookupError, ArithmeticError)
_REPEATABLE = ("get_", "set_", "add_", "remove_", "destroy", "from")


def repeatable(method: str) -> bool:
    """Whether a second effect of `method` equals the first, so that a lost call may be sent again."""
    return method.rpartition(".")[2].startswith(_REPEATABLE)


class Client:
    """Calls of one pool, from any thread.

    `patience_seconds` bounds how long a busy pool or a broken network is waited for within one call. With `follow`, a
    pool member's answer at the login leads to the coordinator it names (once); otherwise it is a PoolMember error. A
    coordinator that goes away later is followed to another of the hosts that `know` was told.
    """

    def __init__(
        self,
        host: str,
        port: int,
        user: str,
        password: Secret,
        trust: Trust,
        *,
        follow: bool = False,
        timeout: float = 300.0,
        patience_seconds: float = 60.0,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = nap,
    ) -> None:
        self.host, self.port, self.trust = host, port, trust
        self.now, self.sleep, self.patience_seconds = now, sleep, patience_seconds
        self._user, self._password = user, password
        self._follow, self._timeout = follow, timeout
        self._reference = ""
        self._refused: AccessError | None = None
        self._lock = threading.Lock()
        self._idle: list[tuple[XenAPI.Session, Transport]] = []
        self._hosts: dict[tuple[str, int], Trust] = {}

    @property
    def reference(self) -> str:
        """The session reference, as HTTP transfers need it. A secret; empty before login."""
        return self._reference

    def know(self, address: str, trust: Trust) -> None:
        """Remembers a host of the pool, as the trusted coordinator tells it: the next coordinator is one of them."""
        host, port = split_address(address)
        with self._lock:
            self._hosts[host, port or 443] = trust

    def login(self) -> None:
        """Opens the session. LoginError, ConnectError, TrustError or PoolMember say why not."""
        self.renew("")

    def renew(self, stale: str) -> str:
        """A session other than `stale`, logging in unless another thread has done so."""
        with self._lock:
            if self._refused is not None:
                raise self._refused
            if self._reference == stale:
                try:
                    self._reference = self._logged_in()
                except PoolMember as answer:
                    if not self._follow or not answer.coordinator:
                        raise
                    host, port = split_address(answer.coordinator)
                    if leads_inward(host, self.host):
                        raise
                    self.host = host
                    # The address as members know it has a port only where it is not the usual one.
                    self.port, self._follow = port or self.port, False
                    self._reference = self._logged_in()
                except (LoginError, TrustError) as refusal:
                    self._refused = refusal
                    raise
            return self._reference

    def _moved(self, left: tuple[str, int], named: str = "") -> bool:
        """Whether the coordinator is found at another place than `left`; `named` is where a member says it is.

        Only hosts that were known before are asked, each pinned; without a pin the named one is verified as the first
        was. No password goes anywhere else.
        """
        with self._lock:
            if (self.host, self.port) != left:
                return True
            known = dict(self._hosts)
            waiting = [self._place(named)] if named else []
            waiting += [place for place in known if place not in waiting]
            asked = {left}
            while waiting:
                place = waiting.pop(0)
                trust = known.get(place) or (None if self.trust.fingerprint else self.trust)
                if place in asked or trust is None or leads_inward(place[0], self.host):
                    continue
                asked.add(place)
                try:
                    reference = self._logged_in(place, trust)
                except PoolMember as answer:
                    if answer.coordinator:
                        waiting.insert(0, self._place(answer.coordinator))
                except V2xError:
                    continue
                else:
                    (self.host, self.port), self.trust, self._reference = place, trust, reference
                    return True
        return False

    def _place(self, address: str) -> tuple[str, int]:
        host, port = split_address(address)
        return host, port or 443

    def _logged_in(self, place: tuple[str, int] | None = None, trust: Trust | None = None) -> str:
        host, port = place or (self.host, self.port)
        transport = Transport(host, port, trust or self.trust, self._timeout)
        session = XenAPI.Session(_url(host, port), transport=transport)
        try:
            session.login_with_password(self._user, self._password.reveal(), "1.1", ORIGINATOR)
            return str(session._session)
        except XenAPI.Failure as failure:
            details = [str(part) for part in failure.details]
            if details[0] == "HOST_IS_SLAVE":
                raise PoolMember(host, details[1] if len(details) > 1 else "") from None
            if details[0] == "SESSION_AUTHENTICATION_FAILED":
                raise LoginError(
                    f"{host} refused user {self._user} or the password",
                    hint="check both; v2x does not try again, so no account gets locked",
                ) from None
            raise failure_to_error(failure, f"logging in to {host}") from None
        except (OSError, http.client.HTTPException, *_NO_ANSWER) as problem:
            raise ConnectError(
                f"{host} does not answer as a pool does: {problem.__class__.__name__}",
                hint="is this the address of an XCP-ng or XenServer host?",
            ) from None
        finally:
            transport.close()

    @contextlib.contextmanager
    def _session(self, reference: str, timeout: float) -> Iterator[XenAPI.Session]:
        """A connection that no other thread uses meanwhile, speaking for the session `reference`."""
        with self._lock:
            place = (self.host, self.port)
            held = self._idle.pop() if self._idle else None
        if held is not None and held[1].place != place:
            held[1].close()
            held = None
        if held is None:
            transport = Transport(*place, self.trust, self._timeout)
            held = XenAPI.Session(_url(*place), transport=transport), transport
        # XenAPI logs in again by itself only with credentials of its own; it gets none, so that one login serves all.
        held[0]._session = reference
        held[1].limit(timeout)
        try:
            yield held[0]
        finally:
            with self._lock:
                self._idle.append(held)

    def call(self, method: str, *params: object) -> Any:
        """The value of `method`. Raises a V2xError whose `xapi_code` tells the pool's code.

        Waits for a busy pool, and for repeatable calls also for the network, up to `patience_seconds`;
        ConnectionLost where it cannot be known whether a call took effect.
        """
        return self._persistently(method, lambda reference: self._once(reference, method, params))

    def watch(self, classes: Sequence[str], token: str, seconds: float) -> Any:
        """event.from: what changed since `token`, at once or within `seconds`. Holds a connection of its own."""
        params = (list(classes), token, seconds)
        return self._persistently(
            "event.from", lambda reference: self._once(reference, "event.from", params, seconds + _EVENT_GRACE_SECONDS)
        )

    def read(self, method: str, decode: Callable[[bytes], T]) -> T:
        """What `decode` makes of the JSON-RPC answer to `method`, a call without parameters; else as `call`.

        JSON costs a fraction of what XML does, which counts for thousands of records. DecodeError of msgspec passes.
        """
        return self._persistently(method, lambda reference: decode(self._read(reference, method)))

    def _persistently(self, method: str, once: Callable[[str], T]) -> T:
        if not self._reference:
            self.login()
        began, pause, turns = self.now(), 0.1, 0
        while True:
            reference, place = self._reference, (self.host, self.port)
            try:
                return once(reference)
            except _SessionGone:
                turns += 1
                if turns > _MOST_TURNS:
                    raise ConnectError(f"{self.host} ends each session at once", hint="look at the pool") from None
                self._renewed(reference, place)
                continue
            except PoolMember as answer:
                # Nothing was done there, so any call may be sent to the new coordinator.
                turns += 1
                if turns > _MOST_TURNS or not self._moved(place, answer.coordinator):
                    raise
                continue
            except (ConnectError, TargetError) as problem:
                if not _may_repeat(problem, method):
                    raise
                if isinstance(problem, ConnectError) and self._moved(place):
                    continue
                if self.now() - began + pause > self.patience_seconds:
                    raise
            self.sleep(pause)
            pause = min(pause * 2, 5.0)

    def _renewed(self, stale: str, place: tuple[str, int]) -> None:
        """A session other than `stale`, where need be with a coordinator at another place."""
        try:
            self.renew(stale)
        except PoolMember as answer:
            if not self._moved(place, answer.coordinator):
                raise

    def _once(self, reference: str, method: str, params: tuple[object, ...], timeout: float = 0.0) -> Any:
        try:
            with self._session(reference, timeout or self._timeout) as session:
                return session.xenapi_request(method, tuple(wire(param) for param in params))
        except XenAPI.Failure as failure:
            raise self._refusal(failure, method) from failure
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == 401:
                raise _SessionGone from None
            raise TargetError(f"{method}: the pool answered a fault {fault.faultCode}") from None
        except xmlrpc.client.ProtocolError as problem:
            raise ConnectionLost(
                f"{method}: {self.host} answered HTTP {problem.errcode}",
                hint="look at the toolstack of its coordinator; the same command continues",
            ) from None
        except (OSError, http.client.HTTPException) as problem:
            raise self._broken(method, problem) from None
        except _NO_ANSWER as problem:
            raise TargetError(
                f"{method}: the answer is not XAPI's ({problem.__class__.__name__})",
                hint="is there a proxy between? the same command continues",
            ) from None

    def _read(self, reference: str, method: str) -> bytes:
        try:
            return ask_json(self.host, self.port, self.trust, method, reference, self._timeout)
        except XenAPI.Failure as failure:
            if failure.details[0] == "SESSION_INVALID":
                raise _SessionGone from None
            raise self._refusal(failure, method) from failure
        except (OSError, http.client.HTTPException) as problem:
            raise self._broken(method, problem) from None

    def _refusal(self, failure: XenAPI.Failure, method: str) -> V2xError:
        if failure.details[0] == "HOST_IS_SLAVE":
            return PoolMember(self.host, str(failure.details[1]) if len(failure.details) > 1 else "")
        return failure_to_error(failure, method)

    def _broken(self, method: str, problem: Exception) -> ConnectionLost:
        return ConnectionLost(
            f"{method}: the connection to {self.host} broke ({problem.__class__.__name__})",
            hint="check the network; the same command continues",
        )

    def close(self) -> None:
        """Logs out and closes every connection; a pool that is gone is no error."""
        reference, self._reference = self._reference, ""
        if reference and self._refused is None:
            # The pool forgets an unused session by itself, so a logout that fails is no loss.
            with (
                contextlib.suppress(OSError, http.client.HTTPException, XenAPI.Failure, AccessError, *_NO_ANSWER),
                self._session(reference, self._timeout) as session,
            ):
                getattr(session, "session.logout")(reference)
        with self._lock:
            idle, self._idle = self._idle, []
        for _, transport in idle:
            transport.close()


def _may_repeat(problem: V2xError, method: str) -> bool:
    """Without a connection nothing was sent; with one that broke, the call may have taken effect."""
    if isinstance(problem, ConnectError):
        return not isinstance(problem, ConnectionLost) or repeatable(method)
    return xapi_code(problem) in BUSY


def _url(host: str, port: int) -> str:
    return f"https://[{host}]:{port}/" if ":" in host else f"https://{host}:{port}/"


class _SessionGone(Exception):
    """SESSION_INVALID: internal to the loop around each call."""
