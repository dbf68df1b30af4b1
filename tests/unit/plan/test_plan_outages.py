# SPDX-License-Identifier: Apache-2.0
"""Windows that are too short for what their rows are foretold to need, and what differs between two plans."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from v2x.cli.pages import page
from v2x.model.downtime import show_downtime
from v2x.model.finding import Severity
from v2x.model.forecast import Pace
from v2x.model.migration import VerifyLevel
from v2x.model.plan import Running, Transfer
from v2x.model.units import GIB, MIB
from v2x.plan.check import check_plan
from v2x.plan.outages import short_windows
from v2x.plan.revision import revisions

NOW = datetime(2026, 3, 27, 12, tzinfo=UTC)
SLOW = Pace(bytes_per_second=10 * MIB, origin="as measured")


@pytest.fixture
def short(make_row, make_machine):
    """The findings of one row over a machine of 60 GiB, which takes 102 minutes at 10 MiB/s in one direction."""

    def found(window, machine=None, pace=SLOW, now=NOW, **changes):
        row = make_row(1, window=window, **{"verify": VerifyLevel.FULL, **changes})
        return [one.text for one in short_windows([row], {("files", "uuid-1"): machine or make_machine()}, pace, now)]

    return found


def test_a_window_that_is_too_short_is_told(short):
    (text,) = short("daily 20:00-22:00 UTC")
    assert text == (
        "'daily 20:00-22:00 UTC' is open for 120 minutes at most; 3.5 hours are foretold with the time to roll back, "
        "120 GiB to copy or read back at 10 MiB/s, as measured"
    )
    assert short("daily 20:00-00:00 UTC") == []
    assert short("daily 20:00-22:00 UTC", verify=VerifyLevel.SAMPLE) == []
    assert short("daily 20:00-22:00 UTC", verify=VerifyLevel.NONE) == []
    assert short("daily 20:00-22:00 UTC", pace=replace(SLOW, bytes_per_second=GIB)) == []
    assert short("daily 20:00-21:55 UTC", transfer=Transfer.WARM) != [], "all of it is read back in the outage"
    assert short("daily 20:00-22:00 UTC", transfer=Transfer.WARM) == []


def test_the_shutdown_counts_where_there_is_one(short):
    assert short("daily 20:00-23:32 UTC") == []
    assert short("daily 20:00-23:32 UTC", running=Running.SHUTDOWN) != []


def test_the_night_that_loses_an_hour_is_an_hour_shorter(short):
    only = "2026-03-29 00:00-04:00 Europe/Paris"
    (text,) = short(only)
    assert "is open for 3.0 hours at most" in text
    assert short("2026-03-29 00:00-04:00 UTC") == []
    assert short("Sun 00:00-04:00 Europe/Paris") == [], "the next Sunday is long enough"


@pytest.mark.parametrize("window", ["", "2020-01-01 1:00-2:00 UTC", "no window at all"])
def test_what_is_no_window_or_never_comes_is_told_elsewhere(short, window):
    assert short(window) == []


def test_the_check_of_a_plan_warns(tables, facts, make_plan, make_row):
    row = make_row(
        1, verify=VerifyLevel.FULL, window="daily 20:00-22:00 UTC", storage={"*": "SAN; tier=1"}, networks={"0": "LAN"}
    )
    found = check_plan(make_plan(row), {"pool": facts}, tables, now=NOW, pace=SLOW)
    (short,) = [one for one in found if one.rule == "plan.window-short"]
    assert (short.severity, short.machine_name) == (Severity.WARNING, "web01")
    assert "warm" in page("plan.window-short").text
    assert page("PLAN.SPACE").title == "a rule of v2x plan check, blocker"


def test_durations_in_words():
    assert [show_downtime(seconds) for seconds in (1, 90, 3600, 179 * 60, 12600)] == [
        "1 minute", "2 minutes", "60 minutes", "179 minutes", "3.5 hours",
    ]  # fmt: skip


def test_what_differs_between_two_plans_row_by_row(make_row):
    before = [make_row(1, storage={"*": "A"}), make_row(2), make_row(3), make_row(4, comment="x", approved_by="")]
    now = [
        make_row(1, storage={"*": "B"}, wave=1, window="daily 1:00-2:00 UTC"), make_row(2, exclude=True),
        make_row(4, comment="y", approved_by="Ada"), make_row(5), make_row(6, wave=2),
    ]  # fmt: skip
    assert revisions(before, now) == (
        "web01: storage *=A → *=B; window (empty) → daily 1:00-2:00 UTC",
        "web02: left out now",
        "web03: left out now",
        "web05: new",
    )
    assert revisions(before, before) == ()
