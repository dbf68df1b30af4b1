# SPDX-License-Identifier: Apache-2.0
"""Sends a disk's blocks in segments, each one task, and keeps the high-water mark on the VDI.

A segment is one stream with the next blocks to write. After its task has succeeded the mark goes up to the first block
that is still to come. Whatever breaks a segment is looked up in its task; SegmentLost then says from where to go on.
"""

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from v2x.disks.interface import Buffer
from v2x.disks.stream.feed import BLOCK_BYTES
from v2x.errors import ConnectError, NoSpace, Retry, TargetError, V2xError
from v2x.target.interface import SegmentLost
from v2x.target.xapi import tasks, vdi
from v2x.target.xapi.client import Client
from v2x.target.xapi.failures import BUSY, error_from
from v2x.target.xapi.listing import number
from v2x.target.xapi.routes import Routes
from v2x.target.xapi.segments import SegmentSizer, SegmentTiming
from v2x.target.xapi.streams import CarriesParts, Piece, Stream, TellsBlanks
from v2x.target.xapi.transfer import Transfer, open_transfer

_PROGRESS_SECONDS = 60.0
_NO_ROOM = re.compile(r"no space|ENOSPC", re.IGNORECASE)
# A broken upload whose cause is none of these may be sent again: the pool tells every I/O trouble by one code.
_TRANSIENT = BUSY | {"VDI_IO_ERROR", "TASK_CANCELLED", "INTERNAL_ERROR", "HOST_OFFLINE", "SESSION_INVALID"}


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadSettings:
    """Times in seconds: `stall` for one wait of the socket, `settle` for a task without progress after its last byte,
    `release` for a VDI to be let go, `lost` for the verdict on a broken upload. A task that is `old` gets a `pulse`."""

    stall: float = 300.0
    settle: float = 1800.0
    release: float = 120.0
    lost: float = 60.0
    old: float = 20 * 3600.0
    pulse: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadTarget:
    """The VDI: references, its size as read back, and the name that messages use."""

    vdi: str
    uuid: str
    sr: str
    size_bytes: int
    name: str


