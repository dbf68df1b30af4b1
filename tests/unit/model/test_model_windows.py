# SPDX-License-Identifier: Apache-2.0
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from v2x.model.windows import WindowError, parse_window


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def first(text: str, since: str, count: int = 1) -> list[tuple[str, str]]:
    found = islice(parse_window(text).openings(at(since)), count)
    return [(start.strftime("%Y-%m-%d %H:%M"), end.strftime("%Y-%m-%d %H:%M")) for start, end in found]


@pytest.mark.parametrize(
    ("text", "since", "opens"),
    [
        ("Sat Sun 22:00-04:00 Europe/Paris", "2026-01-06", [("2026-01-10 21:00", "2026-01-11 03:00")]),
        ("sat,SUNDAY 22:00 - 04:00 Europe/Paris", "2026-01-06", [("2026-01-10 21:00", "2026-01-11 03:00")]),
        ("Mon-Fri 20:00-24:00 UTC", "2026-01-09T23:59", [("2026-01-09 20:00", "2026-01-10 00:00")]),
        ("Fri-Mon 01:00-02:00 UTC", "2026-01-06", [("2026-01-09 01:00", "2026-01-09 02:00")]),
        ("2026-12-05 20:00-23:30 America/New_York", "2026-01-01", [("2026-12-06 01:00", "2026-12-06 04:30")]),
        ("2026-01-02 20:00-23:00; daily 01:00-02:00 UTC", "2026-01-02T03:00",
         [("2026-01-02 20:00", "2026-01-02 23:00"), ("2026-01-03 01:00", "2026-01-03 02:00")]),
        ("22:00-02:00 UTC", "2026-01-02T01:00", [("2026-01-01 22:00", "2026-01-02 02:00")]),
        ("2025-12-05 20:00-23:30 UTC", "2026-01-01", []),
        # What touches is one opening.
        ("daily 00:00-24:00 UTC except 2026-01-04", "2026-01-03T12:00", [("2026-01-02 00:00", "2026-01-04 00:00")]),
    ],
)  # fmt: skip
def test_when_it_is_open(text, since, opens):
    assert first(text, since, max(1, len(opens))) == opens


def test_blacked_out_days_cut_a_night_in_two():
    text = "daily 22:00-04:00 Europe/Paris except 2026-12-24..2026-12-25, 2027-01-01"
    assert first(text, "2026-12-23T12:00", 2) == [
        ("2026-12-23 21:00", "2026-12-23 23:00"),  # until local midnight of the 24th
        ("2026-12-25 23:00", "2026-12-26 03:00"),  # from local midnight of the 26th on
    ]


@pytest.mark.parametrize(
    ("text", "since", "opens"),
    [
        # Spring: 02:00 to 03:00 of 29 March 2026 do not exist in Paris; a night is an hour shorter.
        ("Sat 22:00-04:00 Europe/Paris", "2026-03-28", ("2026-03-28 21:00", "2026-03-29 02:00")),
        ("2026-03-29 02:30-04:00 Europe/Paris", "2026-03-28", ("2026-03-29 01:00", "2026-03-29 02:00")),
        ("2026-03-29 01:00-02:30 Europe/Paris", "2026-03-28", ("2026-03-29 00:00", "2026-03-29 01:00")),
        # Autumn: 02:00 to 03:00 of 25 October 2026 come twice; a night is an hour longer.
        ("Sat 22:00-04:00 Europe/Paris", "2026-10-24", ("2026-10-24 20:00", "2026-10-25 03:00")),
        ("2026-10-25 02:30-04:00 Europe/Paris", "2026-10-24", ("2026-10-25 01:30", "2026-10-25 03:00")),
        ("2026-10-25 01:00-02:30 Europe/Paris", "2026-10-24", ("2026-10-24 23:00", "2026-10-25 00:30")),
        ("2026-10-25 02:10-02:40 Europe/Paris", "2026-10-24", ("2026-10-25 01:10", "2026-10-25 01:40")),
    ],
)
def test_where_the_clocks_change_the_narrower_reading_counts(text, since, opens):
    assert first(text, since) == [opens]


def test_times_that_are_skipped_do_not_exist():
    assert first("2026-03-29 02:10-02:50 Europe/Paris", "2026-03-28") == []


def test_what_would_end_after_it_closes_does_not_fit():
    window = parse_window("2026-01-02 20:00-21:00 UTC")
    assert window.fits(at("2026-01-02T20:00"), 3600)
    assert not window.fits(at("2026-01-02T20:00:01"), 3600)
    assert not window.fits(at("2026-01-02T19:59"), 1)
    assert not window.fits(at("2026-01-02T21:00"), 0)
    assert window.closes(at("2026-01-02T20:30")) == at("2026-01-02T21:00")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("22:00-04:00", "names no time zone"),
        ("", "names no time zone"),
        ("Sat 22:00-04:00 Sun", "names no time zone"),
        ("Sat 22:00-04:00 Europe/Pariss", "unknown time zone 'Europe/Pariss'"),
        ("Sat 22:00-04:00 ../../etc/passwd", "names no time zone"),
        ("Sat 25:00-04:00 UTC", "'25:00', which is no time of day"),
        ("Sat 22-04 UTC", "no time span"),
        ("Caturday 22:00-04:00 UTC", "'Caturday', which is neither a day"),
        ("2026-02-30 22:00-04:00 UTC", "'2026-02-30', which is no date"),
        ("Sat 22:00-04:00 UTC except Christmas", "'Christmas', which is no date"),
        ("Sat 22:00-04:00 UTC except 2026-12-26..2026-12-24", "ends before it begins"),
    ],
)
def test_what_is_no_window_is_told(text, says):
    with pytest.raises(WindowError, match=says.replace("(", r"\(")):
        parse_window(text)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60) | st.text("0123456789:- ;.SatUTCexcept/", max_size=60))
def test_any_text_is_a_window_or_refused(text):
    """hostile: a cell is read or refused, nothing else."""
    try:
        window = parse_window(text)
    except WindowError:
        return
    next(window.openings(at("2026-01-01")), None)


@settings(max_examples=60, deadline=None)
@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),
    st.integers(0, 23), st.integers(0, 23),
    st.sampled_from(["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]),
)  # fmt: skip
def test_an_open_window_shows_a_local_time_inside_of_it(moment, start, end, zone):
    window = parse_window(f"daily {start:02}:00-{end:02}:00 {zone}")
    closes = window.closes(moment.replace(tzinfo=UTC))
    if closes is None or start == end:
        return
    local = moment.replace(tzinfo=UTC).astimezone(window.zone)
    minutes = local.hour * 60 + local.minute
    inside = start * 60 <= minutes < end * 60 if start < end else minutes >= start * 60 or minutes < end * 60
    assert inside
    assert closes - moment.replace(tzinfo=UTC) <= timedelta(hours=25)


def test_one_that_is_always_open_says_a_week_ahead():
    assert parse_window("daily 00:00-24:00 UTC").fits(at("2026-01-02"), 6 * 86400)
