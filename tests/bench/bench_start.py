# SPDX-License-Identifier: Apache-2.0
"""The small commands that people wait for, and the assessment of 10,000 machines."""

import sys

import pytest

from tests.bench.contest import Contender, Contest
from tests.bench.goals import reached
from tests.estate import write_inventory

V2X = (sys.executable, "-m", "v2x")


def timed(name: str, goal: str, step: tuple[str, ...], folder, before=lambda: None) -> None:
    held = Contest(
        name=name,
        base_bytes=1_000_000_000,
        sources=[],
        contenders=[Contender(name="v2x", steps=(step,), before=before)],
        folder=folder,
        codes=frozenset({0, 2}),  # 2: something stands against a migration
    ).held()
    held.note(reached(goal, name, [run.wall_s for run in held.runs["v2x"]]))


def test_help(folder):
    timed("help", "start-help", (*V2X, "--help"), folder)


def test_ten_machines(folder):
    inventory = write_inventory(folder / "ten.json", 10)
    timed("assess-10", "start-assess", (*V2X, "assess", str(inventory)), folder)


@pytest.mark.parametrize("form", ["json", "html"])
def test_ten_thousand_machines(form, folder):
    """The HTML is the whole command: the assessment is a part of its time."""
    inventory = write_inventory(folder / "many.json", 10_000)
    out = folder / f"report.{form}"
    step = (*V2X, "assess", str(inventory), "--format", form, "-o", str(out))
    goal = "assess" if form == "json" else "assess-html"
    timed(f"assess-10000-{form}", goal, step, folder, before=lambda: out.unlink(missing_ok=True))
