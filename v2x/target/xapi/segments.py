# SPDX-License-Identifier: Apache-2.0
"""How large a segment should be: large enough that a task's fixed cost is two percent of it, small enough to lose."""

from v2x.model.units import GIB


class SegmentSizer:
    """`size_bytes` is 50 × the overhead of a task × the rate, between two limits, learned from each segment.

    The overhead is whatever a segment took beyond its bytes at the steady rate: attaching the disk on the host, syncing
    it, detaching it, and the round trips. It starts at the lower limit and at most quadruples from one segment to the
    next, so that one odd measurement cannot put hours of work at risk.
    """

    FACTOR = 50
    GROWTH = 4

    def __init__(self, *, least_bytes: int = GIB, most_bytes: int = 64 * GIB) -> None:
        if not 0 < least_bytes <= most_bytes:
            raise ValueError("the least segment size must be positive and at most the largest")
        self.least_bytes, self.most_bytes = least_bytes, most_bytes
        self.size_bytes = least_bytes

    def learn(self, timing: "SegmentTiming") -> None:
        """Takes in how a finished segment went."""
        wanted = int(self.FACTOR * timing.overhead_seconds * timing.rate)
        ceiling = min(self.most_bytes, self.size_bytes * self.GROWTH)
        self.size_bytes = max(self.least_bytes, min(wanted, ceiling))


class SegmentTiming:
    """The course of one segment: `began` before its request, `sent` after each block, `ended` with its task.

    The steady rate is that of the second half of the blocks: a slow attach lets the first ones fill socket buffers and
    then holds the stream up, which is overhead, not rate.
    """

    def __init__(self, began: float) -> None:
        self._began = began
        self._marks: list[tuple[float, int]] = []
        self._ended = began

    def sent(self, at: float, total_bytes: int) -> None:
        """`total_bytes` of the segment were handed to the network by the time `at`."""
        self._marks.append((at, total_bytes))

    def ended(self, at: float) -> None:
        self._ended = at

    @property
    def rate(self) -> float:
        """Bytes per second; 0 where nothing could be measured."""
        if not self._marks:
            return 0.0
        last_at, last_bytes = self._marks[-1]
        middle_at, middle_bytes = self._marks[(len(self._marks) - 1) // 2]
        if last_at > middle_at and last_bytes > middle_bytes:
            return (last_bytes - middle_bytes) / (last_at - middle_at)
        taken = last_at - self._began
        return last_bytes / taken if taken > 0 else 0.0

    @property
    def overhead_seconds(self) -> float:
        if not self._marks or self.rate <= 0:
            return 0.0
        return max(0.0, self._ended - self._began - self._marks[-1][1] / self.rate)
