# SPDX-License-Identifier: Apache-2.0
"""The segment size follows the measured overhead and rate, within limits."""

import pytest

from v2x.model.units import GIB, MIB
from v2x.target.xapi.segments import SegmentSizer, SegmentTiming

RATE = 100 * MIB


def segment(total_bytes: int, *, attach: float, finish: float = 0.0, rate: int = RATE) -> SegmentTiming:
    """A segment whose first 4 MiB disappear into buffers at once, after which the host takes `rate` per second."""
    timing = SegmentTiming(1000.0)
    at = 1000.0
    for sent in range(2 * MIB, total_bytes + 1, 2 * MIB):
        if sent > 4 * MIB:
            at = 1000.0 + attach + (sent - 4 * MIB) / rate
        timing.sent(at, sent)
    timing.ended(at + finish)
    return timing


@pytest.mark.parametrize("delay", [2.0, 10.0])
def test_size_is_fifty_times_overhead_times_rate(delay: float) -> None:
    sizer = SegmentSizer()
    for _ in range(5):
        sizer.learn(segment(min(sizer.size_bytes, 2 * GIB), attach=delay * 0.8, finish=delay * 0.2))
    assert sizer.size_bytes == pytest.approx(50 * delay * RATE, rel=0.05)


def test_no_overhead_keeps_the_least_size() -> None:
    sizer = SegmentSizer()
    sizer.learn(segment(GIB, attach=0.0))
    assert sizer.size_bytes == GIB


def test_size_stays_within_limits_and_grows_by_steps() -> None:
    sizer = SegmentSizer(least_bytes=GIB, most_bytes=64 * GIB)
    sizes = []
    for _ in range(5):
        sizer.learn(segment(GIB, attach=1000.0))
        sizes.append(sizer.size_bytes // GIB)
    assert sizes == [4, 16, 64, 64, 64]
    sizer.learn(segment(GIB, attach=0.0))
    assert sizer.size_bytes == GIB


def test_attach_delay_counts_as_overhead_not_as_rate() -> None:
    timing = segment(GIB, attach=10.0)
    assert timing.rate == pytest.approx(RATE, rel=0.01)
    assert timing.overhead_seconds == pytest.approx(10.0, abs=0.1)


def test_nothing_sent_teaches_nothing() -> None:
    timing = SegmentTiming(5.0)
    timing.ended(9.0)
    assert (timing.rate, timing.overhead_seconds) == (0.0, 0.0)
    sizer = SegmentSizer(least_bytes=2 * MIB)
    sizer.learn(timing)
    assert sizer.size_bytes == 2 * MIB


def test_impossible_limits_are_refused() -> None:
    with pytest.raises(ValueError, match="least"):
        SegmentSizer(least_bytes=2, most_bytes=1)
