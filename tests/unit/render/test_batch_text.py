# SPDX-License-Identifier: Apache-2.0
"""What `v2x batch status` says of strain."""

from datetime import UTC, datetime

from v2x.model.batch import BatchStatus, Strain
from v2x.model.codec import from_json, to_json
from v2x.render import batch_text
from v2x.render.wall import wall_words

NOW = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)


def strain(key="sr:pool/0123", **changes):
    values = {
        "name": "Fast", "measured": {"latency": 81.6, "chains": 0.0}, "missing": "", "halvings": 2, "disks": 2,
        "limit": 8, "rate_bytes": 40 << 20, "why": "latency 82 ms above 50 ms", "since": NOW, "looked": NOW,
    }  # fmt: skip
    return Strain(key=key, **{**values, **changes})


def status(*found):
    return BatchStatus(
        id="b1", plan_id="b1b1", plan_path="/plan.csv", created=NOW, taken_at=NOW, paused=False, workers=("w",),
        rows=(), limits={}, used={}, strain=found,
    )  # fmt: skip


def lines(*found):
    return batch_text(status(*found), width=200).decode().splitlines()


def test_what_is_held_back_says_why_and_since_when():
    (held,) = [line for line in lines(strain()) if "held back" in line]
    assert held == (
        "held back since 2026-01-01 12:30 UTC: storage Fast: 2 of 8 disks in flight, 40 MiB/s: "
        "latency 82 ms above 50 ms"
    )


def test_without_a_name_a_limit_or_a_rate():
    (held,) = [line for line in lines(strain("pool-host:pool/h1", name="", limit=0, rate_bytes=0)) if "held" in line]
    assert "host pool/h1: 2 disks in flight: latency" in held


def test_what_is_as_set_is_not_told_and_what_is_not_measured_is():
    assert lines(strain(halvings=0)) == lines()
    (line,) = [one for one in lines(strain(halvings=0, missing="latency: off")) if "measured" in one]
    assert line == "not measured: storage Fast: latency: off"


def test_names_of_the_pool_cannot_write_to_the_terminal_and_lines_fit():
    text = batch_text(status(strain(name="\x1b[2Jx", why="y " * 80)), width=80).decode()
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_page_for_the_wall_tells_it_too():
    words = wall_words(status(strain(), strain("sr:pool/9", halvings=0, missing="latency: off")))
    assert words["warnings"] == [next(line for line in lines(strain()) if "held back" in line)]


def test_it_is_in_the_json_document():
    made = status(strain(), strain("pool-host:pool", measured={"cpu": None}, since=None))
    assert from_json(to_json(made), BatchStatus) == made
