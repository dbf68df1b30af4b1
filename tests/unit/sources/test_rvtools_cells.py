# SPDX-License-Identifier: Apache-2.0
"""Cells of RVTools as every Windows writes them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from v2x.model.units import MIB
from v2x.sources.rvtools_cells import count, flag, mebibytes, moment, name, number, text


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        (51200.0, 51200.0),
        ("51200", 51200.0),
        ("51,200", 51200.0),
        ("51.200", 51200.0),
        ("51 200", 51200.0),
        ("51\u00a0200", 51200.0),
        ("51\u202f200", 51200.0),
        ("51'200", 51200.0),
        ("1.234.567", 1234567.0),
        ("1,234,567", 1234567.0),
        ("1.234,5", 1234.5),
        ("1,234.5", 1234.5),
        ("102,4", 102.4),
        ("102.4", 102.4),
        ("0,125", 0.125),
        ("12345.678", 12345.678),
        ("-1", -1.0),
        ("1e3", 1000.0),
        ("", None),
        ("VM", None),
        ("12 MB", None),
        ("1,2,3", None),
        ("1,2.3,4", None),
        ("nan", None),
        ("inf", None),
        ("٣", None),
        ("9" * 100, None),
        (True, None),
    ],
)
def test_numbers(cell: Any, value: float | None) -> None:
    assert number({"x": cell}, "x") == value


@pytest.mark.parametrize(
    "cell", [True, 1.0, "True", "TRUE", "Wahr", "Vrai", "Verdadero", "Vero", "Waar", "Истина", "1"]
)
def test_yes(cell: Any) -> None:
    assert flag({"x": cell}, "x") is True


@pytest.mark.parametrize("cell", [False, 0.0, "False", "Falsch", "Faux", "Falso", "Onwaar", "Ложь", "não", "0"])
def test_no(cell: Any) -> None:
    assert flag({"x": cell}, "x") is False


@pytest.mark.parametrize("cell", ["", "VM", "maybe", 2.0, "x" * 10_000, "Wahrscheinlich"])
def test_neither_yes_nor_no_is_unknown(cell: Any) -> None:
    assert flag({"x": cell}, "x") is None
    assert flag({}, "x") is None


def test_whole_numbers_and_sizes() -> None:
    assert [count({"x": cell}, "x") for cell in (4.0, 4.5, -1.0, "8", 1e300)] == [4, None, None, 8, None]
    assert mebibytes({"x": 5 + 512 / MIB}, "x") == 5 * MIB + 512
    assert [mebibytes({"x": cell}, "x") for cell in (-1.0, 1e18, "")] == [None, None, None]


def test_placeholders_are_nothing_but_names_stay() -> None:
    assert [text({"x": cell}, "x") for cell in ("VM", "n/a", " NULL ", "-", " web ")] == ["", "", "", "", "web"]
    assert name({"x": "VM"}, "x") == "VM"
    assert [name({"x": cell}, "x") for cell in (123.0, 1.5, True)] == ["123", "1.5", "True"]


def test_moments() -> None:
    expected = datetime(2024, 3, 1, 10, 11, 12, tzinfo=UTC)
    serial = (expected - datetime(1899, 12, 30, tzinfo=UTC)).total_seconds() / 86_400
    for cell in ("2024-03-01 10:11:12", "2024/3/1 10:11:12", "2024-03-01T10:11:12Z", serial):
        assert moment({"x": cell}, "x") == expected
    assert moment({"x": serial - 1462}, "x", date_1904=True) == expected
    assert moment({"x": "2024-03-01"}, "x") == datetime(2024, 3, 1, tzinfo=UTC)
    for cell in ("01/03/2024 10:11", "2024-13-01", "2024-03-01 25:00", 3.0, 1e12, ""):
        assert moment({"x": cell}, "x") is None
