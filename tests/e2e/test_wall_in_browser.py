# SPDX-License-Identifier: Apache-2.0
"""`v2x batch serve` in Debian's chromium, and what it refuses."""

import http.client
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.batch_showcase import batch
from tests.browser import Browser
from v2x.cli.wall_server import WallServer
from v2x.model.batch import BatchStatus, DiskProgress, RowStatus
from v2x.model.migration import Failure, Migration, Outcome, Phase
from v2x.render.wall import wall_words

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
GIB = 1 << 30
TOKEN = "a-token-of-the-test"
EVIL = "<img src=x onerror=alert(1)>\x1b[31m"


def row(number, name, state, outcome, **more):
    migration = Migration(
        id=f"t{number}", machine_id=f"m{number}", machine_name=name, target_name=name, source="vc", target="pool",
        phase=more.pop("phase", Phase.COPY), outcome=outcome, started=NOW, **more.pop("migration", {}),
    )  # fmt: skip
    return RowStatus(migration=migration, state=state, wave=1, turn=0, attempt=1, size_bytes=4 * GIB, **more)


def status(copied=GIB):
    disk = DiskProgress(label="scsi0:0", activity="copy", done_bytes=copied, total_bytes=4 * GIB, rate_bytes=100e6)
    failure = Failure(code="NO-SPACE", message=f"the SR is full {EVIL}", hint="", exit_code=4)
    return BatchStatus(
        id="0123456789ab", plan_id="0" * 64, plan_path="/srv/plan.csv", created=NOW, taken_at=NOW, paused=False,
        workers=("w",), limits={}, used={},
        rows=(
            row(1, EVIL, "running", Outcome.PENDING, copied_bytes=copied, disk=disk,
                migration={"warnings": (f"slow {EVIL}",)}),
            row(2, "db01", "waiting", Outcome.PENDING, waits_for="a free slot of sr:NFS"),
            row(3, "old01", "ended", Outcome.FAILED, migration={"failure": failure}),
            row(4, "web02", "ended", Outcome.MIGRATED),
        ),
    )  # fmt: skip


@pytest.fixture
def told():
    """What the server is asked for; the test changes it."""
    return {"status": status()}


@pytest.fixture
def served(told):
    with WallServer("127.0.0.1", 0, TOKEN, lambda: wall_words(told["status"]), seconds=0.05) as server:
        yield server


@pytest.fixture
def browser(tmp_path):
    found = Browser(tmp_path / "profile")
    found.screen(1280, 900)
    yield found
    found.close()


def until(browser, expression, seconds=20):
    end = time.monotonic() + seconds
    while not browser.run(expression):
        assert time.monotonic() < end, browser.run("document.body.innerText")
        time.sleep(0.1)


def test_it_shows_what_goes_on_and_follows_it(browser, served, told):
    browser.visit(f"http://127.0.0.1:{served.port}/#{TOKEN}")
    until(browser, "document.querySelectorAll('#rows tr').length === 4")
    text = browser.run("document.body.innerText")
    assert "Batch 0123456789ab: running" in text
    assert "copy scsi0:0" in text and "25%" in text and "waits for a free slot of sr:NFS" in text
    assert "the SR is full <img src=x onerror=alert(1)>\\x1b[31m [NO-SPACE]" in text, "as text, escapes made visible"
    assert browser.run("document.querySelectorAll('#rows img, #warnings img').length") == 0
    first = browser.run("document.querySelector('#rows progress').value")
    told["status"] = replace(status(2 * GIB), paused=True)
    until(browser, "document.querySelector('#title').textContent.endsWith('paused')")
    assert browser.run("document.querySelector('#rows progress').value") > first
    assert browser.complaints == []
    assert {url.split("?")[0].split("#")[0] for url in browser.requests} <= {
        f"http://127.0.0.1:{served.port}/", f"http://127.0.0.1:{served.port}/events"
    }  # fmt: skip


