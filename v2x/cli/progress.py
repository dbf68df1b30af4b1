# SPDX-License-Identifier: Apache-2.0
"""Progress on a terminal: one tqdm bar for the disk at work, with rate and time left; silent elsewhere."""

import shutil
import sys
from typing import TYPE_CHECKING, Never, TextIO

from v2x.engine.interface import Order
from v2x.migrate.observe import Observer
from v2x.model.migration import Migration, Outcome, Phase
from v2x.model.units import show_bytes
from v2x.render.layout import NARROWEST, wrap
from v2x.text import printable

if TYPE_CHECKING:
    from tqdm import tqdm

_SPOKEN = {
    Phase.PREFLIGHT: "checking",
    Phase.CLAIM: "making the machine on the target",
    Phase.CONVERT: "putting the guest right for Xen",
    Phase.INTEGRITY: "waiting for the source's digests",
    Phase.SEAL: "finishing",
    Phase.START: "starting it",
    Phase.HEALTH: "looking whether it is well",
}


class Console:
    """A watcher that speaks to stderr: bars where that is a terminal, one line per machine where it is not.

    `failures` is off where the command itself ends with the failure of its one machine. With `lines`, what bars would
    show is told in lines, a few for each disk: for screen readers, and terminals that cannot draw over what they have.
    """

    def __init__(
        self, *, quiet: bool = False, failures: bool = True, lines: bool = False, stream: TextIO | None = None
    ) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._failures = failures
        self._lines = lines and not quiet
        self._bars = not quiet and not lines and self._stream.isatty()

    def begin(self, order: Order) -> Observer:
        name = printable(order.machine.name, 40)
        self.say(f"{printable(order.machine.name)} → {printable(order.spec.name)}")
        return _Lines(self, name) if self._lines else _Bars(self)

    def observer(self) -> Observer:
        """An observer that shows bars here."""
        return _Bars(self)

    def end(self, migration: Migration) -> None:
        if migration.outcome in {Outcome.MIGRATED, Outcome.ALREADY}:
            self.say(f"  {migration.outcome}: {printable(migration.target_name)} {migration.vm_uuid}")
        elif migration.outcome in {Outcome.SKIPPED, Outcome.MISSED_WINDOW} and migration.failure is not None:
            name, why = printable(migration.machine_name), printable(migration.failure.message, 1000)
            self.say(f"{name} {migration.outcome}: {why} [{migration.failure.code}]")
        elif migration.failure is not None and self._failures:
            name, message = printable(migration.machine_name), printable(migration.failure.message, 1000)
            whose = "" if name in message else f"{name}: "
            self.say(f"  {migration.outcome}: {whose}{message} [{migration.failure.code}]")
            if migration.failure.hint:
                self.say(f"    try: {printable(migration.failure.hint, 1000)}")

    def say(self, text: str) -> None:
        if self._quiet:
            return
        if self._bars:
            from tqdm import tqdm

            tqdm.write(self._fitted(text), file=self._stream)
        else:
            self._stream.write(self._fitted(text) + "\n")
            self._stream.flush()

    def _fitted(self, text: str) -> str:
        """The line in the width of a terminal, between words; as it is for a file."""
        if not self._stream.isatty():
            return text
        indent = text[: len(text) - len(text.lstrip())]
        width = max(NARROWEST, shutil.get_terminal_size().columns)
        return "\n".join(wrap(text.lstrip(), width, first=indent, rest=f"{indent}  "))

    @property
    def bars(self) -> bool:
        return self._bars

    @property
    def stream(self) -> TextIO:
        return self._stream


class _Bars:
    """The observer of one machine."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: tqdm[Never] | None = None

    def phase(self, phase: Phase) -> None:
        self._close()
        if phase in _SPOKEN and self._console.bars:
            self._console.say(f"  {_SPOKEN[phase]}")

    def disk(self, disk: str, label: str, activity: str, done_bytes: int, total_bytes: int) -> None:
        self._close()
        if not self._console.bars or not total_bytes:
            return
        from tqdm import tqdm

        self._bar = tqdm(
            total=total_bytes,
            initial=done_bytes,
            desc=f"  {activity} {printable(label or disk, 24)}",
            unit="B",
            unit_scale=True,
            unit_divisor=1024,
            dynamic_ncols=True,
            file=self._console.stream,
            leave=True,
        )

    def progress(self, disk: str, count_bytes: int) -> None:
        if self._bar is not None:
            self._bar.update(count_bytes)

    def warning(self, text: str) -> None:
        self._console.say(f"  warning: {printable(text, 1000)}")

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class _Lines:
    """The observer of one machine that tells each quarter of a disk."""

    def __init__(self, console: Console, name: str) -> None:
        self._console, self._name = console, name
        self._label = ""
        self._done = self._total = 0

    def phase(self, phase: Phase) -> None:
        if phase in _SPOKEN:
            self._console.say(f"  {self._name}: {_SPOKEN[phase]}")

    def disk(self, disk: str, label: str, activity: str, done_bytes: int, total_bytes: int) -> None:
        self._label, self._done, self._total = f"{activity} {printable(label or disk, 24)}", done_bytes, total_bytes
        if total_bytes:
            self._console.say(f"  {self._name}: {self._label}, {show_bytes(total_bytes)}")

    def progress(self, disk: str, count_bytes: int) -> None:
        before, self._done = self._done, self._done + count_bytes
        quarter = 4 * self._done // self._total if self._total else 0
        if quarter > 4 * before // max(1, self._total) and quarter < 4:
            self._console.say(f"  {self._name}: {self._label}, {25 * quarter} %")

    def warning(self, text: str) -> None:
        self._console.say(f"  warning: {printable(text, 1000)}")
