# SPDX-License-Identifier: Apache-2.0
"""The assessment for a terminal or an e-mail: totals first, then what concerns all, then machine by machine."""

from collections.abc import Iterator

from v2x.model.finding import Severity, Verdict
from v2x.model.units import show_bytes
from v2x.render.assessment import Assessed, Assessment, Group, guest_name, target_name
from v2x.render.changes_text import changes_lines
from v2x.render.layout import NARROWEST, paint, wrap
from v2x.render.words import show_time
from v2x.text import plural, printable

_WORDS = {Severity.BLOCKER: "BLOCKER", Severity.WARNING: "WARNING", Severity.INFO: "note"}
_COLOURS = {Verdict.BLOCKED: "blocker", Verdict.WARNINGS: "warning", Verdict.READY: "good"}
_MARGIN = 11
_NAMES_SHOWN = 100


def assessment_text(assessment: Assessment, *, width: int = 80, colour: bool = False) -> bytes:
    """The report in lines of at most `width` columns (no less than 40), UTF-8, with a trailing newline."""
    page = _Page(max(width, NARROWEST), colour)
    lines = [*page.head(assessment)]
    if assessment.changes is not None:
        lines += changes_lines(assessment.changes, page.width, colour)
    lines += page.estate(assessment)
    silent: list[str] = []
    for assessed in assessment.machines:
        if assessed.groups:
            lines += page.machine(assessed)
        else:
            silent.append(printable(assessed.machine.name, 80))
    lines += page.silent(silent)
    lines += ["", *wrap("v2x explain RULE tells more about a rule in brackets.", page.width)]
    return ("\n".join(lines) + "\n").encode()


class _Page:
    def __init__(self, width: int, colour: bool) -> None:
        self.width = width
        self.colour = colour

    def head(self, assessment: Assessment) -> Iterator[str]:
        inventory = assessment.inventory
        yield paint(f"Assessment of {plural(len(assessment.machines), 'machine')}", "strong", self.colour)
        yield from self._field("Source", f"{inventory.source.address} ({inventory.source.kind})")
        yield from self._field("Target", target_name(assessment.facts))
        yield from self._field("Taken", f"{show_time(inventory.taken_at)}")
        yield from self._field("Report", f"{show_time(assessment.now)}, v2x {assessment.version}")
        yield ""
        for verdict in (Verdict.READY, Verdict.WARNINGS, Verdict.BLOCKED):
            yield f"{assessment.count(verdict):>8,}  {paint(verdict, _COLOURS[verdict], self.colour)}"
        disks = f"{plural(assessment.disk_count, 'disk')}, {show_bytes(assessment.capacity_bytes)}"
        yield from wrap(f"{disks}; {show_bytes(assessment.memory_bytes)} of memory", self.width, first="          ")

    def _field(self, name: str, value: str) -> list[str]:
        return wrap(printable(value), self.width, first=f"{name:<8}")

    def estate(self, assessment: Assessment) -> Iterator[str]:
        if assessment.estate:
            yield ""
            yield paint("All machines together", "strong", self.colour)
            for group in assessment.estate:
                yield from self._group(group, named=True)

    def machine(self, assessed: Assessed) -> Iterator[str]:
        machine, verdict = assessed.machine, assessed.verdict
        name = printable(machine.name, 200) or "(no name)"
        head = wrap(f"{name}: {verdict}", self.width)
        yield ""
        yield from (paint(line, _COLOURS[verdict], self.colour) for line in head)
        yield from wrap(hardware_line(assessed), self.width, first="  ")
        for group in assessed.groups:
            yield from self._group(group)

    def _group(self, group: Group, *, named: bool = False) -> Iterator[str]:
        word = f"  {_WORDS[group.severity]:<{_MARGIN - 2}}"
        indent = " " * _MARGIN
        first, *rest = wrap(f"{group.label} [{group.rule}]", self.width, first=word)
        yield paint(word, group.severity, self.colour) + first[len(word) :] if self.colour else first
        yield from rest
        for finding in group.findings:
            about = (finding.machine_name if named else "", finding.subject)
            subject = "".join(f"{printable(word)}: " for word in about if word)
            yield from wrap(f"{subject}{printable(finding.text, 1000)}", self.width, first=indent)
        yield from wrap(group.remedy, self.width, first=f"{indent}Do: ", rest=indent + "    ")

    def silent(self, names: list[str]) -> Iterator[str]:
        """The machines of which no rule spoke, in one paragraph."""
        if not names:
            return
        more = f" and {len(names) - _NAMES_SHOWN:,} more" if len(names) > _NAMES_SHOWN else ""
        yield ""
        yield paint("Ready, with nothing to say", "good", self.colour)
        yield from wrap(", ".join(names[:_NAMES_SHOWN]) + more, self.width, first="  ")


def hardware_line(assessed: Assessed) -> str:
    """The machine in one sentence."""
    machine = assessed.machine
    parts = [
        printable(guest_name(machine.guest), 80),
        plural(machine.cpu.count, "processor"),
        f"{show_bytes(machine.memory.size_bytes)} of memory",
        f"{plural(len(machine.disks), 'disk')} ({show_bytes(machine.capacity_bytes)})",
        plural(len(machine.nics), "network card"),
        machine.firmware.upper(),
    ]
    return ", ".join(parts)
