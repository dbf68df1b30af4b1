# SPDX-License-Identifier: Apache-2.0
"""How often `v2x batch watch` looks, and what is typed into it; the whole of it is in tests/e2e/test_watch_keys.py."""

import pytest

from tests.batch_showcase import batch
from v2x.cli import live
from v2x.cli.keys import Line


class Clock:
    def __init__(self):
        self.time = 0.0

    def __call__(self):
        return self.time


class Keyboard:
    """In place of the terminal: waits as long as it is told to, and leaves at the end."""

    def __init__(self, clock, turns):
        self.clock, self.turns, self.waits = clock, turns, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def wait(self, seconds):
        self.waits.append(seconds)
        self.clock.time += max(0.0, seconds)
        return "q" if len(self.waits) == self.turns else ""


class Steering:
    """A state whose looks take `takes` seconds."""

    def __init__(self, clock, takes):
        self.clock, self.takes, self.looks = clock, takes, 0

    def status(self, _batch):
        self.clock.time += self.takes
        self.looks += 1
        return batch()


@pytest.mark.parametrize(("takes", "rests"), [(0.01, 1.0), (2.0, 6.0)])
def test_it_rests_longer_than_it_looks(monkeypatch, capfdbinary, takes, rests):
    clock = Clock()
    keyboard, steering = Keyboard(clock, 5), Steering(clock, takes)
    monkeypatch.setattr(live, "Keys", lambda: keyboard)
    live.watch_live(steering, None, 1.0, lambda _tell: False, clock)
    assert keyboard.waits == pytest.approx([rests] * 5)
    assert steering.looks == 6, "one before each wait, and one after the last key"


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        (["web", "0", "1\r"], "web01"),
        (["wex\x7fb\r"], "web"),
        (["\x7f\x7fa\r"], "a"),
        (["all\x1b"], ""),
        (["\x1b"], ""),
        (["\x00\x07name\n"], "name"),
    ],
)
def test_a_line_is_typed_key_by_key(typed, line):
    asked = Line("which?")
    answers = [asked.take(keys) for keys in typed]
    assert answers[-1] == line and answers[:-1] == [None] * (len(typed) - 1)


def test_an_arrow_alone_changes_nothing():
    asked = Line("which?")
    assert asked.take("a") is None and asked.take("\x1b[A") is None and asked.take("\r") == "a"
