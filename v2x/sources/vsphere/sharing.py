# SPDX-License-Identifier: Apache-2.0
"""One session for all sources that are the same server for the same user: a batch of many rows logs in once."""

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from v2x.sources.vsphere.session import VsphereSession


@dataclass(slots=True)
class _Entry:
    lock: threading.Lock = field(default_factory=threading.Lock)
    session: VsphereSession | None = None
    users: int = 0


class SharedSessions:
    """Open sessions by what makes them equal; the last one to give a session back logs it out."""

    def __init__(self) -> None:
        self._entries: dict[Hashable, _Entry] = {}
        self._lock = threading.Lock()

    def take(self, key: Hashable, make: Callable[[], VsphereSession]) -> VsphereSession:
        """The open session of `key`, else the one of `make`, opened now. What opening raises leaves nothing behind."""
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
        with entry.lock:
            if entry.session is None:
                session = make()
                session.open()
                entry.session = session
            entry.users += 1
            return entry.session

    def give(self, session: VsphereSession) -> None:
        """Gives back what `take` gave; anything else is simply closed."""
        with self._lock:
            entry = next((one for one in self._entries.values() if one.session is session), None)
        if entry is None:
            session.close()
            return
        with entry.lock:
            entry.users -= 1
            if entry.users == 0:
                entry.session = None
                session.close()


SHARED = SharedSessions()
"""Those of this program."""
