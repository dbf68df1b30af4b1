# SPDX-License-Identifier: Apache-2.0
"""Room on storage that was promised to machines of a run and is not taken yet.

A pool tells how much is free now. A copy that is under way, or was stopped half-way and will go on, is still to take
what it was promised, so the next machine must not count on that.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from v2x.migrate.observe import Observer, TellsUploads
from v2x.model.migration import Phase

Key = tuple[str, str]
"""A target's alias and the uuid of a storage repository there."""


class Reservations:
    """Promised and not yet taken bytes, by migration. Shared by all migrations of a run; any thread may call it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: dict[str, dict[Key, int]] = defaultdict(dict)
        self._spare: dict[str, dict[Key, int]] = {}

    def promised_to_others(self, tag: str, target: str, storage: str) -> int:
        """Bytes of an SR that migrations other than `tag` are still to take."""
        with self._lock:
            return self._others(tag, (target, storage))

    def _others(self, tag: str, key: Key) -> int:
        return sum(left.get(key, 0) for owner, left in self._left.items() if owner != tag)

    def promise(self, tag: str, target: str, wanted: Mapping[str, int], free: Mapping[str, int]) -> str:
        """Promises the bytes in `wanted` by SR uuid, all or nothing, in place of what `tag` was promised before.

        Returns the uuid of an SR where they do not fit beside what others were promised, else an empty string. `free`
        has the bytes free now; an SR that is not in it does not tell its size and always has room.
        """
        with self._lock:
            for storage, need in wanted.items():
                if storage in free and need > free[storage] - self._others(tag, (target, storage)):
                    return storage
            self._left[tag] = {(target, storage): need for storage, need in wanted.items() if need > 0}
        return ""

    def hold(self, tag: str, target: str, wanted: Mapping[str, int]) -> None:
        """Promises without a look at what is free: to a migration that goes on with what it has begun."""
        self.promise(tag, target, wanted, {})

    def spare(self, tag: str, target: str, wanted: Mapping[str, int], free: Mapping[str, int]) -> frozenset[str]:
        """Notes what `tag` would take beside its promise, where there is room for it beside all promises and notes.

        Returns the uuids of SRs where there is none. Promises do not count what is noted: it is a wish, no need.
        """
        with self._lock:
            self._spare.pop(tag, None)
            full, noted = set(), {}
            for storage, need in wanted.items():
                key = (target, storage)
                others = sum(left.get(key, 0) for left in (*self._left.values(), *self._spare.values()))
                if storage in free and need > free[storage] - others:
                    full.add(storage)
                else:
                    noted[key] = need
            self._spare[tag] = noted
        return frozenset(full)

    def taken(self, tag: str, target: str, storage: str, count_bytes: int) -> None:
        """Notes that `tag` took some of its promise: the pool counts these bytes as used from now on."""
        with self._lock:
            left = self._left.get(tag, {})
            key = (target, storage)
            if key in left:
                left[key] = max(0, left[key] - count_bytes)

    def release(self, tag: str) -> None:
        """Ends the promise: the migration is done, or has nothing on the target any more."""
        with self._lock:
            self._left.pop(tag, None)
            self._spare.pop(tag, None)


class Taking:
    """Passes on to `inner`, and counts what a copy sent, or finds already there, as taken."""

    def __init__(self, inner: Observer, taken: Callable[[int], None]) -> None:
        self._inner = inner
        self._taken = taken

    def phase(self, phase: Phase) -> None:
        self._inner.phase(phase)

    def disk(self, disk: str, label: str, activity: str, done_bytes: int, total_bytes: int) -> None:
        self._taken(done_bytes)
        self._inner.disk(disk, label, activity, done_bytes, total_bytes)

    def progress(self, disk: str, count_bytes: int) -> None:
        self._taken(count_bytes)
        self._inner.progress(disk, count_bytes)

    def warning(self, text: str) -> None:
        self._inner.warning(text)

    def uploaded(self, disk: str, tasks: Sequence[str]) -> None:
        if isinstance(self._inner, TellsUploads):
            self._inner.uploaded(disk, tasks)
