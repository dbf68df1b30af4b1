# SPDX-License-Identifier: Apache-2.0
"""Times, durations and rates in words."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from v2x.render.words import show_duration, show_rate, show_time


def test_times_are_shown_in_utc():
    assert show_time(datetime(2026, 1, 2, 3, 4, tzinfo=UTC)) == "2026-01-02 03:04 UTC"
    assert show_time(datetime(2026, 1, 2, 3, 4, tzinfo=timezone(timedelta(hours=2)))) == "2026-01-02 01:04 UTC"
    assert show_time(None) == ""


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (12, "12 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7620, "2 h 07 min"),
        (-1, "0.0 s"),
    ],
)
def test_durations_get_coarser_as_they_grow(seconds, shown):
    assert show_duration(seconds) == shown


def test_no_rate_without_time_or_bytes():
    assert show_rate(1024 * 1024, 2) == "512 KiB/s"
    assert show_rate(0, 2) == ""
    assert show_rate(1, 0) == ""
