# SPDX-License-Identifier: Apache-2.0
"""Disks from an export lease: streamOptimized VMDKs that flow once from their first byte to their last.

The stream tells its map only at its end, and a pool wants it first. A disk of which little is in use flows by twice:
once for the map, once for the bytes, which must agree with it. A disk that is mostly in use flows once, as if all of it
were data, and empty blocks are left out on the way to the pool. See docs/adr, "two passes over an export".
"""

from typing import Final

from v2x.disks.http import HttpStream
from v2x.disks.http_origin import HttpOrigin
from v2x.disks.interface import DiskReader
from v2x.disks.vmdk.flow import FlowBroken, GrainFlow
from v2x.disks.vmdk.flowing import FlowingReader
from v2x.disks.wrap import Wrapper
from v2x.errors import InputRefused, SourceError
from v2x.sources.vsphere.session import VsphereSession
from v2x.sources.vsphere.transports.https import session_cookie
from v2x.sources.vsphere.transports.lease import ExportUrl, Lease
from v2x.sources.vsphere.transports.options import Allocation, TransportOptions
from v2x.sources.vsphere.transports.place import DiskPlace
from v2x.sources.vsphere.transports.tracking import areas_in_use
from v2x.sources.vsphere.transports.vmkernel import address_on

# Two passes read the used part twice and send it once; one pass reads it once and sends the whole disk.
_MOSTLY_USED: Final = 0.5


class Export:
    """The export of one disk, by as many leases as it takes, one at a time."""

    def __init__(self, session: VsphereSession, place: DiskPlace, options: TransportOptions) -> None:
        self._session, self._place, self._options = session, place, options
        self._lease: Lease | None = None
        self._finished = False

    def begin(self) -> "_Pass":
        """One pass, over the lease that is there or a new one. FlowBroken for what another attempt may cure."""
        if self._lease is not None and self._lease.problem is not None:
            self._end(finished=False)
        again = self._lease is not None
        if self._lease is None:
            self._lease = Lease(self._session, self._place)
        try:
            return _Pass(self, self._origin(self._lease.url()), self._lease.url().path, self._place.title)
        except (InputRefused, SourceError) as problem:
            self._end(finished=False)
            # Some hosts give each disk of a lease once only.
            if again and problem.code in {"MISSING-FILE", "HTTP", "HTTP-ANSWER"}:
                return self.begin()
            if problem.code == "MISSING-FILE":
                raise FlowBroken(f"{self._place.title}: its export is gone from the host", hint="run again") from None
            raise
        except BaseException:
            self._end(finished=False)
            raise

    def _origin(self, url: ExportUrl) -> HttpOrigin:
        """The host of the lease, pinned to the certificate the lease names; a cookie for the session's host only."""
        network = self._options.network
        return HttpOrigin(
            host=address_on(self._session, self._place, network) if network else url.host,
            port=url.port,
            tls=self._session.host_tls(url.thumbprint) if url.thumbprint else self._session.tls,
            cookie=session_cookie(self._session, self._options.proxy) if url.is_session_host else None,
            proxy=self._options.proxy,
            needs="VApp.Export",
            connections=1,
            sleep=self._session.sleep,
        )

    def passed(self, *, finished: bool) -> None:
        """A pass is over. One that broke or was left takes its lease along: the next may be on another host."""
        self._finished = finished
        if not finished:
            self._end(finished=False)

    def told(self, position: int) -> None:
        """What the lease's progress report says from now on."""
        if self._lease is not None:
            self._lease.percent = min(99, position * 100 // max(1, self._place.capacity_bytes))

    def another(self) -> "Export":
        return Export(self._session, self._place, self._options)

    def _end(self, *, finished: bool) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.close(finished=finished)

    def close(self) -> None:
        self._end(finished=self._finished)


class _Pass:
    """A Flow over one GET."""

    def __init__(self, export: Export, origin: HttpOrigin, path: str, name: str) -> None:
        self._export, self._origin = export, origin
        try:
            self._answer = HttpStream(origin, path, name)
        except BaseException:
            origin.close()
            raise
        try:
            self.stream = GrainFlow(self._answer.read_into, name)
        except BaseException:
            self._shut()
            raise

    def _shut(self) -> None:
        self._answer.close()
        self._origin.close()

    def close(self) -> None:
        self._shut()
        self._export.passed(finished=self.stream.finished)


class NfcReader(Wrapper):
    """A FlowingReader that ends its lease with its close. A clone has a lease of its own."""

    flows_forward = True

    def __init__(self, inner: FlowingReader, export: Export) -> None:
        super().__init__(inner)
        self._flowing, self._export = inner, export

    def clone(self) -> "NfcReader":
        export = self._export.another()
        return NfcReader(self._flowing.clone(export.begin), export)

    def close(self) -> None:
        super().close()
        self._export.close()


def open_nfc(session: VsphereSession, place: DiskPlace, options: TransportOptions) -> DiskReader:
    """A reader for one pass in ascending order. The map is learnt first where that is worth a pass of its own."""
    bound = areas_in_use(session, place) if options.allocation is Allocation.CBT else None
    export = Export(session, place, options)
    inner = FlowingReader(
        export.begin, place.capacity_bytes, place.title, bound=bound, told=export.told, sleep=session.sleep
    )
    reader = NfcReader(inner, export)
    try:
        if bound is None and (place.committed_bytes or 0) < _MOSTLY_USED * place.capacity_bytes:
            inner.learn_map()
        else:
            inner.open()
    except BaseException:
        reader.close()
        raise
    return reader
