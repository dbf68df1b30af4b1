# SPDX-License-Identifier: Apache-2.0
"""The hardware clock at the first start."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from v2x.errors import PlanError
from v2x.mapping.build import build_machine
from v2x.mapping.clock import zone_offset
from v2x.model.machine import Guest, GuestIdKind

WINTER, SUMMER = datetime(2026, 1, 15, tzinfo=UTC), datetime(2026, 7, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "at", "seconds"),
    [
        ("UTC", WINTER, 0),
        ("Europe/Paris", WINTER, 3600),
        ("Europe/Paris", SUMMER, 7200),
        ("America/New_York", WINTER, -18000),
        ("Asia/Kolkata", SUMMER, 19800),
        ("+02:00", WINTER, 7200),
        ("UTC-5", SUMMER, -18000),
        ("+0545", WINTER, 20700),
    ],
)
def test_a_zone_is_so_many_seconds_ahead(zone, at, seconds):
    assert zone_offset(zone, at) == seconds


@pytest.mark.parametrize("zone", ["Nowhere/Land", "+15:00", "+02:99", "../../etc/passwd", "Europe", "\0", "W. Europe"])
def test_what_is_no_zone_is_refused(zone):
    with pytest.raises(PlanError, match="no time zone") as caught:
        zone_offset(zone, WINTER)
    assert "Europe/Paris" in caught.value.hint


@pytest.fixture
def built(facts, tables, make_machine, make_row):
    def build(os_id, *, zone="", attributes=None, at=WINTER):
        guest = Guest(os_id=os_id, os_id_kind=GuestIdKind.VMWARE)
        machine = make_machine(guest=guest, attributes=attributes or {})
        return build_machine(machine, make_row(timezone=zone), replace(facts, taken_at=at), tables)

    return build


def clock_notes(machine):
    return [note for note in machine.notes if note.startswith("Clock")]


def test_windows_keeps_local_time(built):
    made = built("windows2019srv-64", zone="Europe/Paris", at=SUMMER)
    assert made.platform["timeoffset"] == "7200"
    assert clock_notes(made) == ["Clock: Windows keeps local time in it; it starts at UTC+02:00 (Europe/Paris)."]


def test_windows_without_a_zone_starts_at_utc_and_says_so(built):
    made = built("windows2019srv-64")
    assert made.platform["timeoffset"] == "0"
    assert "the time zone is not known" in clock_notes(made)[0]


def test_linux_keeps_utc_without_a_word(built):
    made = built("debian12-64", zone="Europe/Paris")
    assert "timeoffset" not in made.platform
    assert clock_notes(made) == []


@pytest.mark.parametrize("os_id", ["debian12-64", "windows2019srv-64"])
def test_what_the_source_says_of_its_own_clock_counts(built, os_id):
    made = built(os_id, attributes={"vmx.rtc.diffFromUTC": "-28800"})
    assert made.platform["timeoffset"] == "-28800"
    assert "at UTC-08:00" in clock_notes(made)[0]


@pytest.mark.parametrize("told", ["", "abc", "999999", "1e3", "90000"])
def test_a_clock_that_cannot_be_is_not_believed(built, told):
    assert built("windows2019srv-64", attributes={"vmx.rtc.diffFromUTC": told}).platform["timeoffset"] == "0"


def test_the_plan_goes_before_the_source(built):
    made = built("windows2019srv-64", zone="+01:00", attributes={"vmx.rtc.diffFromUTC": "-28800"})
    assert made.platform["timeoffset"] == "3600"
