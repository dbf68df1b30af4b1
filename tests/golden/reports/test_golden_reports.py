# SPDX-License-Identifier: Apache-2.0
"""The same inputs give the same bytes, in every format, today and after a change."""

import json
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NAMES = [
    "assessment.txt",
    "assessment.json",
    "assessment.csv",
    "assessment.html",
    "report.txt",
    "report.json",
    "report.html",
]


@pytest.fixture(scope="module")
def documents(recipe):
    return recipe.documents()


@pytest.mark.parametrize("name", NAMES)
def test_a_report_is_byte_for_byte_the_golden_one(documents, name):
    assert documents[name] == (HERE / name).read_bytes(), (
        "if meant: python tests/golden/reports/recipe.py, then read it"
    )


def test_every_golden_file_is_made_by_the_recipe(documents):
    kept = {path.name for path in HERE.iterdir() if path.suffix in (".txt", ".json", ".csv", ".html")}
    assert kept == set(documents) == set(NAMES)


def test_two_runs_give_the_same_bytes(recipe, documents):
    assert recipe.documents() == documents


def test_the_estate_shows_every_verdict_and_severity(documents):
    found = json.loads(documents["assessment.json"])
    assert {one["verdict"] for one in found["machines"]} == {"ready", "warnings", "blocked", "unknown"}
    assert {one["severity"] for one in found["findings"]} == {"blocker", "warning", "info", "unknown"}
    assert found["forecast"]["waves"]
