# SPDX-License-Identifier: Apache-2.0
"""The single door to TLS: verified against the system store or a given CA, or pinned to one certificate.

A pin is checked on the very connection that will be used, after the handshake and before a byte is sent. It is the
context that checks it, so a library that is handed one (pyvmomi, http.client) cannot forget to.
"""

import hashlib
import hmac
import http.client
import ipaddress
import re
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass

from v2x.errors import ConnectError, TrustError, UsageError

_PIN = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """How a server proves who it is. `fingerprint` is `sha256:` and 64 lower-case hex digits of the certificate.

    `option` is the command-line prefix (`source`, `target`) that messages name, e.g. --target-fingerprint.
    """

    ca_file: str = ""
    fingerprint: str = ""
    option: str = "target"


def parse_fingerprint(text: str) -> str:
    """Accepts colons, blanks and upper case; UsageError for anything but a SHA-256."""
    text = text.strip().lower()
    digits = re.sub(r"[:\s]", "", text.removeprefix("sha256"))
    pin = f"sha256:{digits}"
    if not _PIN.fullmatch(pin):
        raise UsageError(
            "a fingerprint is sha256: and 64 hex digits",
            hint="`openssl x509 -in cert.pem -noout -fingerprint -sha256` prints it; SHA-1 is not accepted",
        )
    return pin


def fingerprint_of(certificate: bytes) -> str:
    """The pin of a DER certificate."""
    return "sha256:" + hashlib.sha256(certificate).hexdigest()


class PinRefused(ssl.SSLCertVerificationError):
    """The peer's certificate is none of the pinned ones; `found` is its fingerprint."""

    def __init__(self, found: str) -> None:
        super().__init__(f"another certificate than the pinned one: {found or 'none'}")
        self.found = found
        self.verify_message = "it is not the pinned one"


def _check(certificate: bytes | None, pins: frozenset[str]) -> None:
    found = certificate or b""
    shown = {fingerprint_of(found), "sha1:" + hashlib.sha1(found, usedforsecurity=False).hexdigest()}
    if not any(hmac.compare_digest(one, pin) for one in shown for pin in pins):
        raise PinRefused(fingerprint_of(found) if found else "")


