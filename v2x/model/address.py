# SPDX-License-Identifier: Apache-2.0
"""Addresses of sources and targets, as docs/cli.md defines them."""

import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, unquote

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.DOTALL)
_USER_SIGNS = "@\\.-_"
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


class AddressError(ValueError):
    """An address is not of the expected form; the text says which part and what is expected."""


class Scheme(StrEnum):
    VSPHERE = "vsphere"
    HYPERV = "hyperv"
    XAPI = "xapi"
    XVA = "xva"
    PATH = "path"


SOURCE_SCHEMES = frozenset({Scheme.VSPHERE, Scheme.HYPERV, Scheme.PATH})
TARGET_SCHEMES = frozenset({Scheme.XAPI, Scheme.XVA})


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """`path` is a local path for `path` and `xva`, the datacenter for vsphere. `hosts` has several for hyperv only."""

    scheme: Scheme
    user: str = ""
    hosts: tuple[str, ...] = ()
    port: int | None = None
    path: str = ""

    @property
    def host(self) -> str:
        return self.hosts[0] if self.hosts else ""

    @property
    def who(self) -> str:
        """`user@host`, for prompts."""
        return f"{self.user}@{','.join(self.hosts)}"

    def __str__(self) -> str:
        if self.scheme is Scheme.PATH:
            return self.path
        if self.scheme is Scheme.XVA:
            return f"xva:{self.path}"
        port = f":{self.port}" if self.port else ""
        hosts = ",".join(f"[{host}]" if ":" in host else host for host in self.hosts)
        tail = f"/{self.path}" if self.path else ""
        return f"{self.scheme}://{quote(self.user, safe=_USER_SIGNS)}@{hosts}{port}{tail}"


def parse_address(text: str) -> Address:
    """Reads an address. USER ends at the last `@` and may hold `@`, `\\` or %-escapes; a password is refused.

    AddressError names the part that is wrong. Anything without a scheme is a local path.
    """
    if text.startswith("xva:"):
        folder = text.removeprefix("xva:")
        if not folder:
            raise AddressError("xva: needs a folder, as in xva:/srv/export")
        return Address(scheme=Scheme.XVA, path=folder)
    match = _SCHEME.fullmatch(text)
    if match is None:
        if not text:
            raise AddressError("the address is empty")
        return Address(scheme=Scheme.PATH, path=text)
    scheme, rest = match.groups()
    if scheme not in {"vsphere", "hyperv", "xapi"}:
        raise AddressError(f"unknown scheme {scheme}://; known are vsphere://, hyperv://, xapi:// and xva:")
    return _server_address(Scheme(scheme), rest)


def _server_address(scheme: Scheme, rest: str) -> Address:
    user, at, server = rest.rpartition("@")
    if not at or not user:
        raise AddressError(f"{scheme}:// needs a user, as in {scheme}://root@host")
    if _PERCENT.search(user):
        raise AddressError("a % in the user must be an escape of two hex digits; write % as %25")
    if ":" in user:
        raise AddressError(
            "the user holds a colon: a password never belongs into an address (write a colon of the name as %3A)"
        )
    server, _, path = server.partition("/")
    hosts_text, port = _split_port(server)
    hosts = tuple(host.strip() for host in hosts_text.split(","))
    if any(not host or re.search(r"[\s/?#@\\]", host) for host in hosts):
        raise AddressError(f"{server!r} is not a host")
    if len(hosts) > 1 and scheme is not Scheme.HYPERV:
        raise AddressError(f"{scheme}:// takes one host")
    if path and scheme is not Scheme.VSPHERE:
        raise AddressError(f"nothing may follow the host in {scheme}://")
    return Address(scheme=scheme, user=unquote(user), hosts=hosts, port=port, path=unquote(path))


def _split_port(server: str) -> tuple[str, int | None]:
    if server.startswith("["):
        host, closed, tail = server[1:].partition("]")
        if not closed or (tail and not tail.startswith(":")):
            raise AddressError("an IPv6 address stands in brackets, as in [2001:db8::1]:443")
        return host, _port(tail[1:]) if tail else None
    if server.count(":") > 1:
        raise AddressError("an IPv6 address stands in brackets, as in [2001:db8::1]:443")
    host, colon, port = server.partition(":")
    return host, _port(port) if colon else None


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise AddressError(f"port {text!r} is not a number from 1 to 65535")
    return int(text)
