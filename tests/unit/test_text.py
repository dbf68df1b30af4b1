# SPDX-License-Identifier: Apache-2.0
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from v2x.text import csv_cell, from_csv_cell, plural, printable


@given(st.text())
def test_nothing_unprintable_passes(text):
    assert all(unicodedata.category(sign) not in {"Cc", "Cf", "Cs", "Co"} for sign in printable(text))
    assert len(printable(text, 50)) <= 50


def test_escapes_are_shown():
    assert printable("a\x1b[31mb\u202ec\n") == "a\\x1b[31mb\\u202ec\\x0a"
    assert printable("Zürich 東京") == "Zürich 東京"


@given(st.text())
def test_csv_cells_come_back(text):
    assert from_csv_cell(csv_cell(text)) == text
    assert not csv_cell(text).startswith(("=", "+", "-", "@", "\t", "\r"))


def test_plurals():
    assert plural(1, "disk") == "1 disk"
    assert plural(1200, "disk") == "1,200 disks"
    assert plural(2, "entry", "entries") == "2 entries"
