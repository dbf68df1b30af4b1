# SPDX-License-Identifier: Apache-2.0
"""Questions forwards and back."""

import pytest

from v2x.cli.wizard.prompts import Back, Quit
from v2x.cli.wizard.walk import Step, walk


class Person:
    """Gives each question its next answer: go on, back, back to a name, or leave."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def asks(self, name):
        def ask():
            self.asked.append(name)
            answer = self.answers.pop(0) if self.answers else ""
            if answer == "quit":
                raise Quit
            if answer.startswith("back"):
                raise Back(answer.partition(" ")[2])

        return ask


def test_forwards():
    person = Person()
    walk([Step(person.asks("a")), Step(person.asks("b"), lambda: False), Step(person.asks("c"))])
    assert person.asked == ["a", "c"]


def test_back_passes_over_what_does_not_apply_and_what_asks_nothing():
    person = Person("", "", "back")
    looked = []
    steps = [
        Step(person.asks("a")), Step(lambda: looked.append(1), asks=False), Step(person.asks("b"), lambda: False),
        Step(person.asks("c")), Step(person.asks("d")),
    ]  # fmt: skip
    walk(steps)
    assert person.asked == ["a", "c", "d", "c", "d"]
    person = Person("", "back", "")
    walk(steps[:4] and [Step(person.asks("a")), steps[1], Step(person.asks("c"))])
    assert person.asked == ["a", "c", "a", "c"]


def test_back_from_the_first_is_for_who_asked_for_it_all():
    with pytest.raises(Back):
        walk([Step(Person("back").asks("a"))])


def test_a_look_that_fails_leads_to_the_question_before_it():
    person = Person()
    tries = []

    def look():
        tries.append(1)
        if len(tries) < 3:
            raise Back

    walk([Step(person.asks("host")), Step(person.asks("user")), Step(look, asks=False), Step(person.asks("next"))])
    assert person.asked == ["host", "user", "user", "user", "next"]


def test_back_to_a_name_from_far_behind():
    person = Person("", "", "back machines")
    walk([Step(person.asks("machines"), name="machines"), Step(person.asks("pool")), Step(person.asks("more"))])
    assert person.asked == ["machines", "pool", "more", "machines", "pool", "more"]
    person = Person("", "back machines")  # where that one does not apply, it is the nearest
    walk([Step(person.asks("pool")), Step(person.asks("more"))])
    assert person.asked == ["pool", "more", "pool", "more"]


def test_what_holds_several_questions_is_entered_at_its_end_by_who_comes_back():
    person = Person("", "", "", "back", "back", "back", "quit")
    inner = [Step(person.asks("b")), Step(person.asks("c"))]
    steps = [Step(person.asks("a")), Step(lambda: walk(inner), again=lambda: walk(inner, at_end=True)),
             Step(person.asks("d"))]  # fmt: skip
    with pytest.raises(Quit):
        walk(steps)
    assert person.asked == ["a", "b", "c", "d", "c", "b", "a"]
    person = Person()
    walk([Step(person.asks("a")), Step(person.asks("b"))], at_end=True)
    assert person.asked == ["b"]
