# SPDX-License-Identifier: Apache-2.0
"""What came after a start, in every form: a failure and an alarm are not to be overlooked."""

import importlib.util
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from v2x.model.batch import BatchStatus, RowStatus
from v2x.model.health import Check, Health, Verdict
from v2x.model.migration import Outcome
from v2x.model.outage import Outage, Part, Span
from v2x.render import batch_text, render_report
from v2x.render.aftercare import health_line, outage_line
from v2x.render.wall import wall_words

_path = Path(__file__).parents[2] / "golden" / "reports" / "recipe.py"
_spec = importlib.util.spec_from_file_location("recipe", _path)
recipe = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(recipe)
NOW = datetime(2026, 5, 4, tzinfo=UTC)


def status(**changes):
    migration = replace(recipe.report(()).migrations[0], **changes)
    row = RowStatus(migration=migration, state="ended", wave=1, turn=0, attempt=1, size_bytes=1)
    return BatchStatus(
        id="b1", plan_id="p", plan_path="plan.csv", created=NOW, taken_at=NOW, paused=False, workers=(), rows=(row,),
        limits={}, used={},
    )  # fmt: skip


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_status_says_it_above_and_at_the_machine(width):
    lines = batch_text(status(), width=width).decode().splitlines()
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    assert "ALARM: 1 migrated machine whose source runs again" in text
    assert "ALARM: 1 migrated machine that failed the health check" in text
    assert "health: FAILED: 1 of 5 checks" in text and "fail: port tcp:445" in text


def test_a_machine_that_is_well_needs_no_capitals():
    well = Health(checks=(Check(name="power", verdict=Verdict.PASS, text="it runs"),), seconds=3.0)
    text = batch_text(status(health=well, alarm="")).decode()
    assert "ALARM" not in text and "health: passed: 1 passed, 0 not checked, after 3.0 s" in text
    silent = Health(checks=(Check(name="power", verdict=Verdict.NOT_CHECKED, text="no answer"),))
    assert health_line(silent).startswith("nothing could be checked")


def test_reports_show_each_part_predicted_beside_real():
    report = recipe.report(())
    text = render_report("text", report).decode()
    assert "guest shutdown: predicted 30 s, was 42 s" in text
    page = render_report("html", report).decode()
    assert "guest shutdown" in page and "as this one was copied" in page and "not checked" in page
    spans = json.loads(render_report("json", report))["migrations"][0]["outage"]["spans"]
    assert [one["part"] for one in spans] == [part.value for part in Part]


def test_an_outage_that_has_not_begun_is_only_foretold():
    assert outage_line(Outage(spans=(Span(part=Part.DELTA, predicted=4.0),))) == "predicted 4.0 s"
    assert outage_line(Outage()) == ""


def test_what_a_guest_says_is_shown_and_not_believed():
    evil = "\x1b[2J<script>"
    check = Check(name="address", verdict=Verdict.FAIL, text=evil, subject=evil)
    report = recipe.report(())
    ill = replace(report.migrations[0], health=Health(checks=(check,)), alarm=evil)
    report = replace(report, migrations=(ill,))
    assert "\x1b" not in render_report("text", report).decode()
    page = render_report("html", report).decode()
    assert "\x1b" not in page and "[2J<script>" not in page
    assert "\x1b" not in batch_text(status(health=ill.health, alarm=evil)).decode()


def test_the_wall_shows_an_alarm_first():
    (row,) = wall_words(status())["rows"]
    assert row["tone"] == "blocker" and row["detail"].startswith("ALARM: its source")
    (row,) = wall_words(status(alarm=""))["rows"]
    assert row["tone"] == "warning" and row["detail"].startswith("health: FAILED") and row["word"] == Outcome.MIGRATED