def test_it_is_read_from_across_the_room(browser, served, told, tmp_path):
    """Totals, rate, time left, phases and warnings; the picture of it is that of the documentation.

    V2X_PICTURES names the folder that is to have it.
    """
    told["status"] = batch()
    browser.screen(1600, 1000)
    browser.visit(f"http://127.0.0.1:{served.port}/#{TOKEN}")
    until(browser, "document.querySelectorAll('#rows tr').length === 42")
    for number in range(12):  # the course of the rate is drawn from look to look
        rows = told["status"].rows
        faster = replace(rows[16].disk, rate_bytes=(90 + 7 * (number % 5)) * 1e6)
        told["status"] = replace(told["status"], rows=(*rows[:16], replace(rows[16], disk=faster), *rows[17:]))
        time.sleep(0.12)
    figures = browser.run(
        "['percent','total','rate','left','through','limit'].map(i => $(i)).join('|')".replace(
            "$(i)", "document.getElementById(i).textContent"
        )
    )
    percent, total, rate, left, through, limit = figures.split("|")
    assert percent == "39 %" and total.endswith("of 8.493 TiB") and rate.endswith("MiB/s") and " h " in left
    assert (through, limit) == ("15 of 42", "limited to 500 MiB/s")
    assert browser.run("document.querySelector('#phases').textContent") == "1 sync · 1 convert · 3 copy · 1 verify"
    assert "11 % free" in browser.run("document.querySelector('#warnings').textContent")
    size = browser.run("parseFloat(getComputedStyle(document.querySelector('#percent')).fontSize)")
    assert size >= 40, "pixels: read from across the room"
    assert browser.run("document.querySelector('#line').getAttribute('points').split(' ').length") >= 5
    first = browser.run("document.querySelector('#rows tr').textContent")
    assert first.startswith("ldap02copy72%") and "left" not in first
    for width in (1600, 1024, 420):
        browser.screen(width, 1000)
        assert browser.run("document.documentElement.scrollWidth <= innerWidth")
        wide = "[...document.querySelectorAll('.figure')].filter(one => one.scrollWidth > one.clientWidth).length"
        assert browser.run(wide) == 0, f"figures lie over each other at {width} pixels"
    browser.screen(1600, 1000)
    assert browser.complaints == []
    folder = Path(os.environ.get("V2X_PICTURES", tmp_path))
    (folder / "wall.png").write_bytes(browser.picture())
    assert (folder / "wall.png").stat().st_size > 20_000


def test_it_says_when_the_token_is_missing_or_wrong(browser, served):
    browser.visit(f"http://127.0.0.1:{served.port}/")
    until(browser, "document.querySelector('#link').textContent.includes('lacks its token')")
    browser.visit("about:blank")
    browser.visit(f"http://127.0.0.1:{served.port}/#wrong")
    until(browser, "document.querySelector('#link').textContent.includes('not the right one')")
    assert browser.run("document.querySelectorAll('#rows tr').length") == 0


def ask(port, path, host="", method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    return answer.status, answer.getheader("Content-Type"), connection, answer


@pytest.mark.parametrize(
    ("path", "host", "method", "wanted"),
    [
        ("/events", "", "GET", 403),
        ("/events?token=wrong", "", "GET", 403),
        ("/events?token=%C3%A4", "", "GET", 403),
        (f"/events?token={TOKEN}", "rebound.example.org:80", "GET", 403),
        ("/", "rebound.example.org", "GET", 403),
        ("/../etc/passwd", "", "GET", 404),
        ("/", "", "POST", 501),
    ],
)
def test_it_refuses_what_is_not_meant(served, path, host, method, wanted):
    status_code, _, connection, _ = ask(served.port, path, host, method)
    assert status_code == wanted
    connection.close()


def test_too_many_listeners_are_refused_and_places_become_free(served):
    held = []
    while True:
        code, kind, connection, answer = ask(served.port, f"/events?token={TOKEN}")
        if code != 200:
            assert code == 503
            break
        assert kind.startswith("text/event-stream")
        assert answer.readline().startswith(b"data: {")
        held.append(connection)
        assert len(held) <= 40
    for connection in held:
        connection.sock.close() if connection.sock else None
        connection.close()


def test_the_command_prints_an_address_that_answers(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    empty = subprocess.run(
        [sys.executable, "-m", "v2x", "batch", "serve", "--state", tmp_path / "state"], env=environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert empty.returncode == 2 and "no batch" in empty.stderr


def test_words_are_small_however_many_machines_there_are():
    many = replace(status(), rows=tuple(row(n, f"vm{n:05}", "ended", Outcome.MIGRATED) for n in range(5000)))
    words = wall_words(many)
    assert len(words["rows"]) == 200 and words["more"] == 4800
    assert len(json.dumps(words)) < 60_000
