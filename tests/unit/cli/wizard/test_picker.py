# SPDX-License-Identifier: Apache-2.0
"""Lists that are searched while one types, and lines, with keys from a pipe."""

import io
import time

import pytest
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import ColorDepth, DummyOutput
from prompt_toolkit.output.vt100 import Vt100_Output

from v2x.cli.wizard.picker import Picker
from v2x.cli.wizard.prompts import Back, Option, Quit
from v2x.cli.wizard.screen import ScreenPrompts, depth
from v2x.render.layout import columns

NAMES = [f"vm-{n:05}" for n in range(10_000)]
MANY = [Option(name, f"{name}  off  1 GiB", "a note " * 40, name) for name in NAMES]
SMALL = Size(rows=24, columns=80)
UP, DOWN, ENTER, ESC, CTRL_C = "\x1b[A", "\x1b[B", "\r", "\x1b", "\x03"


def text_of(picker, size=SMALL):
    return "".join(part[1] for part in picker.lines(size))


def asked(keys, ask, output=None):
    with create_pipe_input() as pipe:
        pipe.send_text(keys)
        return ask(ScreenPrompts(pipe, output or DummyOutput(), {}))


@pytest.mark.parametrize(
    "size", [SMALL, Size(rows=10, columns=40), Size(rows=5, columns=20), Size(rows=60, columns=200)]
)
@pytest.mark.parametrize("at", [0, 5_000, 9_999])
def test_it_fits_whatever_the_terminal(size, at):
    picker = Picker("Which machines shall move?", MANY, several=True, pointed=NAMES[at])
    lines = text_of(picker, size).split("\n")
    assert len(lines) <= max(size.rows, 9)
    assert all(columns(line) <= size.columns for line in lines)
    assert any(line.startswith(f"> [ ] {NAMES[at]}"[: size.columns - 2]) for line in lines)


def test_wide_and_hostile_names_stay_in_their_line():
    options = [Option("a", "漢字" * 40), Option("b", "x" * 300)]
    for line in text_of(Picker("Which?", options, several=False)).split("\n"):
        assert columns(line) <= 79


def test_typing_searches_ten_thousand_at_once():
    picker = Picker("Which?", MANY, several=True)
    begun = time.perf_counter()
    for typed in ("0", "00", "004", "0042"):
        picker.search(typed)
        assert "of 10,000" in text_of(picker)
    assert (time.perf_counter() - begun) / 4 < 0.25
    assert "(11 of 10,000, 0 marked)" in text_of(picker)
    picker.search("no such")
    assert "nothing has 'no such' in its name" in text_of(picker)
    assert picker.chosen() == []


def test_what_begins_with_it_comes_first_and_blanks_do_not_matter():
    options = [Option("1", "old SQL 01"), Option("2", "SQL 01"), Option("3", "web")]
    picker = Picker("Which?", options, several=False)
    picker.search("sql01")
    assert picker.chosen() == ["2"]


def test_marks_stay_while_one_searches():
    keys = "00042 " + "\x15" + "00007\t" + ENTER
    assert asked(keys, lambda prompts: prompts.choose_many("Which?", MANY)) == ["vm-00007", "vm-00042"]
    assert asked("00042" + ENTER, lambda prompts: prompts.choose_many("Which?", MANY)) == ["vm-00042"]
    everything = asked("0999\x01" + ENTER, lambda prompts: prompts.choose_many("Which?", MANY))
    assert len(everything) == 11
    assert asked("0999\x01\x01\x7f\x7f\x7f\x7f " + ENTER, lambda prompts: prompts.choose_many("Which?", MANY)) == [
        "vm-00000"
    ]
    before = ["vm-00000", "vm-00002"]
    assert asked(DOWN + " " + ENTER, lambda prompts: prompts.choose_many("Which?", MANY, before)) == [
        "vm-00000", "vm-00001", "vm-00002",
    ]  # fmt: skip
    assert asked(DOWN + ENTER, lambda prompts: prompts.choose_many("Which?", MANY, ["vm-00005"])) == ["vm-00006"]


def test_nothing_that_does_not_match_is_taken():
    assert asked("nowhere" + ENTER + "\x15" + ENTER + DOWN + ENTER, lambda prompts: prompts.choose("Which?", MANY)) == (
        "vm-00000"
    )


def test_enter_takes_nothing_that_does_not_go_without_saying():
    picker = Picker("Which network?", MANY[:3], several=False)
    assert picker.chosen() == []
    assert not any(line.startswith(">") for line in text_of(picker).split("\n"))
    assert asked(ENTER + ENTER + DOWN + ENTER, lambda prompts: prompts.choose("Which?", MANY[:3])) == "vm-00000"
    assert asked(ENTER + DOWN + ENTER, lambda prompts: prompts.choose_many("Which?", MANY)) == ["vm-00001"]
    assert asked(ENTER + "00002" + ENTER, lambda prompts: prompts.choose("Which?", MANY[:3])) == "vm-00002"


def test_one_of_a_list():
    few = MANY[:3]
    assert asked(ENTER, lambda prompts: prompts.choose("Which?", few, "vm-00001")) == "vm-00001"
    assert asked(UP + UP + ENTER, lambda prompts: prompts.choose("Which?", few, "vm-00001")) == "vm-00000"
    assert asked(DOWN * 9 + ENTER, lambda prompts: prompts.choose("Which?", few)) == "vm-00002"
    assert asked(" 2" + ENTER, lambda prompts: prompts.choose("Which?", few)) == "vm-00002", (
        "a blank marks nothing here"
    )


@pytest.mark.parametrize(("key", "way"), [(ESC, Back), (CTRL_C, Quit), ("\x11", Quit), ("\x04", Quit)])
def test_the_ways_out(key, way):
    for ask in (
        lambda prompts: prompts.line("Name", "web"),
        lambda prompts: prompts.secret("Password"),
        lambda prompts: prompts.choose("Which?", MANY),
        lambda prompts: prompts.choose_many("Which?", MANY),
    ):
        with pytest.raises(way):
            asked(key, ask)


def test_lines_can_be_edited_and_passwords_are_not_shown():
    assert asked("\x7f2" + ENTER, lambda prompts: prompts.line("Name", "web1")) == "web2"
    assert asked("\x15" + ENTER, lambda prompts: prompts.line("Name", "web1")) == "web1"
    shown = io.StringIO()
    output = Vt100_Output(shown, lambda: SMALL, term="xterm", enable_cpr=False)
    assert asked(" se cret " + ENTER, lambda prompts: prompts.secret("Password"), output) == " se cret "
    assert "cret" not in shown.getvalue() and "Password" in shown.getvalue()


def test_no_color():
    assert depth({"NO_COLOR": "1"}) is ColorDepth.DEPTH_1_BIT
    assert depth({"NO_COLOR": ""}) is None
