# SPDX-License-Identifier: Apache-2.0
"""The report of a run for a terminal or an e-mail."""

from collections.abc import Iterator

from v2x.model.migration import Migration, Outcome, Report
from v2x.model.units import show_bytes
from v2x.render.aftercare import TONES, check_line, health_line, outage_line, part_lines, recorded_line
from v2x.render.guest_changes import change_line
from v2x.render.layout import NARROWEST, fit, paint, wrap
from v2x.render.run import (
    GOOD,
    after_line,
    approval_lines,
    books,
    card_line,
    check_steps,
    counts,
    disk_line,
    duration,
    phases_line,
    remaining_steps,
    rollback_steps,
    sent_bytes,
    smbios_line,
)
from v2x.render.words import copy_line, show_time
from v2x.text import plural, printable


def report_text(report: Report, *, width: int = 80, colour: bool = False) -> bytes:
    """The report in lines of at most `width` columns (no less than 40), UTF-8, with a trailing newline."""
    page = _Page(max(width, NARROWEST), colour)
    lines = [*page.head(report)]
    for migration in report.migrations:
        lines += page.migration(migration)
    approvals = approval_lines(report)
    if approvals:
        lines += page.steps("Approvals", approvals)
    checks = check_steps(report)
    if checks:
        lines += page.steps("How to check", checks)
    remaining = remaining_steps(report)
    if remaining:
        lines += page.steps("What remains in Xen Orchestra", remaining)
    lines += page.steps("How to go back", rollback_steps(report))
    return ("\n".join(lines) + "\n").encode()


class _Page:
    def __init__(self, width: int, colour: bool) -> None:
        self.width = width
        self.colour = colour

    def head(self, report: Report) -> Iterator[str]:
        yield paint(f"Migration of {plural(len(report.migrations), 'machine')}", "strong", self.colour)
        yield from self._field("Run", report.id)
        if report.plan_id:
            yield from self._field("Plan", report.plan_id)
        yield from self._field("Made", f"{show_time(report.created)}, v2x {report.version}")
        yield ""
        for outcome, count in counts(report):
            yield f"{count:>8,}  {paint(outcome, _colour(outcome), self.colour)}"
        yield from wrap(f"{show_bytes(sent_bytes(report))} sent", self.width, first=" " * 10)

    def migration(self, migration: Migration) -> Iterator[str]:
        yield ""
        name = printable(migration.machine_name, 200) or "(no name)"
        for line in wrap(f"{name}: {migration.outcome}", self.width):
            yield paint(line, _colour(migration.outcome), self.colour)
        yield from self._field("From", migration.source, "  ")
        yield from self._field("To", f"{migration.target_name} on {migration.target}", "  ")
        if migration.vm_uuid:
            yield from self._field("VM", migration.vm_uuid, "  ")
        if migration.started is not None:
            lasted = f", {duration(migration)}" if duration(migration) else ""
            yield from self._field("Time", f"{show_time(migration.started)}{lasted}", "  ")
        if migration.phases:
            yield from self._field("Phases", phases_line(migration), "  ")
        for label, text in books(migration):
            yield from wrap(f"{label}: {printable(text, 1000)}", self.width, first="  ", rest=" " * 10)
        if migration.machine is not None:
            if smbios_line(migration):
                yield from self._field("SMBIOS", smbios_line(migration), "  ")
            yield from self._field("Now", after_line(migration.machine), "  ")
            for note in migration.machine.notes:
                yield from self._field("", note, "  - ")
        yield from self._said(migration)
        yield from self._disks(migration)
        yield from self._changes(migration)
        for card in map(card_line, migration.machine.nics if migration.machine is not None else ()):
            yield from self._field(card.label, f"{card.network}, {card.mac or 'a new MAC address'}", "  ")

    def _said(self, migration: Migration) -> Iterator[str]:
        """What went wrong, what was warned of, and its test copies."""
        if migration.failure is not None:
            yield from self._field("Reason", f"{migration.failure.message} [{migration.failure.code}]", "  ")
            if migration.failure.hint:
                yield from self._field("Do", migration.failure.hint, "  ")
        if migration.alarm:
            for line in self._field("ALARM", migration.alarm, "  "):
                yield paint(line, "blocker", self.colour)
        yield from self._health(migration)
        for warning in migration.warnings:
            yield from self._field("Warning", warning, "  ")
        for test in migration.tests:
            yield from self._field("Test", copy_line(test), "  ")

    def _health(self, migration: Migration) -> Iterator[str]:
        health, outage = migration.health, migration.outage
        if health is not None:
            for line in self._field("Health", health_line(health), "  "):
                yield paint(line, TONES[health.verdict], self.colour)
            if recorded_line(health):
                yield from self._field("", f"recorded before: {recorded_line(health)}")
            for check in health.checks:
                yield from self._field("", check_line(check), "  - ")
        if outage is not None and outage_line(outage):
            yield from self._field("Outage", outage_line(outage), "  ")
            for part in part_lines(outage):
                real = f", was {part.real}" if part.real else ""
                yield from self._field("", f"{part.part}: predicted {part.predicted or 'nothing'}{real}", "  - ")

    def _disks(self, migration: Migration) -> Iterator[str]:
        for disk in map(disk_line, migration.disks):
            yield from wrap(printable(disk.label), self.width, first="  Disk    ")
            parts = [f"{disk.capacity}, {disk.on_target} on the target", f"{disk.data} of data", f"{disk.sent} sent"]
            if disk.resumed:
                parts.append(f"continued from {disk.resumed}")
            parts.append(f"in {disk.duration}" + (f" ({disk.rate})" if disk.rate else ""))
            yield from wrap(", ".join(parts), self.width, first=" " * 10)
            checked = disk.verified + (f"; {printable(disk.digests)}" if disk.digests else "")
            yield from wrap(checked, self.width, first=" " * 10)
            if disk.vdi:
                yield from wrap(f"VDI {printable(disk.vdi)}", self.width, first=" " * 10)

    def _changes(self, migration: Migration) -> Iterator[str]:
        """What was changed inside the guest; the lines of files keep their blanks, and are cut at the width."""
        for number, change in enumerate(map(change_line, migration.changes)):
            yield from self._field("" if number else "Guest", f"{change.verb} {change.what}: {change.why}", "  ")
            for line in change.lines:
                yield fit(" " * 12 + printable(line, 1000), self.width).rstrip()

    def steps(self, title: str, steps: list[str]) -> Iterator[str]:
        yield ""
        yield paint(title, "strong", self.colour)
        for number, step in enumerate(steps, 1):
            yield from wrap(printable(step), self.width, first=f"{number:>3}. ")

    def _field(self, name: str, value: str, indent: str = "") -> list[str]:
        return wrap(printable(value, 1000), self.width, first=f"{indent}{name:<8}" if name else f"{indent:<10}")


def _colour(outcome: Outcome) -> str:
    if outcome in GOOD:
        return "good"
    return "blocker" if outcome in {Outcome.FAILED, Outcome.BLOCKED} else "warning"
