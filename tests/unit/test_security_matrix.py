# SPDX-License-Identifier: Apache-2.0
"""docs/security.md names the tests of each threat: they are there, and no hostile test is of no threat."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOSTILE = ROOT / "tests" / "hostile"
THREATS = 20
_ROW = re.compile(r"^\| (\d+) \| (.+?) \| (.+) \| (.+?) \|$", re.MULTILINE)
_ID = re.compile(r"`((?:tests/)?[\w/]+\.py)::(test_\w+)`")


def rows() -> dict[int, tuple[str, str, list[tuple[Path, str]]]]:
    """Threat, what is tried and its tests (file, function), by number."""
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    part = text.partition("## Threats, and the tests that stand against them")[2].partition("\n## ")[0]
    return {
        int(number): (threat, tried, [(place(file), name) for file, name in _ID.findall(tests)])
        for number, threat, tried, tests in _ROW.findall(part)
    }


def place(file: str) -> Path:
    return ROOT / file if file.startswith("tests/") else HOSTILE / file


def functions_in(file: Path) -> set[str]:
    """Names of the test functions that stand in a file."""
    return {
        node.name for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }  # fmt: skip


def test_every_threat_has_its_row() -> None:
    assert list(rows()) == list(range(1, THREATS + 1))


@pytest.mark.parametrize("number", range(1, THREATS + 1))
def test_every_row_names_tests_that_are_there(number: int) -> None:
    threat, tried, named = rows()[number]
    assert threat and tried
    assert len(named) >= 2, f"row {number} is proved by too little"
    for file, name in named:
        assert file.is_file(), file
        assert name in functions_in(file), f"{file.name} has no {name}"


def test_every_hostile_file_is_in_a_row() -> None:
    named = {file for _, _, tests in rows().values() for file, _ in tests}
    own = {path for path in HOSTILE.glob("test_*.py") if path.name != "test_watch.py"}
    assert own <= named, sorted(path.name for path in own - named)


def test_a_row_without_its_test_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.functions_in", lambda _: set())
    with pytest.raises(AssertionError, match="has no"):
        test_every_row_names_tests_that_are_there(1)
