# SPDX-License-Identifier: Apache-2.0
"""Questions on a terminal with a cursor: lines that can be edited, lists that are searched while one types.

Nothing takes the whole screen: what was told and answered stays above, to be scrolled back to. Colour never says what
the text does not say too. See docs/adr/0032-prompts-by-prompt-toolkit.md.
"""

import os
import shutil
import sys
from collections.abc import Collection, Mapping, Sequence

from prompt_toolkit import PromptSession
from prompt_toolkit.application import Application
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import Input, create_input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import ColorDepth, Output
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.styles import Style

from v2x.cli import show
from v2x.cli.wizard.picker import Picker
from v2x.cli.wizard.prompts import Back, Option, Quit
from v2x.render.layout import columns, fit

WAYS = "Esc goes back, Ctrl-C leaves, Enter takes what is shown."
_STYLE = Style.from_dict({"question": "bold", "pointed": "reverse", "marked": "bold", "hint": "", "answer": "bold"})
_ANSWER_COLUMNS = 200
_ESCAPE_SECONDS = 0.3  # how long the rest of an arrow key is waited for, before an Esc is one


def terminal_output() -> Output:
    """stderr, since stdout is for results. The terminal is not asked where its cursor is: serial lines never answer."""
    return Vt100_Output(
        sys.stderr, lambda: Size(*reversed(shutil.get_terminal_size())), term=os.environ.get("TERM"), enable_cpr=False
    )


def depth(environment: Mapping[str, str]) -> ColorDepth | None:
    """No colours where NO_COLOR says so (no-color.org: any value that is not empty)."""
    return ColorDepth.DEPTH_1_BIT if environment.get("NO_COLOR") else None


class ScreenPrompts:
    """`source` and `output` are the terminal's; tests give pipes."""

    def __init__(
        self, source: Input | None = None, output: Output | None = None, environment: Mapping[str, str] = os.environ
    ) -> None:
        self._input = source or create_input()
        self._output = output or terminal_output()
        self._depth = depth(environment)
        self.tell(WAYS)

    def tell(self, text: str) -> None:
        show.note(text)

    def line(self, question: str, default: str = "") -> str:
        while True:
            answer = self._typed(question, default=default).strip()
            if answer or default:
                return answer or default
            self.tell("  please type something")

    def secret(self, question: str) -> str:
        """As it was typed: blanks may be part of a password."""
        while True:
            text = self._typed(question, hidden=True)
            if text:
                return text
            self.tell("  please type it, or press Esc to go back")

    def choose(self, question: str, options: Sequence[Option], default: str = "") -> str:
        (value,) = self._picked(Picker(question, options, several=False, pointed=default))
        return value

    def choose_many(self, question: str, options: Sequence[Option], chosen: Collection[str] = ()) -> list[str]:
        # A single one is pointed at, not marked: who comes back for another would take both without wanting to.
        pointed, marked = ("", chosen) if len(chosen) > 1 else (next(iter(chosen), ""), ())
        return self._picked(Picker(question, options, several=True, marked=marked, pointed=pointed))

    def _typed(self, question: str, *, default: str = "", hidden: bool = False) -> str:
        session: PromptSession[str] = PromptSession(
            input=self._input,
            output=self._output,
            key_bindings=_ways_out(),
            color_depth=self._depth,
            style=_STYLE,
            enable_history_search=False,
        )
        session.app.ttimeoutlen = session.app.timeoutlen = _ESCAPE_SECONDS
        # A password must not stay in the memory of the prompt for the next question's arrow keys: no session is reused.
        return session.prompt([("class:question", f"{question}: ")], default=default, is_password=hidden)

    def _picked(self, picker: Picker) -> list[str]:
        application: Application[list[str]] = Application(
            layout=picker.layout(self._output.get_size),
            key_bindings=_with_ways_out(picker.keys()),
            input=self._input,
            output=self._output,
            color_depth=self._depth,
            style=_STYLE,
            erase_when_done=True,
            full_screen=False,
        )
        application.ttimeoutlen = application.timeoutlen = _ESCAPE_SECONDS
        values = application.run()
        answer = ", ".join(picker.name_of(value) for value in values)
        sign = "" if picker.question.endswith("?") else ":"
        self.tell(f"{picker.question}{sign} {fit(answer, min(_ANSWER_COLUMNS, columns(answer)))}")
        return values


def _ways_out() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("escape")
    def _back(event: KeyPressEvent) -> None:
        event.app.exit(exception=Back())

    @keys.add("c-c")
    @keys.add("c-q")
    def _quit(event: KeyPressEvent) -> None:
        event.app.exit(exception=Quit())

    @keys.add("c-d")
    def _end(event: KeyPressEvent) -> None:
        event.app.exit(exception=Quit())

    return keys


def _with_ways_out(keys: KeyBindings) -> KeyBindings:
    for binding in _ways_out().bindings:
        keys.bindings.append(binding)
    return keys
