# SPDX-License-Identifier: Apache-2.0
"""Readers that stand on another reader: retry, throttle, digest, count, and fail on purpose.

Each takes the inner reader over, and `clone()` gives a wrapper around a clone of it that shares what belongs to the
disk as a whole: the rate, the counts, the digests. Time and sleep are parameters.
"""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from v2x import errors
from v2x.disks.extent import Extent
from v2x.disks.interface import Buffer, DiskReader
from v2x.errors import SourceError, V2xError
from v2x.waiting import nap

_DEFAULT_BLOCK = 2 << 20


class Wrapper:
    """What all wrappers pass on unchanged. Closing one closes what it stands on; each brings its own `clone`."""

    def __init__(self, inner: DiskReader) -> None:
        self._inner = inner

    @property
    def size(self) -> int:
        return self._inner.size

    @property
    def block(self) -> int:
        return self._inner.block

    def read_into(self, offset: int, buffer: Buffer) -> None:
        self._inner.read_into(offset, buffer)

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        return self._inner.extents(start, length)

    def close(self) -> None:
        self._inner.close()


class Persistent(Wrapper):
    """Goes on after an error, where `_after` lets it: the same read again, a map from where it broke off.

    `_ready` gives the reader to ask now. `_after` raises the error, or returns for one more attempt; attempts count
    from 1, and anew after each extent.
    """

    def _ready(self) -> DiskReader:
        raise NotImplementedError

    def _after(self, problem: V2xError, attempt: int) -> None:
        raise NotImplementedError

    def read_into(self, offset: int, buffer: Buffer) -> None:
        for attempt in itertools.count(1):
            try:
                self._ready().read_into(offset, buffer)
                return
            except V2xError as problem:
                self._after(problem, attempt)

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        end, attempt = start + length, 1
        while True:
            try:
                for extent in self._ready().extents(start, end - start):
                    yield extent
                    start, attempt = extent.end, 1
                return
            except V2xError as problem:
                self._after(problem, attempt)
                attempt += 1


class Retry(Persistent):
    """Tries again what failed with a SourceError, or with any error that says trying again makes sense.

    At most `attempts` in all, with waits that double from `wait_seconds` up to a minute. With `reopen` the inner
    reader is closed and opened anew before each further attempt; its size must be the same. The last error is raised.
    """

    def __init__(
        self,
        inner: DiskReader,
        attempts: int = 3,
        *,
        wait_seconds: float = 1.0,
        reopen: Callable[[], DiskReader] | None = None,
        sleep: Callable[[float], None] = nap,
    ) -> None:
        super().__init__(inner)
        if attempts < 1:
            raise ValueError("at least one attempt is needed")
        self._attempts = attempts
        self._wait_seconds = wait_seconds
        self._reopen = reopen
        self._sleep = sleep
        self._broken = False

    def _ready(self) -> DiskReader:
        if self._broken and self._reopen is not None:
            size = self._inner.size
            self._inner.close()
            fresh = self._reopen()
            if fresh.size != size:
                fresh.close()
                raise errors.BadImage(f"the disk changed its size from {size:,} to {fresh.size:,} bytes while reading")
            self._inner = fresh
        self._broken = False
        return self._inner

    def _after(self, problem: V2xError, attempt: int) -> None:
        again = isinstance(problem, SourceError) or problem.retry is not errors.Retry.NEVER
        if not again or attempt >= self._attempts:
            raise problem
        self._broken = True
        self._sleep(min(60.0, self._wait_seconds * 2 ** (attempt - 1)))

    def clone(self) -> "Retry":
        return Retry(
            self._inner.clone(),
            self._attempts,
            wait_seconds=self._wait_seconds,
            reopen=self._reopen,
            sleep=self._sleep,
        )


