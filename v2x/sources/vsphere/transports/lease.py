# SPDX-License-Identifier: Apache-2.0
"""Export leases: asked for, awaited, kept alive, and ended whatever happens.

A lease ends by itself some 300 seconds after the last progress report. Left behind, it blocks the machine's next
export, snapshot and power operation until then. Source: vSphere API, HttpNfcLease.
"""

import contextlib
import threading
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from pyVmomi import vim

from v2x.errors import InputRefused, Retry, SourceError, TrustError, V2xError
from v2x.sources.vsphere.failures import error_from
from v2x.sources.vsphere.session import VsphereSession
from v2x.sources.vsphere.transports.place import DiskPlace
from v2x.tls import leads_inward

_READY_SECONDS: Final = 180.0
_POLL_SECONDS: Final = 0.2
_MOST_BETWEEN: Final = 60.0
_USUAL_TIMEOUT: Final = 300


class LeaseEnded(SourceError):
    """The lease is over before its time. Another one makes sense."""

    code = "LEASE"
    retry = Retry.LATER


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportUrl:
    """Where one disk flows from. `thumbprint` is the certificate's of that host; empty for the session's own server,
    which the session trusts already.
    """

    host: str
    port: int
    path: str
    thumbprint: str
    is_session_host: bool


class Lease:
    """One export of a machine's or snapshot's disks, kept alive by a thread until it is closed."""

    def __init__(self, session: VsphereSession, place: DiskPlace) -> None:
        """Asks for the export and waits until it is ready. The server's fault, or LeaseEnded, says why it is not."""
        self._session, self._place = session, place
        target = place.snapshot_ref.ExportSnapshot if place.snapshot_ref is not None else place.machine_ref.ExportVm
        self.percent = 0
        self._over = threading.Event()
        self._lease = session.call(target, doing="exporting its disks", subject=place.title)
        try:
            self._info = self._awaited()
        except BaseException:
            self._abort()
            raise
        timeout = int(self._info.leaseTimeout or _USUAL_TIMEOUT)
        self._every = max(0.05, min(_MOST_BETWEEN, timeout / 4))
        self.problem: V2xError | None = None
        self._keeper = threading.Thread(target=self._keep_alive, name="v2x-lease", daemon=True)
        self._keeper.start()

    def _awaited(self) -> Any:
        deadline = self._session.now() + _READY_SECONDS
        while True:
            (found,) = self._session.retrieve(vim.HttpNfcLease, ["state", "info", "error"], objects=[self._lease])
            state = str(found.values.get("state"))
            if state == "ready" and found.values.get("info") is not None:
                return found.values["info"]
            if state == "error":
                raise error_from(found.values.get("error"), "exporting its disks", self._place.title)
            if state == "done" or self._session.now() > deadline:
                raise LeaseEnded(f"{self._place.title}: its export is {state}, not ready", hint="look at its host")
            self._session.sleep(_POLL_SECONDS)

    def _keep_alive(self) -> None:
        while not self._over.wait(self._every):
            try:
                self._session.call(self._lease.HttpNfcLeaseProgress, self.percent)
            except V2xError as problem:
                # The stream may flow on; whoever begins the next one takes another lease.
                self.problem = problem
                return

    def url(self) -> ExportUrl:
        """Where the place's disk flows from. InputRefused NFC-DISK if the lease does not say which one it is."""
        disks = [one for one in self._info.deviceUrl or [] if one.disk is not False and one.url]
        chosen = _chosen(disks, self._place)
        return _parsed(chosen, self._session, self._place)

    def close(self, *, finished: bool) -> None:
        """Completes the export, or aborts it. One that is over already is no error. Safe to call twice."""
        if self._over.is_set():
            return
        self._over.set()
        if finished:
            with contextlib.suppress(V2xError):
                self._session.call(self._lease.HttpNfcLeaseComplete)
                return
        self._abort()

    def _abort(self) -> None:
        with contextlib.suppress(V2xError):
            self._session.call(self._lease.HttpNfcLeaseAbort)


def _chosen(disks: list[Any], place: DiskPlace) -> Any:
    """The URL of the disk: by its address, else by its device key, else the only one there is."""
    for wanted in (place.address, str(place.key)):
        found = [one for one in disks if str(one.key or "").rpartition("/")[2].lower() == wanted.lower()]
        if len(found) == 1:
            return found[0]
    if len(disks) == 1 and place.only_disk:
        return disks[0]
    keys = ", ".join(str(one.key) for one in disks[:8])
    raise InputRefused(
        f"{place.title}: the export does not say which of its disks ({keys}) is at {place.address}",
        code="NFC-DISK",
        hint="read it with another --transport",
    )


def _parsed(device: Any, session: VsphereSession, place: DiskPlace) -> ExportUrl:
    try:
        parts = urlsplit(str(device.url))
        named, number = parts.hostname or "", parts.port
    except ValueError:
        raise _no_trust(place, f"has an address that is none: {str(device.url)[:60]}") from None
    host = session.host if named in {"*", ""} else named
    port = number or (session.port if named in {"*", ""} else 443)
    own = (host.lower(), port) == (session.host.lower(), session.port)
    thumbprint = "" if own else str(device.sslThumbprint or "")
    if parts.scheme != "https" or not parts.path.startswith("/"):
        raise _no_trust(place, f"does not use TLS with the host {named or parts.path[:40]}")
    if "@" in parts.netloc or leads_inward(host, session.host):
        raise _no_trust(place, f"leads to {parts.netloc[:60]}, which is no address of a host")
    if not own and not thumbprint:
        raise _no_trust(place, f"names no certificate for the host {named}")
    return ExportUrl(
        host=host,
        port=port,
        path=parts.path + (f"?{parts.query}" if parts.query else ""),
        thumbprint=thumbprint,
        is_session_host=own,
    )


def _no_trust(place: DiskPlace, why: str) -> TrustError:
    return TrustError(
        f"{place.title}: the export {why}",
        code="NFC-TRUST",
        hint="connect to that host itself, or read the disk with --transport https",
    )
