# SPDX-License-Identifier: Apache-2.0
"""Questions line by line: numbered lists, nothing is drawn over, so that screen readers and any terminal can follow."""

import sys
from collections.abc import Callable, Collection, Sequence
from getpass import getpass

from v2x.cli import show
from v2x.cli.wizard.prompts import Back, Option, Quit
from v2x.cli.wizard.search import matches
from v2x.text import plural

_SHOWN = 15
_BACK = frozenset({"b", "back"})
_QUIT = frozenset({"q", "quit"})
WAYS = "b goes back, q leaves, Enter takes what stands in brackets."


def _typed(prompt: str) -> str:
    sys.stderr.write(prompt)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line


class PlainPrompts:
    """`read` and `read_secret` show a prompt and give the line that was typed; EOFError where no more will come."""

    def __init__(
        self,
        read: Callable[[str], str] = _typed,
        read_secret: Callable[[str], str] = getpass,
        tell: Callable[[str], None] = show.note,
    ) -> None:
        self._read, self._read_secret, self.tell = read, read_secret, tell
        self.tell(WAYS)

    def line(self, question: str, default: str = "") -> str:
        while True:
            answer = self._answer(f"{question} [{default}]: " if default else f"{question}: ")
            if answer or default:
                return answer or default
            self.tell("  please type something")

    def secret(self, question: str) -> str:
        """Nothing but an empty line is a command here: a password may be the letter q."""
        try:
            text = self._read_secret(f"{question} (not shown; empty goes back): ")
        except (EOFError, KeyboardInterrupt):
            raise Quit from None
        if not text:
            raise Back
        return text

    def choose(self, question: str, options: Sequence[Option], default: str = "") -> str:
        shown = self._listed(question, options)
        number = next((str(n) for n, one in enumerate(options, 1) if one.value == default), "")
        while True:
            answer = self._answer(f"Number or name [{number}]: " if number else "Number or name: ") or number
            found = _picked(answer, options)
            if len(found) == 1:
                return options[found[0]].value
            shown = self._narrowed(answer, options, shown)

    def choose_many(self, question: str, options: Sequence[Option], chosen: Collection[str] = ()) -> list[str]:
        shown = self._listed(question, options)
        marked = {n for n, one in enumerate(options) if one.value in chosen}
        while True:
            if marked:
                names = ", ".join(options[n].called for n in sorted(marked)[:_SHOWN])
                self.tell(f"  chosen: {names}" + (f" and {len(marked) - _SHOWN} more" if len(marked) > _SHOWN else ""))
            more = "Enter goes on" if marked else "or part of a name to search"
            answer = self._answer(f"Numbers (1,3-5) or a name, {more}: ")
            if not answer and marked:
                return [options[n].value for n in sorted(marked)]
            found = _numbers(answer, len(options)) or _picked(answer, options)
            if found:
                # A number that is given again takes its machine out again.
                marked ^= set(found)
            else:
                shown = self._narrowed(answer, options, shown)

    def _answer(self, prompt: str) -> str:
        try:
            answer = self._read(prompt).strip()
        except (EOFError, KeyboardInterrupt):
            raise Quit from None
        if answer.lower() in _BACK:
            raise Back
        if answer.lower() in _QUIT:
            raise Quit
        return answer

    def _listed(self, question: str, options: Sequence[Option]) -> list[int]:
        self.tell(f"\n{question}")
        return self._list(list(range(len(options))), options)

    def _list(self, numbers: list[int], options: Sequence[Option]) -> list[int]:
        for n in numbers[:_SHOWN]:
            note = f" - {options[n].note}" if options[n].note else ""
            self.tell(f"  {n + 1:>3}  {options[n].label.rstrip()}{note}")
        if len(numbers) > _SHOWN:
            self.tell(f"  and {len(numbers) - _SHOWN:,} more: type part of a name to search")
        return numbers

    def _narrowed(self, answer: str, options: Sequence[Option], shown: list[int]) -> list[int]:
        """Says what else an answer that is no single option could mean."""
        found = matches(answer, [one.called for one in options]) if answer else []
        if not answer:
            self.tell("  please choose; there is no answer that goes without saying")
            return shown
        if not found:
            self.tell(f"  nothing has {answer!r} in its name; type a number or another part of a name")
            return shown
        self.tell(f"  {plural(len(found), 'match', 'matches')} for {answer!r}:")
        return self._list(found, options)


def _picked(answer: str, options: Sequence[Option]) -> list[int]:
    """The option of that number, value or name; several where a name is not one option's alone."""
    if _is_number(answer, len(options)):
        return [int(answer) - 1]
    named = [n for n, one in enumerate(options) if answer and answer in (one.value, one.called)]
    return named if len(named) == 1 else []


def _numbers(answer: str, count: int) -> list[int]:
    """Indexes of a list such as `1,3-5 7`; empty where it is no such list or a number is none of the options."""
    found: list[int] = []
    for word in answer.replace(",", " ").split():
        first, dash, last = word.partition("-")
        ends = (first, last if dash else first)
        if not all(_is_number(end, count) for end in ends):
            return []
        found += range(int(ends[0]) - 1, int(ends[1]))
    return found


def _is_number(text: str, count: int) -> bool:
    """One with a zero before it is a part of a name, such as vm-0042."""
    return text.isascii() and text.isdecimal() and text[0] != "0" and int(text) <= count
