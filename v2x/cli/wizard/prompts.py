# SPDX-License-Identifier: Apache-2.0
"""What the wizard asks with, and the two ways out of every question."""

import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from v2x.errors import UsageError
from v2x.text import printable


class Back(Exception):
    """The person wants the question before this one, or the one called `to`."""

    def __init__(self, to: str = "") -> None:
        super().__init__(to)
        self.to = to


class Quit(Exception):
    """The person leaves."""


@dataclass(frozen=True, slots=True)
class Option:
    """One line of a list: what it stands for, how it reads, and why one would take it. `name` is what it is called and
    searched by, where the line tells more than a name.
    """

    value: str
    label: str
    note: str = ""
    name: str = ""

    @property
    def called(self) -> str:
        return self.name or self.label


Check = Callable[[str], str]
"""Why an answer is wrong; empty where it is right."""


class Prompts(Protocol):
    """How questions reach a person. Each raises Back or Quit; an answer that is given is one that was offered."""

    def tell(self, text: str) -> None:
        """A text that needs no answer."""
        ...

    def line(self, question: str, default: str = "") -> str:
        """A line of text, without blanks around it; `default` for an empty answer."""
        ...

    def secret(self, question: str) -> str:
        """A line that is not shown while it is typed; never empty."""
        ...

    def choose(self, question: str, options: Sequence[Option], default: str = "") -> str:
        """The value of one option; Enter takes `default`, where there is one."""
        ...

    def choose_many(self, question: str, options: Sequence[Option], chosen: Collection[str] = ()) -> list[str]:
        """The values of one or more options, in the order of the list."""
        ...


def ask_line(prompts: Prompts, question: str, default: str, check: Check) -> str:
    """A line that `check` has nothing against; asked again with the reason until then."""
    while True:
        answer = prompts.line(question, default)
        why = check(answer)
        if not why:
            return answer
        prompts.tell(f"  {printable(why, 1000)}")


def ask_yes(prompts: Prompts, question: str, *, default: bool, yes: str = "", no: str = "") -> bool:
    options = (Option("yes", "yes", yes), Option("no", "no", no))
    return prompts.choose(question, options, "yes" if default else "no") == "yes"


def is_plain(wanted: bool, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether to go line by line: as wanted, or because the terminal has no cursor that could be moved."""
    return wanted or environment.get("TERM", "") in {"", "dumb", "unknown"}


def prompts_for(*, plain: bool) -> Prompts:
    """Prompts for the terminal of this process. UsageError where there is none."""
    if not sys.stdin.isatty() or not sys.stderr.isatty():
        raise UsageError(
            "v2x wizard asks a person, and this is no terminal",
            hint="v2x migrate and v2x batch run do the same without questions",
        )
    if is_plain(plain):
        from v2x.cli.wizard.plain import PlainPrompts

        return PlainPrompts()
    from v2x.cli.wizard.screen import ScreenPrompts

    return ScreenPrompts()
