# SPDX-License-Identifier: Apache-2.0
"""Terminal widths and wrapping."""

from hypothesis import given
from hypothesis import strategies as st

from v2x.render.layout import columns, fit, paint, wrap


def test_wide_characters_take_two_columns_and_marks_none():
    assert columns("abc") == 3
    assert columns("服务") == 4
    assert columns("e\u0301") == 1


def test_lines_hang_under_the_first_one():
    assert wrap("one two three four", 12, first="- ") == ["- one two", "  three four"]


def test_a_long_word_is_cut_and_nothing_is_lost():
    assert wrap("abcdefghij", 6, first="> ") == ["> abcd", "  efgh", "  ij"]


def test_an_empty_text_leaves_what_stands_before_it():
    assert wrap("", 10, first="Field:  ") == ["Field:"]


@given(st.text(alphabet="ab服 务\u0301é", max_size=80), st.integers(10, 40))
def test_no_line_is_too_long_and_every_character_stays(text, width):
    lines = wrap(text, width, first="* ")
    assert all(columns(line) <= width for line in lines)
    shown = "".join(line[2:] for line in lines)
    assert shown.replace(" ", "") == text.replace(" ", "")


def test_fit_cuts_with_an_ellipsis_and_fills_with_spaces():
    assert fit("abc", 5) == "abc  "
    assert fit("abcdef", 5) == "abcd…"
    assert columns(fit("服务器服务器", 6)) == 6


def test_colour_only_where_wanted():
    assert paint("x", "good", False) == "x"
    assert paint("x", "good", True) == "\x1b[32mx\x1b[0m"