def pinned_context(pins: Iterable[str]) -> ssl.SSLContext:
    """A client context whose handshake fails (PinRefused) unless the peer shows a certificate of `pins`.

    A pin is `sha256:…`, or `sha1:…` where a trusted server names another one by no better digest. The name, the dates
    and the chain of a pinned certificate do not matter.
    """
    wanted = frozenset(pins)

    class PinnedSocket(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:
            super().do_handshake(block)
            _check(self.getpeercert(binary_form=True), wanted)

    class PinnedObject(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            _check(self.getpeercert(binary_form=True), wanted)

    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.sslsocket_class = PinnedSocket
    made.sslobject_class = PinnedObject
    return made


def context(trust: Trust) -> ssl.SSLContext:
    """A client context that verifies the chain and the name, or the pin."""
    if trust.fingerprint:
        return pinned_context([trust.fingerprint])
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if trust.ca_file:
        try:
            made.load_verify_locations(cafile=trust.ca_file)
        except (OSError, ssl.SSLError) as problem:
            raise UsageError(
                f"cannot load CA file {trust.ca_file}: {problem.__class__.__name__}",
                hint="the file must hold PEM certificates",
            ) from None
    else:
        made.load_default_certs()
    return made


def leads_inward(host: str, endpoint: str) -> bool:
    """Whether `host`, which a server has named, leads to this machine or to its link.

    This machine is right where `endpoint`, the address that a person gave for the server, is this machine too.
    Spellings that the system's resolver takes for numbers (127.1, 0x7f000001) count; of names only localhost does.
    """
    found = _numeric(host)
    if _is_loopback(host, found):
        return not _is_loopback(endpoint, _numeric(endpoint))
    return found is not None and (found.is_link_local or found.is_multicast or found.is_unspecified)


def _is_loopback(host: str, found: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
    if found is not None:
        return found.is_loopback
    name = host.rstrip(".").lower()
    return name in {"localhost", "localhost.localdomain"} or name.endswith(".localhost")


def _numeric(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))
        except (OSError, UnicodeError, ValueError):
            return None
    return getattr(found, "ipv4_mapped", None) or found


def split_proxy(proxy: str) -> tuple[str, int]:
    """Host and port of HOST:PORT, with or without http:// before it. UsageError for anything else."""
    host, _, port = proxy.removeprefix("http://").rstrip("/").rpartition(":")
    if not host or "/" in host or "@" in host or not port.isascii() or not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"{proxy!r} is no proxy", hint="give HOST:PORT of an HTTP proxy without a password")
    return host.strip("[]"), int(port)


def _tunnel(proxy: str, host: str, port: int, timeout: float) -> socket.socket:
    exchange = http.client.HTTPConnection(*split_proxy(proxy), timeout=timeout)
    exchange.set_tunnel(host, port)
    try:
        exchange.connect()
    except (OSError, http.client.HTTPException) as problem:
        exchange.close()
        raise ConnectError(
            f"the proxy {proxy} does not lead to {host}:{port}: {problem}", hint="leave it out, or ask its owner"
        ) from None
    return exchange.sock


def connect(host: str, port: int, trust: Trust, *, timeout: float = 30.0, proxy: str = "") -> ssl.SSLSocket:
    """A TLS connection to `host`, verified or pinned, through the HTTP proxy HOST:PORT where one is given.

    ConnectError and TrustError say what to do.
    """
    server = f"{host}:{port}"
    try:
        plain = _tunnel(proxy, host, port, timeout) if proxy else socket.create_connection((host, port), timeout)
    except socket.gaierror:
        raise ConnectError(f"no such host: {host}", hint="check the name, or give the IP address") from None
    except TimeoutError:
        raise ConnectError(
            f"no answer from {server} within {timeout:g} s", hint="check the address, the port and firewalls"
        ) from None
    except OSError as problem:
        raise ConnectError(
            f"cannot connect to {server}: {problem.strerror or problem}",
            hint="check the address, the port and firewalls",
        ) from None
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return secured(plain, host, port, trust)


def secured(plain: socket.socket, host: str, port: int, trust: Trust, *, look: bool = True) -> ssl.SSLSocket:
    """TLS over a connection to `host` that is there already, verified or pinned as in `connect`.

    `plain` is closed where that fails. The fingerprint of one that is not trusted is only told where `look` allows to
    ask for it once more, which a port that does not begin with TLS would not understand.
    """
    server = f"{host}:{port}"
    try:
        return context(trust).wrap_socket(plain, server_hostname=host)
    except PinRefused as problem:
        plain.close()
        raise pin_refused(server, trust, problem) from None
    except ssl.SSLCertVerificationError as problem:
        plain.close()
        raise untrusted(host, port, trust, problem.verify_message, look=look) from None
    except (OSError, ssl.SSLError) as problem:
        plain.close()
        reason = getattr(problem, "reason", None) or problem.__class__.__name__
        raise ConnectError(f"no TLS with {server}: {reason}", hint="is this the HTTPS port of the server?") from None


def pin_refused(server: str, trust: Trust, problem: PinRefused) -> TrustError:
    """The error for a server that shows another certificate than the pinned one."""
    return TrustError(
        f"{server} shows another certificate than the pinned one: {problem.found or 'none'}",
        hint=f"if its certificate was renewed, check it and give --{trust.option}-fingerprint again",
    )


def untrusted(host: str, port: int, trust: Trust, reason: str, *, look: bool = True) -> TrustError:
    """The error for a certificate that does not verify, with the fingerprint it has and how to pin it."""
    found = seen_fingerprint(host, port) if look else ""
    hint = f"give its CA with --{trust.option}-ca"
    if found:
        hint = f"compare it on the server, then add --{trust.option}-fingerprint {found}; or {hint}"
    return TrustError(f"the certificate of {host}:{port} is not trusted: {reason}", hint=hint)


def seen_fingerprint(host: str, port: int, *, timeout: float = 10.0) -> str:
    """The fingerprint a server shows now, for a person to compare; empty when there is no answer. Sends nothing."""
    probe = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    probe.check_hostname = False
    probe.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), timeout=timeout) as plain,
            probe.wrap_socket(plain, server_hostname=host) as connection,
        ):
            certificate = connection.getpeercert(binary_form=True)
    except OSError:
        return ""
    return fingerprint_of(certificate) if certificate else ""
