# SPDX-License-Identifier: Apache-2.0
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from v2x.cli.limits import parsed_limit
from v2x.engine.rates import rate_at
from v2x.errors import UsageError

PARIS = ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("rate=200M", str(200 * 2**20)),
        ("rate=0", "0"),
        ("rate=", ""),
        ("rate=50M@8:00-18:00, 200M", f"{50 * 2**20}@08:00-18:00,{200 * 2**20}"),
        ("total=4", "4"),
        ("source-host:esx1=02", "2"),
        ("sr=", ""),
    ],
)
def test_limits_as_people_write_them(text, stored):
    key, _, _ = text.partition("=")
    assert parsed_limit(text) == (key, stored)


@pytest.mark.parametrize("text", ["rate", "rate=fast", "rate=5M@8-18", "rate=5M@25:00-26:00", "total=many", "total=-1"])
def test_limits_that_are_none(text):
    with pytest.raises(UsageError):
        parsed_limit(text)


@pytest.mark.parametrize(("clock", "rate"), [("07:59", 9), ("08:00", 5), ("17:59", 5), ("18:00", 9)])
def test_the_first_window_that_holds_the_moment_wins(clock, rate):
    hours, minutes = map(int, clock.split(":"))
    moment = datetime(2026, 7, 1, hours, minutes, tzinfo=PARIS)
    assert rate_at("5@08:00-18:00,9", moment) == rate


@pytest.mark.parametrize(("hours", "rate"), [(23, 3), (0, 3), (5, 3), (6, 0), (12, 0)])
def test_a_window_over_midnight_and_no_limit_outside(hours, rate):
    assert rate_at("3@22:00-06:00", datetime(2026, 7, 1, hours, tzinfo=PARIS)) == rate


def test_the_wall_clock_counts_over_a_change_of_summer_time():
    before, after = datetime(2026, 10, 24, 8, 30, tzinfo=PARIS), datetime(2026, 10, 26, 8, 30, tzinfo=PARIS)
    assert before.utcoffset() != after.utcoffset()
    assert rate_at("3@08:00-09:00", before) == rate_at("3@08:00-09:00", after) == 3