class SegmentWriter:
    """The DiskWriter of a pool. `owned` is asked before each mark and raises Conflict when another run took over."""

    def __init__(
        self,
        client: Client,
        routes: Routes,
        target: UploadTarget,
        blocks: Sequence[int],
        point: str,
        *,
        make_stream: Callable[[int, Sequence[int]], Stream],
        sizer: SegmentSizer | None,
        owned: Callable[[], None],
        mark_bytes: int = 0,
        settings: UploadSettings | None = None,
    ) -> None:
        if not point:
            raise ValueError("a disk's content needs a point in time")
        self._client, self._routes, self._target = client, routes, target
        self._blocks, self._point = blocks, point
        self._make_stream, self._sizer, self._owned = make_stream, sizer, owned
        self._settings = settings or UploadSettings()
        self._mark_bytes = mark_bytes
        self._next = 0
        self._segment: _Segment | None = None
        self._begun = self._done = False
        self._sent_bytes = self._segments = 0
        self._tasks: list[str] = []

    @property
    def block(self) -> int:
        return BLOCK_BYTES

    @property
    def sent_bytes(self) -> int:
        return self._sent_bytes

    @property
    def segments(self) -> int:
        return self._segments

    @property
    def task_references(self) -> Sequence[str]:
        return tuple(self._tasks)

    def write(self, number: int, data: Buffer) -> None:
        self._sent_bytes += self._put(number, data, blank=False)

    def leave_out(self, number: int, data: Buffer) -> None:
        """The block's zeros travel, since it was announced; a format that can say so has the pool not write them."""
        self._put(number, data, blank=True)

    def _put(self, number: int, data: Buffer, *, blank: bool) -> int:
        """How much of the block's content was sent."""
        if self._next >= len(self._blocks) or self._blocks[self._next] != number:
            raise ValueError(f"block {number} was not announced, or comes out of order")
        if len(data) != BLOCK_BYTES and (len(data) > BLOCK_BYTES or self._next + 1 < len(self._blocks)):
            raise ValueError(f"block {number} has {len(data)} bytes, and only the last one may be short")
        try:
            segment = self._segment or self._open()
            segment.send_block(number, data, blank=blank)
        except ConnectError as problem:
            raise self._lost(problem) from None
        self._next += 1
        carried = segment.content_bytes(number, len(data))
        if segment.is_full:
            self._close(segment)
        return carried

    def commit(self) -> int:
        if self._next < len(self._blocks):
            raise ValueError(f"{len(self._blocks) - self._next} announced blocks were not written")
        if not self._done:
            self._begin()
            if self._sizer is None and self._segments == 0 and self._mark_bytes == 0:
                # A format that carries the whole disk writes its zeros too, even when no block was announced.
                self._close(self._open())
            self._raise_mark(self._target.size_bytes)
            self._done = True
        return self._target.size_bytes

    def abort(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.end()
            with contextlib.suppress(V2xError):
                tasks.wait(self._client, segment.task, patience_seconds=10.0)
            tasks.forget(self._client, segment.task)

    def _begin(self) -> None:
        if not self._begun:
            self._owned()
            vdi.begin(self._client, self._target.vdi, self._point)
            self._begun = True

    def _open(self) -> "_Segment":
        self._begin()
        if not vdi.wait_released(self._client, self._target.vdi, self._settings.release):
            raise TargetError(
                f"{self._target.name} is still attached on the pool",
                hint="if no other import runs, restart the toolstack of the host that holds it (xe-toolstack-restart)",
            )
        count = len(self._blocks) - self._next
        if self._sizer is not None:
            count = min(count, max(1, self._sizer.size_bytes // BLOCK_BYTES))
        planned = self._blocks[self._next : self._next + count]
        stream = self._make_stream(self._target.size_bytes, planned)
        timing = SegmentTiming(self._client.now())
        task = tasks.create(self._client, f"v2x: {self._target.name}")
        try:
            transfer = self._request(task, stream)
        except BaseException:
            tasks.forget(self._client, task)
            raise
        self._segment = _Segment(
            self._client, task, transfer, stream, blocks=len(planned), timing=timing, settings=self._settings
        )
        self._segment.send_head()
        return self._segment

    def _request(self, task: str, stream: Stream) -> Transfer:
        """The upload's 200. A host that cannot be reached is waited for; nothing was sent yet."""
        began, pause = self._client.now(), 0.2
        while True:
            try:
                return open_transfer(
                    self._client,
                    self._routes,
                    self._routes.for_sr(self._target.sr),
                    method="PUT",
                    path="/import_raw_vdi",
                    query={"task_id": task, "vdi": self._target.uuid, **stream.query},
                    content_length=stream.content_length,
                    timeout=self._settings.stall,
                )
            except (ConnectError, TargetError) as problem:
                waited = self._client.now() - began + pause
                if problem.retry is not Retry.LATER or waited > self._client.patience_seconds:
                    raise
            self._client.sleep(pause)
            pause = min(pause * 2, 5.0)

    def _close(self, segment: "_Segment") -> None:
        """Ends the stream, waits for the pool's verdict, raises the mark."""
        try:
            segment.send_foot()
            found = tasks.wait(self._client, segment.task, patience_seconds=self._settings.settle)
        except ConnectError as problem:
            # Everything may have been sent and only the way of hearing about it be broken.
            found = self._verdict(segment, problem)
            if found.status != tasks.SUCCESS:
                raise self._failed(segment, found, problem) from None
        if found.status != tasks.SUCCESS:
            raise self._failed(segment, found, None)
        self._segment = None
        segment.end()
        tasks.forget(self._client, segment.task)
        segment.timing.ended(self._client.now())
        if self._sizer is not None:
            self._sizer.learn(segment.timing)
        self._segments += 1
        self._tasks.append(segment.task)
        following = self._blocks[self._next] * BLOCK_BYTES if self._next < len(self._blocks) else None
        if following is not None:
            self._raise_mark(following)

    def _raise_mark(self, mark_bytes: int) -> None:
        self._owned()
        vdi.set_mark(self._client, self._target.vdi, mark_bytes)
        self._mark_bytes = mark_bytes

    def _lost(self, problem: V2xError) -> V2xError:
        """The error for a connection that broke: the task knows the cause, or will fail for lack of data."""
        segment = self._segment
        if segment is None:
            return self._segment_lost(problem.message)
        try:
            found = self._verdict(segment, problem)
        except V2xError as silence:
            return silence
        return self._failed(segment, found, problem)

    def _verdict(self, segment: "_Segment", problem: V2xError) -> tasks.TaskState:
        """What the task says after the connection broke; SegmentLost where the pool says nothing at all."""
        segment.end()
        try:
            return tasks.wait(self._client, segment.task, patience_seconds=self._settings.lost)
        except V2xError as silence:
            raise self._segment_lost(f"{problem.message}; then {silence.message}") from None

    def _failed(self, segment: "_Segment", found: tasks.TaskState, problem: V2xError | None) -> V2xError:
        self._segment = None
        segment.end()
        tasks.forget(self._client, segment.task)
        cause = problem.message if problem else f"its task is {found.status}"
        if found.error:
            refusal = error_from(list(found.error), f"writing {self._target.name}")
            if found.error[0] not in _TRANSIENT:
                return refusal
            cause = refusal.message
            if _NO_ROOM.search(" ".join(found.error[1:])):
                return self._no_space(segment) or self._full(f"of {self._target.name}", "its host says so")
        return self._no_space(segment) or self._segment_lost(cause)

    def _segment_lost(self, cause: str) -> SegmentLost:
        return SegmentLost(f"an upload of {self._target.name} broke: {cause}", mark_bytes=self._mark_bytes)

    def _no_space(self, segment: "_Segment") -> NoSpace | None:
        """On thin storage a full SR looks like any other I/O error; the SR's own figures tell."""
        with contextlib.suppress(V2xError):
            self._client.call("SR.scan", self._target.sr)
        try:
            record = self._client.call("SR.get_record", self._target.sr)
        except V2xError:
            return None
        size, used = number(record.get("physical_size")), number(record.get("physical_utilisation"))
        if size <= 0 or size - used >= max(segment.left_bytes, 2 * BLOCK_BYTES):
            return None
        return self._full(str(record.get("name_label")), f"{max(0, size - used):,} bytes left")

    def _full(self, where: str, why: str) -> NoSpace:
        return NoSpace(
            f"storage repository {where} is full: {why}, {self._target.name} needs more",
            hint="free space on it and run again: what was sent stays",
        )


class _Segment:
    """One upload under way."""

    def __init__(
        self,
        client: Client,
        task: str,
        transfer: Transfer,
        stream: Stream,
        *,
        blocks: int,
        timing: SegmentTiming,
        settings: UploadSettings,
    ) -> None:
        self._client = client
        self.task, self.transfer, self.timing = task, transfer, timing
        self._stream, self._left = stream, blocks
        self._sent_bytes = 0
        self._told = client.now()
        self._pulse = tasks.Pulse(
            client, task, lambda: self.share, after_seconds=settings.old, every_seconds=settings.pulse
        )

    def end(self) -> None:
        """Closes the connection; safe to call twice."""
        self._pulse.end()
        self.transfer.close()

    @property
    def share(self) -> float:
        """How much of the stream was sent, from 0 to 1."""
        return self._sent_bytes / self._stream.content_length

    @property
    def is_full(self) -> bool:
        return self._left == 0

    @property
    def left_bytes(self) -> int:
        return max(0, self._stream.content_length - self._sent_bytes)

    def _send(self, pieces: Iterator[Piece]) -> None:
        for piece in pieces:
            self.transfer.send(piece)
            self._sent_bytes += len(piece)

    def send_head(self) -> None:
        self._send(self._stream.head())

    def send_block(self, number: int, data: Buffer, *, blank: bool) -> None:
        stream = self._stream
        told = stream.blank if blank and isinstance(stream, TellsBlanks) else stream.block
        self._send(told(number, data))
        self._left -= 1
        now = self._client.now()
        self.timing.sent(now, self._sent_bytes)
        if now - self._told > _PROGRESS_SECONDS:
            self._told = now
            tasks.report_progress(self._client, self.task, self.share)

    def content_bytes(self, number: int, length: int) -> int:
        return self._stream.content_bytes(number) if isinstance(self._stream, CarriesParts) else length

    def send_foot(self) -> None:
        self._send(self._stream.foot())
        if self._sent_bytes != self._stream.content_length:
            raise ValueError(f"a stream of {self._sent_bytes} bytes was announced as {self._stream.content_length}")