class Rate:
    """A limit in bytes per second, shared by whoever takes from it; None is no limit, and it can be changed."""

    def __init__(
        self,
        bytes_per_second: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.bytes_per_second = bytes_per_second
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_at = clock()

    def take(self, count: int) -> None:
        """Waits until what was taken before has had its time; an idle period is not saved up."""
        rate = self.bytes_per_second
        if rate is None:
            return
        with self._lock:
            now = self._clock()
            begin = max(now, self._free_at)
            self._free_at = begin + count / rate
        if begin > now:
            self._sleep(begin - now)


class Throttle(Wrapper):
    """At most `rate` bytes per second, over all clones together."""

    def __init__(self, inner: DiskReader, rate: Rate) -> None:
        super().__init__(inner)
        self._rate = rate

    def read_into(self, offset: int, buffer: Buffer) -> None:
        self._rate.take(len(memoryview(buffer).cast("B")))
        self._inner.read_into(offset, buffer)

    def clone(self) -> "Throttle":
        return Throttle(self._inner.clone(), self._rate)


class Digest(Wrapper):
    """Keeps the XXH3-128 of each block that is read whole and aligned, in `digests` by block number.

    The last block of the disk may be short. Reads that do not cover whole blocks are passed on without a digest.
    """

    def __init__(
        self, inner: DiskReader, block_bytes: int = _DEFAULT_BLOCK, digests: dict[int, bytes] | None = None
    ) -> None:
        super().__init__(inner)
        self._block_bytes = block_bytes
        self.digests: dict[int, bytes] = {} if digests is None else digests

    def read_into(self, offset: int, buffer: Buffer) -> None:
        from xxhash import xxh3_128_digest

        self._inner.read_into(offset, buffer)
        view = memoryview(buffer).cast("B")
        end = offset + len(view)
        if offset % self._block_bytes or (end % self._block_bytes and end != self.size):
            return
        for at in range(0, len(view), self._block_bytes):
            # Each block number is written by one statement, which is atomic between the threads of clones.
            self.digests[(offset + at) // self._block_bytes] = xxh3_128_digest(view[at : at + self._block_bytes])

    def clone(self) -> "Digest":
        return Digest(self._inner.clone(), self._block_bytes, self.digests)


@dataclass(slots=True)
class Counts:
    """What was read so far: requests that succeeded, their bytes, and requests that raised."""

    requests: int = 0
    bytes_read: int = 0
    failures: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)


class Counted(Wrapper):
    """Counts into `counts`, over all clones together. `tell` is called with the bytes of each finished request."""

    def __init__(
        self,
        inner: DiskReader,
        counts: Counts | None = None,
        *,
        tell: Callable[[int], None] | None = None,
    ) -> None:
        super().__init__(inner)
        self.counts = counts if counts is not None else Counts()
        self._tell = tell

    def read_into(self, offset: int, buffer: Buffer) -> None:
        try:
            self._inner.read_into(offset, buffer)
        except V2xError:
            with self.counts.lock:
                self.counts.failures += 1
            raise
        count = len(memoryview(buffer).cast("B"))
        with self.counts.lock:
            self.counts.requests += 1
            self.counts.bytes_read += count
        if self._tell is not None:
            self._tell(count)

    def clone(self) -> "Counted":
        return Counted(self._inner.clone(), self.counts, tell=self._tell)


@dataclass(slots=True)
class Faults:
    """When a Faulty reader fails: request numbers count from 1 over all clones.

    `fail_at` raise `error`; `short_at` fill half of the buffer and raise SourceError, as a connection that breaks.
    `delay_seconds` are slept before every request.
    """

    fail_at: frozenset[int] = frozenset()
    short_at: frozenset[int] = frozenset()
    delay_seconds: float = 0.0
    error: Callable[[], Exception] = lambda: SourceError("the connection to the source was lost")
    sleep: Callable[[float], None] = time.sleep
    requests: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)


class Faulty(Wrapper):
    """Fails on purpose, so that tests can prove what stands above it."""

    def __init__(self, inner: DiskReader, faults: Faults) -> None:
        super().__init__(inner)
        self._faults = faults

    def read_into(self, offset: int, buffer: Buffer) -> None:
        faults = self._faults
        with faults.lock:
            faults.requests += 1
            number = faults.requests
        if faults.delay_seconds:
            faults.sleep(faults.delay_seconds)
        if number in faults.fail_at:
            raise faults.error()
        if number in faults.short_at:
            view = memoryview(buffer).cast("B")
            self._inner.read_into(offset, view[: len(view) // 2])
            raise SourceError("the source sent less than was asked for")
        self._inner.read_into(offset, buffer)

    def clone(self) -> "Faulty":
        return Faulty(self._inner.clone(), self._faults)
