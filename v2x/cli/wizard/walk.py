# SPDX-License-Identifier: Apache-2.0
"""Goes through questions forwards and back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from v2x.cli.wizard.prompts import Back


def always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Step:
    """One question, asked where it `applies`, which may hang on the answers before.

    One that does not `ask` anything is passed over on the way back. `again` is what is done in place of `do` when it is
    come back to; `name` is for those who want to go back to it from far behind.
    """

    do: Callable[[], None]
    applies: Callable[[], bool] = always
    asks: bool = True
    again: Callable[[], None] | None = None
    name: str = ""


def walk(steps: Sequence[Step], *, at_end: bool = False) -> None:
    """Asks one after the other; who goes back is asked the nearest one before that applies.

    Raises Back where there is none. With `at_end`, begins at the last one: somebody came back from what follows.
    """
    at = _nearest(steps, len(steps)) if at_end else 0
    comes_back = at_end
    while at < len(steps):
        step = steps[at]
        if step.applies():
            try:
                (step.again if comes_back and step.again else step.do)()
            except Back as back:
                at, comes_back = _nearest(steps, at, back.to), True
                continue
        at, comes_back = at + 1, False


def _nearest(steps: Sequence[Step], before: int, name: str = "") -> int:
    for at in range(before - 1, -1, -1):
        if steps[at].asks and steps[at].applies() and name in ("", steps[at].name):
            return at
    if name:
        return _nearest(steps, before)
    raise Back
