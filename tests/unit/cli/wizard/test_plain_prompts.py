# SPDX-License-Identifier: Apache-2.0
"""Questions line by line."""

import pytest

from v2x.cli.wizard.plain import PlainPrompts
from v2x.cli.wizard.prompts import Back, Option, Quit, ask_line, ask_yes, is_plain

MANY = [Option(f"id{n}", f"vm-{n:05}  off  1 GiB", name=f"vm-{n:05}") for n in range(10_000)]
COLOURS = [Option("r", "red"), Option("g", "green", "like grass"), Option("b", "blue")]


class Typist:
    def __init__(self, *lines):
        self.lines = list(lines)
        self.told = []
        self.prompts = PlainPrompts(self.read, self.read, self.told.append)

    def read(self, prompt):
        self.told.append(prompt)
        if not self.lines:
            raise EOFError
        line = self.lines.pop(0)
        if isinstance(line, BaseException):
            raise line
        return line + "\n" if prompt.find("not shown") < 0 else line

    @property
    def text(self):
        return "\n".join(self.told)


def test_a_line_and_its_default():
    assert Typist("  web02 ").prompts.line("Name", "web01") == "web02"
    assert Typist("").prompts.line("Name", "web01") == "web01"
    typist = Typist("", "x")
    assert typist.prompts.line("Name") == "x"
    assert "please type something" in typist.text


@pytest.mark.parametrize(("word", "way"), [("b", Back), ("BACK", Back), ("q", Quit), ("quit", Quit)])
def test_the_ways_out_of_every_question(word, way):
    for ask in (
        lambda prompts: prompts.line("Name", "x"),
        lambda prompts: prompts.choose("Colour", COLOURS[:2], "r"),
        lambda prompts: prompts.choose_many("Colours", COLOURS[:2]),
    ):
        with pytest.raises(way):
            ask(Typist(word).prompts)


@pytest.mark.parametrize("end", [EOFError(), KeyboardInterrupt()])
def test_a_line_that_breaks_off_is_leaving(end):
    for ask in (lambda prompts: prompts.line("Name"), lambda prompts: prompts.secret("Password")):
        with pytest.raises(Quit):
            ask(Typist(end).prompts)


@pytest.mark.parametrize("text", ["q", "b", " with blanks ", "back"])
def test_a_password_is_taken_as_it_is(text):
    assert Typist(text).prompts.secret("Password") == text
    with pytest.raises(Back):
        Typist("").prompts.secret("Password")


def test_choosing_by_number_name_and_default():
    assert Typist("2").prompts.choose("Colour", COLOURS) == "g"
    assert Typist("green").prompts.choose("Colour", COLOURS) == "g"
    assert Typist("").prompts.choose("Colour", COLOURS, "g") == "g"
    typist = Typist("", "4", "zz", "re", "r")
    assert typist.prompts.choose("Colour", COLOURS) == "r"
    assert "there is no answer that goes without saying" in typist.text
    assert "nothing has '4'" in typist.text and "nothing has 'zz'" in typist.text
    assert "2 matches for 're'" in typist.text
    assert "like grass" in typist.text


def test_a_search_over_ten_thousand_keeps_the_numbers():
    typist = Typist("0042", "43", "")
    assert typist.prompts.choose_many("Which?", MANY) == ["id42"]
    assert "and 9,985 more" in typist.text
    assert "11 matches for '0042'" in typist.text
    assert "43  vm-00042" in typist.text


def test_several_by_ranges_names_and_taken_back():
    assert Typist("1,3-5 7", "").prompts.choose_many("Which?", MANY) == ["id0", "id2", "id3", "id4", "id6"]
    assert Typist("1-3", "2", "vm-09999", "").prompts.choose_many("Which?", MANY) == ["id0", "id2", "id9999"]
    typist = Typist("5-2", "0", "1-10001", "2", "")
    assert typist.prompts.choose_many("Which?", MANY) == ["id1"]
    assert "nothing has '1-10001'" in typist.text
    assert Typist("").prompts.choose_many("Which?", MANY, ["id8"]) == ["id8"]


def test_two_machines_of_one_name_are_told_apart_by_number():
    twins = [Option("a", "web  here", name="web"), Option("b", "web  there", name="web")]
    typist = Typist("web", "2", "")
    assert typist.prompts.choose_many("Which?", twins) == ["b"]
    assert "2 matches for 'web'" in typist.text


def test_a_wrong_answer_is_asked_again_with_the_reason():
    typist = Typist("five", "5")
    assert ask_line(typist.prompts, "CPUs", "", lambda text: "" if text.isdecimal() else f"{text} is no number") == "5"
    assert "five is no number" in typist.text


def test_yes_and_no():
    assert ask_yes(Typist("").prompts, "Sure?", default=True)
    assert not ask_yes(Typist("").prompts, "Sure?", default=False)
    assert ask_yes(Typist("yes").prompts, "Sure?", default=False)


def test_which_terminals_are_plain():
    for term in ("", "dumb", "unknown"):
        assert is_plain(False, {"TERM": term})
    assert is_plain(False, {})
    assert not is_plain(False, {"TERM": "xterm"})
    assert is_plain(True, {"TERM": "xterm"})
