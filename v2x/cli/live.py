# SPDX-License-Identifier: Apache-2.0
"""The screen of `v2x batch watch`: looks again and again, and steers the batch by single keys."""

import shutil
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from v2x.cli import show
from v2x.cli.keys import Keys, Line
from v2x.errors import V2xError
from v2x.model.batch import BatchStatus
from v2x.render.live_text import live_screen
from v2x.text import plural

if TYPE_CHECKING:
    from v2x.engine.batches import Batch
    from v2x.engine.control import Control

REST = 3
"""So many times as long as a look took it rests before the next one."""
HELP = "p pause  r resume  t throttle  c cancel  q leave (the batch goes on)"


class Desk:
    """What keys do to a batch, and what is said of it. `question` is the line that is being typed, if one is."""

    def __init__(self, steering: "Control", batch: "Batch") -> None:
        self._steering, self._batch = steering, batch
        self.said = ""
        self.question: Line | None = None
        self._then: Callable[[str], None] = self._ignore
        self.left = False

    def typed(self, keys: str) -> bool:
        """Takes what was typed; whether the batch may be another now. What goes wrong is said, and ends nothing."""
        if not keys:
            return False
        try:
            if self.question is None:
                self._key(keys[0].lower())
                return self.question is None
            answer = self.question.take(keys)
            if answer is None:
                return False
            self.question = None
            self._then(answer)
        except V2xError as problem:
            self.question, self.said = None, f"{problem.message} [{problem.code}]"
        return True

    def tell(self, text: str) -> None:
        self.said = text

    def _key(self, key: str) -> None:
        self.said = ""
        if key == "q":
            self.left = True
        elif key == "p":
            changed = self._steering.pause(self._batch)
            self.said = "paused: what runs comes to a mark and stops" if changed else "it is paused already"
        elif key == "r":
            changed = self._steering.pause(self._batch, paused=False)
            working = self._steering.status(self._batch).workers
            self.said = "it goes on" if changed else "it is not paused"
            if not working:
                self.said = f"no worker runs: v2x batch resume {self._batch.id}"
        elif key == "t":
            self._ask("bytes per second for all batches, as 200M (0 for no limit, Enter leaves it):", self._throttle)
        elif key == "c":
            self._ask("cancel which machine? its name, or all (Enter gives up):", self._cancel)

    def _ask(self, question: str, then: Callable[[str], None]) -> None:
        self.question, self._then = Line(question), then

    def _ignore(self, answer: str) -> None:
        """Nothing was asked."""

    def _throttle(self, answer: str) -> None:
        from v2x.cli.limits import parsed_limit

        if not answer:
            self.said = "nothing was changed"
            return
        key, value = parsed_limit(f"rate={answer}")
        self._steering.throttle(key, value)
        self.said = f"limit: rate = {value}" if value != "0" else "no limit"

    def _cancel(self, answer: str) -> None:
        if not answer:
            self.said = "nothing was cancelled"
            return
        everything = answer.lower() == "all"
        ids = (
            [one.id for one in self._steering.migrations(self._batch)]
            if everything
            else self._steering.rows(self._batch, [answer])
        )
        what = "every machine that is not through" if everything else answer

        def confirmed(word: str) -> None:
            if word.lower() != "yes":
                self.said = "nothing was cancelled"
                return
            count = self._steering.cancel(self._batch, ids)
            self.said = f"{plural(count, 'machine')} cancelled"
            if count and not self._steering.status(self._batch).workers:
                self.said += f"; v2x batch resume {self._batch.id} clears away what they have"

        self._ask(f"cancel {what} and discard what it has on the target? type yes:", confirmed)


def is_interactive() -> bool:
    """Whether somebody sits there: keys come from a terminal, and the screen is one."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def draw(lines: list[str]) -> None:
    """Puts a screen over the one before, line by line, so that nothing flickers or scrolls."""
    body = "\n".join(f"{line}\x1b[K" for line in lines)
    show.raw(f"\x1b[H{body}\x1b[J".encode())


def watch_live(
    steering: "Control",
    batch: "Batch",
    seconds: float,
    looked: Callable[[Callable[[str], None]], bool],
    now: Callable[[], float] = time.monotonic,
) -> BatchStatus:
    """Shows the batch until it is through or somebody leaves; returns the last look.

    `looked` is called with each look and a way to say something; it tells whether there is more to wait for when all
    machines have ended.
    """
    desk = Desk(steering, batch)

    def look() -> tuple[bool, BatchStatus, float]:
        """What there is, and when to look again: of thousands of machines less often, so that watching costs little."""
        began = now()
        more, status = looked(desk.tell), steering.status(batch)
        return more, status, now() + max(seconds, REST * (now() - began))

    with Keys() as keys:
        # The other screen of the terminal: what stood there before comes back.
        show.raw(b"\x1b[?1049h\x1b[2J")
        try:
            more, status, due = look()
            while True:
                draw(_screen(status, desk))
                if desk.left or (all(row.state == "ended" for row in status.rows) and not more):
                    return status
                if desk.typed(keys.wait(due - now())) or now() >= due:
                    more, status, due = look()
        finally:
            show.raw(b"\x1b[?1049l")


def _screen(status: BatchStatus, desk: Desk) -> list[str]:
    size = shutil.get_terminal_size()
    keys = str(desk.question) if desk.question is not None else HELP
    return live_screen(status, width=size.columns, height=size.lines, colour=show.colours(), said=desk.said, keys=keys)
