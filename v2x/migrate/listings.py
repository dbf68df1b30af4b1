# SPDX-License-Identifier: Apache-2.0
"""What sources tell of their machines, asked for once for all rows that start at about the same time.

Some sources list everything to tell of one machine (Hyper-V asks each host for all of its machines). Twenty rows that
begin together would have it listed twenty times, and wait for one another.
"""

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from v2x.model.machine import Machine
from v2x.sources.interface import Source

KEPT_SECONDS = 60.0


@dataclass
class _Kept:
    turn: threading.Lock = field(default_factory=threading.Lock)
    taken: float = 0.0
    asked: frozenset[str] = frozenset()
    found: dict[str, Machine] = field(default_factory=dict)


class Listings:
    """Listings by the name of their source, each kept for `seconds` after it was begun. Thread-safe.

    `wanted` gives the ids of the machines of a source that others will ask for: they are listed along. Of those who ask
    at once one lists, the others wait for it; an error is for who listed, and the next one tries again.
    """

    def __init__(
        self,
        wanted: Callable[[str], Collection[str]] = lambda _name: (),
        *,
        seconds: float = KEPT_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wanted, self._seconds, self._now = wanted, seconds, now
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}

    def machine(self, name: str, source: Source, machine_id: str) -> Machine | None:
        """The machine with this id as the source called `name` has it; None where it has it no more."""
        with self._lock:
            kept = self._kept.setdefault(name, _Kept())
        with kept.turn:
            began = self._now()
            if machine_id not in kept.asked or began - kept.taken >= self._seconds:
                asked = frozenset([machine_id, *self._wanted(name)])
                kept.asked = frozenset()
                found = source.inventory(lambda key: key in asked).machines
                kept.taken, kept.asked, kept.found = began, asked, {one.id: one for one in found}
            return kept.found.get(machine_id)
