# SPDX-License-Identifier: Apache-2.0
"""The screen of `v2x batch watch`: whole at 80×24, readable without colour, and the same with thousands of machines."""

import re
from dataclasses import replace

import pytest

from tests.batch_showcase import batch
from v2x.model.migration import Outcome
from v2x.render.layout import columns
from v2x.render.live_text import live_screen

KEYS = "p pause  r resume  t throttle  c cancel  q leave"
ANSI = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize(("width", "height"), [(80, 24), (132, 50), (40, 10), (20, 5)])
@pytest.mark.parametrize("size", [22, 42, 5000])
@pytest.mark.parametrize("colour", [False, True])
def test_it_fills_the_screen_and_never_passes_its_edges(width, height, size, colour):
    lines = live_screen(batch(size), width=width, height=height, colour=colour, said="paused", keys=KEYS)
    assert len(lines) == max(height, 10)
    plain = [ANSI.sub("", line) for line in lines]
    assert max(map(columns, plain)) <= max(width, 40)
    assert plain[-1].startswith("p pause  r resume"), "the keys stand in the last line"
    assert plain[-2] == "paused"


def test_without_colour_there_is_no_escape():
    assert not any("\x1b" in line for line in live_screen(batch(), width=80, height=24, keys=KEYS))


def test_totals_rates_and_times_are_told_in_words():
    text = "\n".join(live_screen(batch(), width=120, height=40, keys=KEYS))
    assert "Batch 5c1f0a9e77d2: running" in text and "2026-05-09 22:41 UTC" in text
    assert "15 migrated, 1 failed, 6 running, 20 waiting" in text
    assert re.search(r"\[#+\.+\] \d+% [\d.]+ TiB of [\d.]+ TiB, [\d.]+ MiB/s, \d+ h \d+ min left", text)
    assert "now: 1 sync, 1 convert, 3 copy, 1 verify; limited to 500 MiB/s" in text
    (web,) = [line for line in text.splitlines() if line.startswith("ldap02")]
    assert "[#######...]  72% copy scsi0:0" in web and "112.5 MiB/s" in web and "left" in web


def test_what_runs_stands_first_then_what_failed_however_many_there_are():
    lines = live_screen(batch(5000), width=80, height=24, keys=KEYS)
    body = lines[5:]
    assert [line.split()[0] for line in body[:7]] == [
        "ldap02",
        "build02",
        "wiki02",
        "backup02",
        "web03",
        "db03",
        "build01",
    ]
    assert "failed" in body[6] and "no room" in body[6]
    assert any(re.search(r"… and \d,?\d+ machines more: \d+ waiting, 15 ended", line) for line in lines)


def test_the_last_warnings_are_told_and_an_alarm_before_them():
    found = batch()
    alarmed = replace(found.rows[0].migration, alarm="its source runs again")
    found = replace(found, rows=(replace(found.rows[0], migration=alarmed), *found.rows[1:]))
    lines = live_screen(found, width=100, height=30, keys=KEYS)
    warned = [line for line in lines if line.startswith("! ")]
    assert warned[0] == "! ALARM: web01: its source runs again"
    assert warned[-1].startswith("! build02: the datastore ssd-2 has 11 % free")


def test_a_rate_and_the_time_left_stay_on_a_narrow_screen():
    lines = live_screen(batch(), width=60, height=24, keys=KEYS)
    (line,) = [line for line in lines if line.startswith("ldap02")]
    assert line.endswith(" left") and "112.5 MiB/s" in line


def test_names_from_outside_cannot_write_to_the_terminal():
    found = batch()
    evil = replace(found.rows[16].migration, machine_name="\x1b[2Jx", warnings=("\x1b]0;title\x07",))
    found = replace(found, rows=(*found.rows[:16], replace(found.rows[16], migration=evil), *found.rows[17:]))
    assert not any("\x1b" in line or "\x07" in line for line in live_screen(found, width=80, height=24, keys=KEYS))


def test_nothing_runs_and_all_is_through():
    found = batch(22)
    done = tuple(
        replace(row, state="ended", disk=None, migration=replace(row.migration, outcome=Outcome.MIGRATED, warnings=()))
        for row in found.rows
    )
    lines = live_screen(replace(found, rows=done, workers=()), width=80, height=24, keys=KEYS)
    assert lines[0].startswith("Batch 5c1f0a9e77d2: ended") and "now: nothing" in lines[3]
    assert "100%" in lines[2]
