# SPDX-License-Identifier: Apache-2.0
"""Listings of files on shares: one folder, or a closed set of files from several places."""

from collections.abc import Callable, Mapping, Sequence

from v2x.disks.listing import plain_name
from v2x.disks.smb.paths import UncPath
from v2x.disks.smb.server import SmbServers
from v2x.disks.smb.source import SmbSource, persistent
from v2x.errors import ConnectError, InputRefused, UnsafeImage
from v2x.waiting import nap


class SmbFolder:
    """The regular files of one folder of a share."""

    def __init__(self, servers: SmbServers, folder: UncPath, *, sleep: Callable[[float], None] = nap) -> None:
        self._servers = servers
        self.folder = folder
        self._sleep = sleep

    def names(self) -> list[str]:
        """Names that no path could be made of; a server may send any."""
        server = self._servers.server(self.folder)
        names = persistent(server, lambda: server.names(self.folder), self._sleep)
        return [name for name in names if _is_plain(name)]

    def open(self, name: str) -> SmbSource:
        place = self.folder.child(plain_name(name))
        return SmbSource(self._servers.server(place), place, sleep=self._sleep)


class SmbFiles:
    """Files by the names that `places` gives them, each with the places where it may be found."""

    def __init__(
        self,
        servers: SmbServers,
        places: Mapping[str, Sequence[UncPath]],
        *,
        sleep: Callable[[float], None] = nap,
    ) -> None:
        self._servers = servers
        self._places = places
        self._sleep = sleep

    def names(self) -> list[str]:
        return list(self._places)

    def open(self, name: str) -> SmbSource:
        """The file at the first of its places that is there: other nodes are asked where a share or host is not."""
        plain_name(name)
        places = self._places.get(name, ())
        if not places:
            raise InputRefused(f"{name} is not among the machine's files", code="MISSING-FILE")
        for place in places[:-1]:
            try:
                return self._opened(place, name)
            except InputRefused as problem:
                if problem.code not in {"MISSING-SHARE", "MISSING-FILE"}:
                    raise
            except ConnectError:
                continue
        return self._opened(places[-1], name)

    def _opened(self, place: UncPath, name: str) -> SmbSource:
        return SmbSource(self._servers.server(place), place, name=name, sleep=self._sleep)


def _is_plain(name: str) -> bool:
    try:
        plain_name(name)
    except UnsafeImage:
        return False
    return True
