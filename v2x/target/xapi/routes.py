# SPDX-License-Identifier: Apache-2.0
"""Which host a disk's bytes go to, and how that host proves who it is.

The coordinator is reached as the user named it and trusted as the user said. Another member is reached at its
host.address and pinned to the certificate that the trusted coordinator tells for it.
"""

import ssl
import threading
from dataclasses import dataclass

from v2x.errors import TargetError, TrustError
from v2x.target.xapi.client import Client, split_address
from v2x.target.xapi.facts import records
from v2x.tls import Trust, fingerprint_of


@dataclass(frozen=True, slots=True)
class Route:
    """An HTTPS endpoint of the pool."""

    host: str
    port: int
    trust: Trust


class Routes:
    """The hosts of one pool, by SR. Safe for threads."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._known: dict[str, Route] = {}
        self._coordinator = ""

    def coordinator(self) -> Route:
        return Route(self._client.host, self._client.port, self._client.trust)

    def for_sr(self, sr: str) -> Route:
        """A host that has the SR (a reference) attached: the coordinator where it has. TargetError where none has."""
        plugged = []
        for reference in self._client.call("SR.get_PBDs", sr):
            pbd = self._client.call("PBD.get_record", reference)
            if pbd.get("currently_attached"):
                plugged.append(str(pbd.get("host")))
        if not plugged:
            raise TargetError(
                "no host has the storage repository attached", hint="repair it (xe pbd-plug), then run again"
            )
        master = self._master()
        return self.coordinator() if master in plugged else self._member(min(plugged))

    def redirected(self, address: str) -> Route:
        """The route to a 302's address. TrustError for one that is no host of the pool: the session goes along."""
        host, port = split_address(address)
        wanted = (host, port or 443)
        for reference, record in records(self._client, "host").items():
            host, port = split_address(str(record.get("address", "")))
            if (host, port or 443) == wanted:
                return self.coordinator() if reference == self._master() else self._member(reference)
        raise TrustError(
            f"the pool redirects an upload to {address}, which is none of its hosts",
            hint="the session is not sent there; look at the pool's host addresses",
        )

    def _master(self) -> str:
        with self._lock:
            if not self._coordinator:
                pools = records(self._client, "pool")
                self._coordinator = str(next(iter(pools.values()), {}).get("master", ""))
            return self._coordinator

    def _member(self, host: str) -> Route:
        with self._lock:
            found = self._known.get(host)
        if found is None:
            address, port = split_address(str(self._client.call("host.get_address", host)))
            pem = str(self._client.call("host.get_server_certificate", host))
            try:
                certificate = ssl.PEM_cert_to_DER_cert(pem.strip() + "\n")
            except ValueError:
                raise TrustError(f"the pool tells no usable certificate for its member {address}") from None
            trust = Trust(fingerprint=fingerprint_of(certificate), option=self._client.trust.option)
            found = Route(address, port or 443, trust)
            with self._lock:
                self._known[host] = found
        return found
