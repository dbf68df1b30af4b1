# SPDX-License-Identifier: Apache-2.0
"""The way to a vSphere server before anybody logs in: TLS, whether it is one at all, and which version it speaks."""

import http.client
import os
import ssl
from dataclasses import dataclass

import defusedxml.ElementTree as SafeXml
from defusedxml.common import DefusedXmlException
from pyVmomi import VmomiSupport

from v2x.errors import ConnectError, Retry, Unsupported, V2xError
from v2x.text import printable
from v2x.tls import Trust, connect, context

_VERSIONS_PATH = "/sdk/vimServiceVersions.xml"
_MOST_BYTES = 256 * 1024
OLDEST = (6, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A server that speaks vim25: `version` is pyVmomi's name of the newest one both know."""

    host: str
    port: int
    version: str
    certificate: bytes
    tls: ssl.SSLContext


def find_endpoint(host: str, port: int, trust: Trust, *, timeout: float = 30.0, proxy: str = "") -> Endpoint:
    """Asks a server which versions of the vim interface it has. Nothing secret is sent.

    TrustError for its certificate; ConnectError for silence and for something else that answers there; Unsupported
    for a server that is too old.
    """
    try:
        connection = connect(host, port, trust, timeout=timeout, proxy=proxy)
    except ConnectError as problem:
        raise (problem if proxy else _with_proxy_hint(problem)) from None
    certificate = connection.getpeercert(binary_form=True) or b""
    exchange = http.client.HTTPConnection(host, port, timeout=timeout)
    exchange.sock = connection
    try:
        exchange.request("GET", _VERSIONS_PATH, headers={"User-Agent": "v2x"})
        answer = exchange.getresponse()
        status, server = answer.status, printable(answer.getheader("Server") or "", 60)
        body = answer.read(_MOST_BYTES)
    except (OSError, http.client.HTTPException) as problem:
        raise _other(host, port, problem.__class__.__name__) from None
    finally:
        exchange.close()
    if status == http.HTTPStatus.SERVICE_UNAVAILABLE:
        raise ConnectError(
            f"{host}:{port} answers that its services are not available: it starts, or is in maintenance",
            hint="wait until the vSphere client can log in, then run again",
            code="UNAVAILABLE",
        )
    if status != http.HTTPStatus.OK:
        raise _other(host, port, f"HTTP {status}" + (f" of {server}" if server else ""))
    version = _chosen(_offered(host, port, body), host)
    return Endpoint(host=host, port=port, version=version, certificate=certificate, tls=context(trust))


def _other(host: str, port: int, seen: str) -> ConnectError:
    return ConnectError(
        f"{host}:{port} is neither a vCenter nor an ESXi host ({seen})",
        hint="give the address of the vCenter or host itself; its port is 443 unless it was changed",
        code="NOT-VSPHERE",
        retry=Retry.NEVER,
    )


def _with_proxy_hint(problem: V2xError) -> V2xError:
    names = [name for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy") if os.environ.get(name)]
    if names:
        problem.hint += f"; {names[0]} is set, and v2x does not use it: --source-proxy names a proxy"
    return problem


def _offered(host: str, port: int, body: bytes) -> list[str]:
    """The version ids of the vim25 namespace, newest first."""
    try:
        root = SafeXml.fromstring(body, forbid_dtd=True)
    except (SafeXml.ParseError, DefusedXmlException, ValueError):
        raise _other(host, port, "no list of versions") from None
    for namespace in root.iter("namespace"):
        if (namespace.findtext("name") or "").strip() == "urn:vim25":
            return [(one.text or "").strip() for one in namespace.iter("version")]
    raise _other(host, port, "a list of versions without vim25")


def _chosen(offered: list[str], host: str) -> str:
    for name in VmomiSupport.GetServiceVersions("vim25"):
        number = VmomiSupport.versionIdMap[name]
        parts = number.split(".")
        if number in offered and all(part.isdecimal() for part in parts) and tuple(map(int, parts)) >= OLDEST:
            return str(name)
    newest = printable(offered[0], 20) if offered else "nothing"
    oldest = ".".join(map(str, OLDEST))
    raise Unsupported(
        f"{host} speaks vSphere {newest}; {oldest} is the oldest version that v2x knows",
        hint="export the machines as OVA and give the .ova files",
        code="VERSION-TOO-OLD",
    )
