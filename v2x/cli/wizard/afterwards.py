# SPDX-License-Identifier: Apache-2.0
"""What the wizard says at its end: what became of each machine, how to check, to go back, and to clean up."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from v2x.app import App
from v2x.cli import show
from v2x.cli.running import NOT_THROUGH
from v2x.cli.wizard.command import joined
from v2x.cli.wizard.talk import Wanted
from v2x.model.migration import Migration, Outcome, Report
from v2x.model.units import show_bytes
from v2x.render.layout import wrap
from v2x.render.run import compared_lines
from v2x.text import plural, printable

if TYPE_CHECKING:
    from v2x.engine.batches import Batch

_THROUGH = frozenset({Outcome.MIGRATED, Outcome.ALREADY})
_NAMED = 5
_CHECK = (
    "\nTo check: start it (in Xen Orchestra, or xe vm-start), log in, look at its services, and install the guest "
    "tools. This compares once more what the pool holds with what was copied, and shows the run:"
)


def outcome(one: Migration) -> list[str]:
    """What became of a machine, in a few lines; the report tells everything."""
    name = printable(one.target_name or one.machine_name, 60)
    if one.failure is not None and one.outcome not in _THROUGH:
        text = f"{name}: {one.outcome}: {printable(one.failure.message, 1000)} [{one.failure.code}]"
        hint = wrap(f"try: {printable(one.failure.hint, 1000)}", show.width(), first="  ", rest="    ")
        return [*wrap(text, show.width(), rest="  "), *(hint if one.failure.hint else ())]
    held = sum(disk.data_bytes for disk in one.disks)
    lines = [f"{name}: {one.outcome}, {plural(len(one.disks), 'disk')} with {show_bytes(held)} of data"]
    for line in compared_lines(one.disks):
        lines += wrap(line, show.width(), first="  ", rest="    ")
    for warning in one.warnings:
        lines += wrap(f"warning: {printable(warning, 1000)}", show.width(), first="  ", rest="    ")
    return lines


def reports(written: Path) -> list[str]:
    return ["", f"report: {written}", f"        {written.with_suffix('.html')}"]


class Afterwards:
    """The commands of a batch that make sense after what happened, in the lines that a person types."""

    def __init__(self, app: App, wanted: Wanted, batch: "Batch", report: Report, written: Path) -> None:
        self._batch, self._written = batch, written
        self._through = [one for one in report.migrations if one.outcome in _THROUGH]
        self._failed = [one for one in report.migrations if one.outcome in NOT_THROUGH]
        self._stopped = [one for one in report.migrations if one.outcome not in _THROUGH | NOT_THROUGH]
        self._state = [["--state", wanted.state]] if wanted.state else []
        target = batch.doors.targets[0]
        self._is_pool = not target.address.startswith("xva:")
        self._target = [["--target", target.alias]]
        self._pin: list[list[str]] = []
        if target.fingerprint and target.alias not in app.config.targets:
            self._pin = [["--target-fingerprint", target.fingerprint]]

    def lines(self) -> Iterator[str]:
        if self._through and self._is_pool:
            yield _CHECK
            yield self._command("v2x", "verify", str(self._written), more=self._pin)
            yield self._of_batch("status")
            yield "To go back, which stops it on the pool, and starts the source again where it ran before:"
            yield self._of_batch("rollback", named=True)
            yield "When all is well, to give up the way back (the source is never removed):"
            yield self._of_batch("finalize", named=True)
        elif self._through:
            yield "\nTo check: import the files with xe vm-import, and start them. The source is as it was."
        if self._stopped:
            yield "\nIt is not at its end. To go on, v2x wizard again, or:"
            yield self._of_batch("resume")
        if self._failed:
            count = plural(len(self._failed), "machine")
            yield f"\n{count} did not get through; that touches no other. When the cause is away:"
            yield self._of_batch("resume")
        if (self._failed or self._stopped) and self._is_pool:
            yield "To give it up, and to list what is left on the target (--yes removes it):"
            yield self._command("v2x", "batch", "cancel", self._batch.id, "--all", more=self._state)
            yield self._command("v2x", "cleanup", more=[*self._target, *self._pin])

    def _of_batch(self, verb: str, *, named: bool = False) -> str:
        names = [["--machine", one.machine_name] for one in self._through[:_NAMED]] if named else []
        return self._command("v2x", "batch", verb, self._batch.id, more=[*names, *self._state])

    @staticmethod
    def _command(*words: str, more: list[list[str]]) -> str:
        return "\n".join(f"  {line}" for line in joined([words, *more]).split("\n"))
