# SPDX-License-Identifier: Apache-2.0
"""Which host a disk's bytes go to, over which network, and how that host proves who it is.

The coordinator is reached as the user named it and trusted as the user said. Every other address of the pool is pinned
to the certificate that the trusted coordinator tells for its host. A host that is disabled or about to leave takes no
new disk.
"""

import contextlib
import logging
import ssl
import threading
from dataclasses import dataclass
from typing import Any

from v2x.errors import TargetError, TrustError, V2xError
from v2x.target.xapi.client import Client
from v2x.target.xapi.connection import split_address
from v2x.target.xapi.hosts import obstacle
from v2x.target.xapi.listing import records
from v2x.tls import Trust, fingerprint_of, leads_inward

BACKUP_NETWORK = "xo:backupNetwork"
"""The key of a pool's other_config in which Xen Orchestra keeps the network for backups, by uuid."""

_log = logging.getLogger("v2x.target")


@dataclass(frozen=True, slots=True)
class Route:
    """An HTTPS endpoint of the pool."""

    host: str
    port: int
    trust: Trust


class Routes:
    """The hosts of one pool, by SR. Safe for threads.

    `network` is the name or uuid of the network that disks travel over; empty means the pool's backup network where it
    has one, else the way the coordinator is reached.
    """

    def __init__(self, client: Client, network: str = "") -> None:
        self._client, self._network = client, network
        self._lock = threading.Lock()
        self._trusts: dict[str, Trust] = {}
        self._chosen: str | None = None
        self._learned = False

    def coordinator(self) -> Route:
        return Route(self._client.host, self._client.port, self._client.trust)

    def learn(self) -> None:
        """Tells the client the addresses and certificates of all hosts, so that it finds a later coordinator. Once."""
        with self._lock:
            if self._learned:
                return
            self._learned = True
        for reference, record in records(self._client, "host").items():
            # A host that is down now cannot tell its certificate, and will not be the coordinator soon.
            with contextlib.suppress(V2xError):
                self._client.know(str(record.get("address", "")), self._trust(reference))

    def check(self) -> None:
        """TargetError where the network that was asked for is not on the pool."""
        if self._network:
            self._network_reference()

    def for_sr(self, sr: str) -> Route:
        """A host that has the SR (a reference) attached and takes new disks: the coordinator where it does.

        TargetError where there is none, or where it has no address on the chosen network.
        """
        # One call instead of one for each host of the pool, before each upload.
        pbds = self._client.call("PBD.get_all_records_where", f'field "SR" = "{sr}"')
        plugged = [str(pbd.get("host")) for pbd in pbds.values() if pbd.get("currently_attached")]
        if not plugged:
            raise TargetError(
                "no host has the storage repository attached", hint="repair it (xe pbd-plug), then run again"
            )
        master = self._master()
        obstacles = []
        for host in sorted(plugged, key=lambda host: (host != master, host)):
            record = self._client.call("host.get_record", host)
            why = obstacle(record, live=self._live(record))
            if not why:
                return self._to(host, record, is_master=host == master)
            obstacles.append(f"{record.get('name_label')} {why}")
        raise TargetError(
            f"no host takes a new disk on this storage repository: {', '.join(obstacles)}",
            hint="enable the host again (xe host-enable), or choose another SR; then run again",
            code="NO-HOST",
        )

    def redirected(self, address: str) -> Route:
        """The route to a 302's address. TrustError for one that is no host of the pool: the session goes along."""
        host, port = split_address(address)
        wanted = (host, port or 443)
        for reference, record in records(self._client, "host").items():
            host, port = split_address(str(record.get("address", "")))
            if (host, port or 443) == wanted:
                return self._to(reference, record, is_master=reference == self._master())
        raise TrustError(
            f"the pool redirects an upload to {address}, which is none of its hosts",
            hint="the session is not sent there; look at the pool's host addresses",
        )

    def _to(self, host: str, record: dict[str, Any], *, is_master: bool) -> Route:
        address, port = split_address(str(record.get("address", "")))
        own = self._address_on_network(host, record)
        if is_master and not own:
            return self.coordinator()
        if leads_inward(own or address, self._client.host):
            raise TrustError(
                f"the pool has {own or address} as the address of {record.get('name_label')}; that is this machine",
                hint="nothing is sent there; look at the addresses of the pool's hosts",
            )
        return Route(own or address, port or 443, self._trust(host))

    def _live(self, record: dict[str, Any]) -> bool:
        try:
            return bool(self._client.call("host_metrics.get_live", record.get("metrics")))
        except TargetError:
            return False

    def _master(self) -> str:
        return str(next(iter(records(self._client, "pool").values()), {}).get("master", ""))

    def _trust(self, host: str) -> Trust:
        with self._lock:
            found = self._trusts.get(host)
        if found is None:
            pem = str(self._client.call("host.get_server_certificate", host))
            try:
                certificate = ssl.PEM_cert_to_DER_cert(pem.strip() + "\n")
            except ValueError:
                raise TrustError("the pool tells no usable certificate for one of its hosts") from None
            found = Trust(fingerprint=fingerprint_of(certificate), option=self._client.trust.option)
            with self._lock:
                self._trusts[host] = found
        return found

    # the chosen network

    def _address_on_network(self, host: str, record: dict[str, Any]) -> str:
        """The host's IP on the network for transfers; empty where none is chosen."""
        network = self._network_reference()
        if not network:
            return ""
        for pif in record.get("PIFs") or ():
            own = self._client.call("PIF.get_record", pif)
            if str(own.get("network")) == network and own.get("currently_attached"):
                found = [own.get("IP"), *(str(ip).partition("/")[0] for ip in own.get("IPv6") or ())]
                for address in found:
                    if address and not str(address).lower().startswith("fe80"):
                        return str(address)
        name = self._client.call("network.get_name_label", network)
        text = f"host {record.get('name_label')} has no IP address on network {name}"
        if not self._network:
            # As Xen Orchestra does: the pool's default is a wish, not an order.
            _log.warning("%s, the pool's backup network; its management address is used", text)
            return ""
        raise TargetError(
            text, hint="give its interface there an address (xe pif-reconfigure-ip), or choose another network"
        )

    def _network_reference(self) -> str:
        """The network's reference; empty for none. TargetError where the named one is none or several."""
        with self._lock:
            if self._chosen is not None:
                return self._chosen
        found = self._named() if self._network else self._of_pool()
        with self._lock:
            self._chosen = found
        return found

    def _named(self) -> str:
        networks = records(self._client, "network")
        found = [ref for ref, rec in networks.items() if rec.get("uuid") == self._network]
        found = found or [ref for ref, rec in networks.items() if rec.get("name_label") == self._network]
        if len(found) != 1:
            names = ", ".join(sorted(str(rec.get("name_label")) for rec in networks.values())[:20])
            raise TargetError(
                f"the pool has {len(found) or 'no'} network{'s' if len(found) > 1 else ''} called {self._network}",
                hint=f"give a name or uuid of: {names}",
            )
        return found[0]

    def _of_pool(self) -> str:
        pool = next(iter(records(self._client, "pool").values()), {})
        other = pool.get("other_config")
        wanted = str(other.get(BACKUP_NETWORK, "")) if isinstance(other, dict) else ""
        if not wanted:
            return ""
        try:
            return str(self._client.call("network.get_by_uuid", wanted))
        except V2xError:
            _log.warning("the pool's backup network %s is gone; the management network is used", wanted)
            return ""
