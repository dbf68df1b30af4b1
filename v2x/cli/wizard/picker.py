# SPDX-License-Identifier: Apache-2.0
"""A list to choose from that is searched while one types; it takes a part of the screen, whatever its length."""

from collections.abc import Callable, Collection, Sequence

from prompt_toolkit.data_structures import Size
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import FormattedTextControl, Layout, Window

from v2x.cli.wizard.prompts import Option
from v2x.cli.wizard.search import matches
from v2x.render.layout import fit, wrap

_NOTHING = "  nothing is chosen yet: choose with the arrows, or type a part of a name"
_MOST_LINES = 12
_NOTE_LINES = 3
_SEEN_AT_ONCE = 7
"""Lists of no more lines are not offered to be searched, but may be."""
_AROUND = 4 + _NOTE_LINES
"""Lines that are no options: question, search, the keys, an empty one, and what is told of the option pointed at."""


class Picker:
    """What is shown and pointed at. `marked` are the values that are marked from the start, of a list of several.

    Enter takes nothing before something was pointed at, by `pointed`, an arrow or a search: a guess is no answer.
    """

    def __init__(
        self,
        question: str,
        options: Sequence[Option],
        *,
        several: bool,
        marked: Collection[str] = (),
        pointed: str = "",
    ) -> None:
        self.question = question
        self.typed = ""
        self._options = options
        self._names = [one.called for one in options]
        self._several = several
        self._marked = {n for n, one in enumerate(options) if one.value in marked}
        self._found = list(range(len(options)))
        self._nowhere = 0 if several else -1
        self._touched = any(one.value == pointed for one in options)
        self._at = next((n for n, one in enumerate(options) if one.value == pointed), self._nowhere)
        self._first = 0
        self._said = ""

    def name_of(self, value: str) -> str:
        return next(one.called for one in self._options if one.value == value)

    def layout(self, size: Callable[[], Size]) -> Layout:
        control = FormattedTextControl(lambda: self.lines(size()), focusable=True, show_cursor=False)
        return Layout(Window(control, dont_extend_height=True, wrap_lines=False, always_hide_cursor=True))

    def lines(self, size: Size) -> StyleAndTextTuples:
        """The list as it is now, in at most as many lines and columns as the terminal has."""
        width = max(20, size.columns - 1)
        most = max(1, min(_MOST_LINES, size.rows - _AROUND - 1))
        self._first = max(min(self._first, self._at), self._at - most + 1, 0)
        shown = self._found[self._first : self._first + most]
        out: StyleAndTextTuples = [("class:question", fit(self.question, width).rstrip() + "\n")]
        if self.typed or len(self._options) > _SEEN_AT_ONCE:
            out.append(("", fit(f"  search: {self.typed}_  {self._counted()}", width).rstrip() + "\n"))
        for place, n in enumerate(shown, self._first):
            pointed = place == self._at
            mark = ("[x] " if n in self._marked else "[ ] ") if self._several else ""
            text = fit(f"{'>' if pointed else ' '} {mark}{self._options[n].label}", width).rstrip()
            out.append(("class:pointed" if pointed else "", text + "\n"))
        if not shown:
            out.append(("", fit(f"  nothing has {self.typed!r} in its name; Backspace takes it back", width) + "\n"))
        for line in self._told(width):
            out.append(("class:hint", line + "\n"))
        out.append(("class:hint", fit(self._said or self._keys_in_words(), width).rstrip()))
        return out

    def _counted(self) -> str:
        all_of_them = len(self._options)
        count = f"{len(self._found):,} of {all_of_them:,}" if self.typed else f"{all_of_them:,}"
        return f"({count}{f', {len(self._marked):,} marked' if self._several else ''})"

    def _told(self, width: int) -> list[str]:
        """What the line pointed at has no room for."""
        if not self._found or self._at < 0:
            return []
        option = self._options[self._found[self._at]]
        return wrap(option.note, width, first="    ")[:_NOTE_LINES] if option.note else []

    def _keys_in_words(self) -> str:
        if self._several:
            return "  arrows, type to search, Space marks, Enter goes on, Esc back, Ctrl-C leaves"
        search = "type to search, " if len(self._options) > _SEEN_AT_ONCE else ""
        return f"  arrows, {search}Enter takes it, Esc back, Ctrl-C leaves"

    def search(self, typed: str) -> None:
        self.typed = typed
        self._found = matches(typed, self._names)
        self._touched = bool(typed)
        self._at, self._first = 0 if typed else self._nowhere, 0

    def move(self, by: int) -> None:
        self._said, self._touched = "", True
        self._at = max(0, min(self._at + by, len(self._found) - 1))

    def mark(self) -> None:
        """Marks the line pointed at, or takes its mark away; of a list of one nothing is marked."""
        if self._found and self._several:
            self._marked ^= {self._found[self._at]}

    def mark_all(self) -> None:
        """Marks all lines that match; takes the marks away where all of them have one."""
        if self._several:
            found = set(self._found)
            self._marked = self._marked - found if found <= self._marked else self._marked | found

    def chosen(self) -> list[str]:
        """The marked values, else the one pointed at; empty where nothing is."""
        if self._several and self._marked:
            return [self._options[n].value for n in sorted(self._marked)]
        return [self._options[self._found[self._at]].value] if self._found and self._touched else []

    def keys(self) -> KeyBindings:
        keys = KeyBindings()
        page = _MOST_LINES - 1
        acts: dict[str, Callable[[], None]] = {
            "up": lambda: self.move(-1),
            "down": lambda: self.move(1),
            "c-p": lambda: self.move(-1),
            "c-n": lambda: self.move(1),
            "pageup": lambda: self.move(-page),
            "pagedown": lambda: self.move(page),
            "home": lambda: self.move(-len(self._options)),
            "end": lambda: self.move(len(self._options)),
            "backspace": lambda: self.search(self.typed[:-1]),
            "c-u": lambda: self.search(""),
            "c-a": self.mark_all,
            "tab": self.mark,
            " ": self.mark,
        }
        for key, act in acts.items():
            keys.add(key)(lambda _event, act=act: act())

        @keys.add("enter")
        def _taken(event: KeyPressEvent) -> None:
            self._said = "" if self.chosen() else _NOTHING
            if self.chosen():
                event.app.exit(result=self.chosen())

        @keys.add(Keys.BracketedPaste)
        @keys.add(Keys.Any)
        def _search(event: KeyPressEvent) -> None:
            text = "".join(char for char in event.data if char.isprintable())
            if text:
                self._said = ""
                self.search(self.typed + text)

        return keys
