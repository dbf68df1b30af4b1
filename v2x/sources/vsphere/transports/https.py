# SPDX-License-Identifier: Apache-2.0
"""Disks over the datastores' own web access: GET /folder/PATH?dcPath=DATACENTER&dsName=DATASTORE with ranges.

The names are those of the inventory, in which `/`, `\\` and `%` stand as %2f, %5c and %25; `dcPath` is the datacenter
with its folders. Server versions differ in whether they undo that encoding once more, so that on 404 the other
readings of a name with such signs are tried. Facts: vSphere Web Services SDK guide, "HTTP access to vSphere server
files"; public issue threads of other tools.
"""

import base64
import http.client
import threading
from collections.abc import Iterator
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import quote, unquote

from v2x.disks.http import HttpSource, parallel_requests
from v2x.disks.http_origin import HttpOrigin, SessionCookie, https_connection
from v2x.disks.interface import DiskReader
from v2x.disks.listing import plain_name
from v2x.disks.mapahead import MapAhead
from v2x.disks.readahead import ReadAhead
from v2x.disks.vmdk import open_links
from v2x.disks.wrap import Wrapper
from v2x.errors import BadImage, InputRefused
from v2x.model.units import MIB
from v2x.sources.vsphere.session import VsphereSession
from v2x.sources.vsphere.transports.following import Chain
from v2x.sources.vsphere.transports.options import TransportOptions
from v2x.sources.vsphere.transports.place import DatastoreFile, DiskPlace, files_now
from v2x.sources.vsphere.transports.tracking import with_allocation

HOST_DATACENTER: Final = "ha-datacenter"
_REQUEST_BYTES: Final = 2 * MIB
_COOKIE: Final = "vmware_soap_session"
_REFUSED: Final = 400


def session_cookie(session: VsphereSession, proxy: str = "") -> SessionCookie:
    """The session's cookie for the datastores' files; one of its own when that is old or refused.

    A new login of the session itself is the last resort: export leases belong to a session, and would end with it.
    """

    def obtain(stale: str) -> str:
        if not stale:
            return session.cookie()
        fresh = files_cookie(session, proxy)
        if fresh:
            return fresh
        if session.cookie() == stale:
            session.renew(session.logins)
        return session.cookie()

    return SessionCookie(obtain)


def files_cookie(session: VsphereSession, proxy: str = "") -> str:
    """The cookie of a new session that a HEAD with the user's name and password begins; empty where none is given."""
    word = base64.b64encode(f"{session.user}:{session.password.reveal()}".encode()).decode()
    jar: SimpleCookie = SimpleCookie()
    connection = https_connection(session.host, session.port, session.tls, proxy)
    try:
        connection.request("HEAD", "/folder", headers={"Authorization": f"Basic {word}"})
        answer = connection.getresponse()
        if answer.status < _REFUSED:
            for text in answer.headers.get_all("Set-Cookie") or []:
                jar.load(text)
    except (OSError, http.client.HTTPException, CookieError):
        return ""
    finally:
        connection.close()
    return f"{_COOKIE}={jar[_COOKIE].coded_value}" if _COOKIE in jar else ""


def origin_of(session: VsphereSession, options: TransportOptions) -> HttpOrigin:
    """The server of the session, over the session's own trust."""
    return HttpOrigin(
        host=session.host,
        port=session.port,
        tls=session.tls,
        cookie=session_cookie(session, options.proxy),
        proxy=options.proxy,
        needs="Datastore.Browse and Datastore.FileManagement",
        connections=options.parallel,
        sleep=session.sleep,
    )


def folder_url(datacenter: str, datastore: str, path: str) -> str:
    """The path and query of a file; all three are given as they are to be read by the server."""
    return f"/folder/{quote(path)}?dcPath={quote(datacenter, safe='')}&dsName={quote(datastore, safe='')}"


def readings(datacenter: str, datastore: str, path: str) -> Iterator[str]:
    """The URLs that may name a file: as stored, decoded, and encoded twice, each once."""
    seen: set[str] = set()
    for change in (lambda name: name, unquote, quote):
        url = folder_url(change(datacenter), change(datastore), path)
        if url not in seen:
            seen.add(url)
            yield url
        if not any(sign in datacenter + datastore for sign in "%\\"):
            return


class DatastoreFolder:
    """A Listing over one folder of a datastore. Which reading of the names is right is found by the first file."""

    def __init__(self, origin: HttpOrigin, datacenter: str, file: DatastoreFile) -> None:
        self._origin, self._datacenter, self._file = origin, datacenter, file
        self._lock = threading.Lock()
        self._right: int | None = None

    def names(self) -> list[str]:
        """Nothing: what a disk needs is named by the machine's configuration and its descriptors."""
        return []

    def open(self, name: str) -> HttpSource:
        folder = f"{self._file.folder}/" if self._file.folder else ""
        urls = list(readings(self._datacenter, self._file.datastore, folder + plain_name(name)))
        with self._lock:
            chosen = list(enumerate(urls)) if self._right is None else [(self._right, urls[self._right])]
        missing: InputRefused | None = None
        for number, url in chosen:
            try:
                found = HttpSource.open(self._origin, url, name)
            except InputRefused as problem:
                if problem.code != "MISSING-FILE":
                    raise
                missing = missing or problem
                continue
            with self._lock:
                self._right = number
            return found
        raise missing or InputRefused(f"{name} is not there", code="MISSING-FILE")


class _Owning(Wrapper):
    """A reader that closes its server's connections at its end; clones leave them."""

    def __init__(self, inner: DiskReader, origin: HttpOrigin | None) -> None:
        super().__init__(inner)
        self._origin = origin

    def clone(self) -> "_Owning":
        return _Owning(self._inner.clone(), None)

    def close(self) -> None:
        super().close()
        if self._origin is not None:
            self._origin.close()


def open_https(session: VsphereSession, place: DiskPlace, options: TransportOptions) -> DiskReader:
    """A reader over the disk's chain of files, each checked to be the parent of the one above by its CID.

    A disk in a snapshot is followed when others merge files below it.
    """
    origin = origin_of(session, options)
    datacenter = place.datacenter if session.about.is_vcenter else HOST_DATACENTER

    def make(files: tuple[DatastoreFile, ...]) -> DiskReader:
        made = open_links([(DatastoreFolder(origin, datacenter, file), file.name) for file in files])
        if made.size != place.capacity_bytes:
            raise BadImage(
                f"{place.title}: its descriptor says {made.size:,} bytes, vSphere {place.capacity_bytes:,}",
                code="CAPACITY-MISMATCH",
                hint="list the source again; the disk may have been resized",
            )
        return made

    try:
        if place.snapshot_ref is None:
            reader = make(place.files)
        else:
            reader = Chain(place.files, lambda: files_now(session, place), make, sleep=session.sleep).open()
        parallel = parallel_requests(origin, _REQUEST_BYTES)
        if len(place.files) > 1 or place.backing != "FlatVer2BackingInfo":
            reader = MapAhead(reader, workers=parallel)
        reader = with_allocation(session, place, reader, options)
        return _Owning(ReadAhead(reader, depth=parallel, workers=parallel), origin)
    except BaseException:
        origin.close()
        raise
