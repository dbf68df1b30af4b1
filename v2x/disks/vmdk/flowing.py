# SPDX-License-Identifier: Apache-2.0
"""A DiskReader over a stream that only flows forward, and can be begun again.

Reading in ascending order, as copying does, costs one pass. A step back begins the stream anew and lets it flow by up
to the place; so does a cut, from which reading goes on where it was. The map is learnt by a pass of its own, from the
markers alone, or is given as an upper bound; each pass is held against it.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Final, Protocol

from v2x.disks.allocation import AllocationMap
from v2x.disks.chain import check_range, fill_zeros
from v2x.disks.extent import Extent
from v2x.disks.inflate import Inflated
from v2x.disks.interface import Buffer
from v2x.disks.vmdk.compressed import inflating
from v2x.disks.vmdk.flow import FlowGrain, GrainFlow
from v2x.errors import BadImage, Retry, SourceError, V2xError
from v2x.waiting import nap

_KEPT_GRAINS: Final = 64
_BATCH: Final = 8
_LONGEST_WAIT: Final = 60.0


class Flow(Protocol):
    """One pass of the stream."""

    @property
    def stream(self) -> GrainFlow: ...

    def close(self) -> None: ...


class GrainSet:
    """Which grains of a disk a stream holds: one bit each."""

    def __init__(self, count: int) -> None:
        self._bits = bytearray(-(-count // 8))
        self.count = count
        self.held = 0
        self.last = -1

    def add(self, number: int) -> None:
        """Numbers come in ascending order."""
        self._bits[number >> 3] |= 1 << (number & 7)
        self.held += 1
        self.last = number

    def __contains__(self, number: int) -> bool:
        return bool(self._bits[number >> 3] >> (number & 7) & 1)

    def areas(self, grain_bytes: int, size: int) -> Iterator[tuple[int, int]]:
        """(start, length) of adjoining grains."""
        number = 0
        while number < self.count:
            if not number & 7 and not self._bits[number >> 3]:
                number += 8
            elif number not in self:
                number += 1
            else:
                first = number
                while number < self.count and number in self:
                    number += 1
                yield first * grain_bytes, min(number * grain_bytes, size) - first * grain_bytes


class FlowingReader:
    """The disk of `size` bytes in the stream that `begin` opens anew each time.

    `told` is called with the bytes of the disk that have flowed by. `attempts` is how often in a row the stream is
    begun again without coming further. SOURCE-CHANGED when a pass does not agree with the map of an earlier one.
    """

    def __init__(
        self,
        begin: Callable[[], Flow],
        size: int,
        name: str,
        *,
        bound: AllocationMap | None = None,
        told: Callable[[int], None] = lambda _: None,
        attempts: int = 5,
        sleep: Callable[[float], None] = nap,
    ) -> None:
        self.size, self.name = size, name
        self._begin, self._bound, self._told = begin, bound, told
        self._attempts, self._sleep = attempts, sleep
        self._held: GrainSet | None = None
        self._map = bound
        self._flow: Flow | None = None
        self._coming: Iterator[FlowGrain] = iter(())
        self._next: FlowGrain | None = None
        self._passed = self._furthest = -1
        self._kept_from = self._count = 0
        self._ended = False
        self._failures = 0
        self._ready: OrderedDict[int, tuple[Future[Inflated], int]] = OrderedDict()
        self._grain_bytes = 64 << 10

    @property
    def block(self) -> int:
        return self._grain_bytes

    def open(self) -> None:
        """Begins the stream, so that what keeps it from flowing is known before anything is read."""
        while True:
            try:
                self._open_flow()
                return
            except V2xError as problem:
                self._again(problem)

    def learn_map(self) -> AllocationMap:
        """Lets the whole stream flow by once, without inflating it."""
        while True:
            try:
                held = self._survey()
                break
            except V2xError as problem:
                self._again(problem)
        self._held = held
        self._map = AllocationMap(self.size, held.areas(self._grain_bytes, self.size))
        return self._map

    def _survey(self) -> GrainSet:
        self._restart()
        flow = self._open_flow()
        held = GrainSet(-(-self.size // self._grain_bytes))
        for grain in flow.grains(wanted=lambda _: False):
            held.add(grain.number)
            self._came(grain.number)
        self._restart()
        self._furthest, self._failures = -1, 0
        return held

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        """Of the map, where there is one; else all is data."""
        if self._map is not None:
            yield from self._map.extents(start, length)
        else:
            check_range(start, length, self.size)
            if length:
                yield Extent(start, length, True)

    def read_into(self, offset: int, buffer: Buffer) -> None:
        view = memoryview(buffer).cast("B")
        check_range(offset, len(view), self.size)
        end = offset + len(view)
        if not view:
            return
        while True:
            try:
                self._open_flow()
                first, last = offset // self._grain_bytes, (end - 1) // self._grain_bytes
                if self._is_behind(first):
                    self._restart()
                    self._open_flow()
                self._pull(first, last)
                break
            except V2xError as problem:
                self._again(problem)
        for number in range(first, last + 1):
            begin = number * self._grain_bytes
            low, high = max(begin, offset), min(begin + self._grain_bytes, end)
            piece = view[low - offset : high - offset]
            if number in self._ready:
                future, place = self._ready[number]
                data = future.result()[place]
                if isinstance(data, BadImage):
                    raise BadImage(data.message, hint=data.hint)
                piece[:] = memoryview(data)[low - begin : high - begin]
            else:
                fill_zeros(piece)
        while len(self._ready) > _KEPT_GRAINS:
            self._kept_from = self._ready.popitem(last=False)[0] + 1

    def _is_behind(self, first: int) -> bool:
        """Whether grains from `first` on have flowed by and are no longer kept."""
        return first <= self._passed and first < self._kept_from

    def _open_flow(self) -> GrainFlow:
        if self._flow is None:
            self._flow = self._begin()
            header = self._flow.stream.header
            rounded = -(-self.size // header.grain_bytes) * header.grain_bytes
            if not self.size <= header.capacity_bytes <= rounded:
                raise BadImage(
                    f"{self.name} has {header.capacity_bytes:,} bytes in its export and {self.size:,} in vSphere",
                    code="CAPACITY-MISMATCH",
                    hint="list the source again",
                )
            if self._held is not None and header.grain_bytes != self._grain_bytes:
                raise self._changed("its grains have another size")
            self._grain_bytes = header.grain_bytes
            skipped = self._passed
            self._coming = self._flow.stream.grains(wanted=lambda number: number > skipped)
        return self._flow.stream

    def _pull(self, first: int, last: int) -> None:
        """Takes grains from the stream until `last` has come or is passed; keeps those from `first` on.

        With the disk's last data the whole rest of the stream is taken, whose end proves that it was whole.
        """
        finishing = last >= self._last_data
        batch: list[FlowGrain] = []
        try:
            while not self._ended and (self._passed < last or finishing):
                grain = self._next or next(self._coming, None)
                self._next = None
                if grain is None:
                    self._end()
                    break
                if grain.number > last and not finishing:
                    self._next = grain
                    break
                self._take(grain, first, last, batch)
        finally:
            # Also those that came before a cut: they do not come again.
            self._inflate(batch)
        self._passed = max(self._passed, last)

    def _take(self, grain: FlowGrain, first: int, last: int, batch: list[FlowGrain]) -> None:
        self._count += 1
        if grain.number <= self._passed:
            return
        self._check(grain)
        self._passed = grain.number
        self._came(grain.number)
        if first <= grain.number <= last:
            batch.append(grain)
            if len(batch) == _BATCH:
                self._inflate(batch)
                batch.clear()
        else:
            self._kept_from = grain.number + 1

    def _came(self, number: int) -> None:
        """A grain further than any before is progress, after which failures count anew."""
        if number > self._furthest:
            self._furthest, self._failures = number, 0
        self._told(number * self._grain_bytes)

    def _check(self, grain: FlowGrain) -> None:
        if self._held is not None and grain.number not in self._held:
            raise self._changed(f"grain {grain.number:,} was not there before")
        if self._bound is None:
            return
        begin = grain.number * self._grain_bytes
        length = min(self._grain_bytes, self.size - begin)
        if any(extent.data for extent in self._bound.extents(begin, length)):
            return
        (data,) = inflating([grain], self._grain_bytes, self.size, self.name).result()
        if isinstance(data, BadImage) or any(data):
            raise SourceError(
                f"{self.name}: change tracking calls byte {begin:,} unused, and data is there",
                code="TRACKING",
                hint="copy with --allocation read-all",
            )

    @property
    def _last_data(self) -> int:
        """The last grain that may hold data."""
        if self._held is not None:
            return self._held.last
        if self._bound is not None:
            return (self._bound.end - 1) // self._grain_bytes
        return (self.size - 1) // self._grain_bytes

    def _end(self) -> None:
        self._ended = True
        if self._held is not None and self._count != self._held.held:
            raise self._changed(f"{self._held.held - self._count:,} grains are gone")

    def _changed(self, what: str) -> SourceError:
        return SourceError(
            f"{self.name} changed between two passes: {what}",
            code="SOURCE-CHANGED",
            hint="something writes to it; copy from a snapshot, or with the machine shut down",
        )

    def _inflate(self, batch: list[FlowGrain]) -> None:
        if batch:
            future = inflating(batch, self._grain_bytes, self.size, self.name)
            for place, grain in enumerate(batch):
                self._ready[grain.number] = (future, place)

    def _again(self, problem: V2xError) -> None:
        """Before another attempt: the stream is let go, what was passed is remembered."""
        self._close_flow()
        if problem.retry is Retry.NEVER:
            raise problem
        self._failures += 1
        if self._failures >= self._attempts:
            raise problem
        self._sleep(min(_LONGEST_WAIT, 2.0 ** (self._failures - 1)))

    def _restart(self) -> None:
        self._close_flow()
        self._passed, self._kept_from = -1, 0
        self._ready.clear()

    def _close_flow(self) -> None:
        """What was passed stays passed: a stream that is begun again is skipped up to there."""
        flow, self._flow = self._flow, None
        self._coming, self._next, self._ended, self._count = iter(()), None, False, 0
        if flow is not None:
            flow.close()

    def clone(self, begin: Callable[[], Flow] | None = None) -> "FlowingReader":
        """Another reader with the same map; its passes are those of `begin`, if it is given."""
        made = FlowingReader(
            begin or self._begin,
            self.size,
            self.name,
            bound=self._bound,
            told=self._told,
            attempts=self._attempts,
            sleep=self._sleep,
        )
        made._held, made._map, made._grain_bytes = self._held, self._map, self._grain_bytes
        return made

    def close(self) -> None:
        self._restart()
