# SPDX-License-Identifier: Apache-2.0
"""Single keys from a terminal, without waiting for Enter; the terminal is as it was when this ends, however it ends."""

import os
import select
import sys
import termios
import tty
from typing import Self, TextIO

ENTER, ERASE, ESCAPE, LEFT = "\r\n", "\x7f\b", "\x1b", "q"


class Keys:
    """Used as a context manager. Ctrl-C stays Ctrl-C."""

    def __init__(self, terminal: TextIO | None = None) -> None:
        self._fd = (terminal or sys.stdin).fileno()
        self._before = termios.tcgetattr(self._fd)

    def __enter__(self) -> Self:
        tty.setcbreak(self._fd)
        return self

    def __exit__(self, *_: object) -> None:
        termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)

    def wait(self, seconds: float) -> str:
        """What was typed within `seconds`: at once when something is, empty when nothing was."""
        ready, _, _ = select.select([self._fd], [], [], max(0.0, seconds))
        if not ready:
            return ""
        # A terminal that was closed reads as its end, again and again: that is somebody who left.
        return os.read(self._fd, 256).decode("utf-8", "ignore") or LEFT


class Line:
    """A line that is typed into a screen which goes on beside it."""

    def __init__(self, question: str) -> None:
        self.question = question
        self.text = ""

    def take(self, typed: str) -> str | None:
        """Takes what was typed; the whole line at Enter, empty where Escape gave it up, else None."""
        if typed.startswith(ESCAPE) and len(typed) > 1:
            return None  # an arrow or another key of several bytes
        for char in typed:
            if char in ENTER:
                return self.text.strip()
            if char == ESCAPE:
                return ""
            if char in ERASE:
                self.text = self.text[:-1]
            elif char.isprintable() and len(self.text) < 100:
                self.text += char
        return None

    def __str__(self) -> str:
        return f"{self.question} {self.text}_"
