# SPDX-License-Identifier: Apache-2.0
"""The assessment for a terminal or an e-mail: totals first, then what concerns all, then what there is to do.

A few machines are told one by one; more of them rule by rule, with their names.
"""

from collections.abc import Iterator

from v2x.model.finding import Severity, Verdict
from v2x.model.forecast import Forecast
from v2x.model.units import show_bytes
from v2x.render.assessment import VERDICTS, Assessed, Assessment, Group, guest_name, pace_words, target_name
from v2x.render.changes_text import changes_lines
from v2x.render.layout import NARROWEST, paint, wrap
from v2x.render.words import show_span, show_time
from v2x.text import plural, printable

_WORDS = {
    Severity.BLOCKER: "BLOCKER",
    Severity.WARNING: "WARNING",
    Severity.INFO: "note",
    Severity.UNKNOWN: "UNKNOWN",
}
_COLOURS = {
    Verdict.BLOCKED: "blocker",
    Verdict.UNKNOWN: "info",
    Verdict.WARNINGS: "warning",
    Verdict.READY: "good",
}
_MARGIN = 11
_NAMES_SHOWN = 100
_NAMES_IN_A_RULE = 12
_WAVES_SHOWN = 12
_GAPS_SHOWN = 8
_TOLD_ONE_BY_ONE = 12


def assessment_text(assessment: Assessment, *, width: int = 80, colour: bool = False) -> bytes:
    """The report in lines of at most `width` columns (no less than 40), UTF-8, with a trailing newline."""
    page = _Page(max(width, NARROWEST), colour)
    lines = [*page.head(assessment)]
    if assessment.changes is not None:
        lines += changes_lines(assessment.changes, page.width, colour)
    lines += page.estate(assessment)
    if len(assessment.machines) <= _TOLD_ONE_BY_ONE:
        for assessed in assessment.machines:
            if assessed.groups:
                lines += page.machine(assessed)
    else:
        lines += page.rules(assessment)
    lines += page.silent([one.machine.name for one in assessment.machines if not one.groups])
    if assessment.forecast is not None:
        lines += page.forecast(assessment.forecast)
    lines += page.gaps(assessment)
    more = "" if len(assessment.machines) <= _TOLD_ONE_BY_ONE else " --format html tells all of every machine."
    lines += ["", *wrap(f"v2x explain RULE tells more about a rule in brackets.{more}", page.width)]
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
        for verdict in VERDICTS:
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
        indent = " " * _MARGIN
        yield from self._head(group)
        for finding in group.findings:
            about = (finding.machine_name if named else "", finding.subject)
            subject = "".join(f"{printable(word)}: " for word in about if word)
            yield from wrap(f"{subject}{printable(finding.text, 1000)}", self.width, first=indent)
        yield from wrap(printable(group.remedy, 1000), self.width, first=f"{indent}Do: ", rest=indent + "    ")

    def _head(self, group: Group, more: str = "") -> Iterator[str]:
        word = f"  {_WORDS[group.severity]:<{_MARGIN - 2}}"
        first, *rest = wrap(f"{group.label} [{group.rule}]{more}", self.width, first=word)
        yield paint(word, group.severity, self.colour) + first[len(word) :] if self.colour else first
        yield from rest

    def rules(self, assessment: Assessment) -> Iterator[str]:
        """What blockers and warnings there are, with the machines; notes in one line each."""
        groups = [group for group in assessment.by_rule if group.machine_count]
        loud = [group for group in groups if group.severity is not Severity.INFO]
        for group in loud:
            yield ""
            yield from self._head(group, f": {plural(group.machine_count, 'machine')}")
            names = list(dict.fromkeys(printable(one.machine_name, 60) or "(no name)" for one in group.findings))
            more = f" and {len(names) - _NAMES_IN_A_RULE:,} more" if len(names) > _NAMES_IN_A_RULE else ""
            yield from wrap(", ".join(names[:_NAMES_IN_A_RULE]) + more, self.width, first=" " * _MARGIN)
            yield from wrap(
                printable(group.remedy, 1000), self.width, first=f"{' ' * _MARGIN}Do: ", rest=" " * (_MARGIN + 4)
            )
        quiet = [group for group in groups if group.severity is Severity.INFO]
        if quiet:
            yield ""
        for group in quiet:
            yield from self._head(group, f": {plural(group.machine_count, 'machine')}")

    def forecast(self, forecast: Forecast) -> Iterator[str]:
        """Time, room and waves."""
        yield ""
        yield paint("Estimate", "strong", self.colour)
        yield from wrap(
            f"{show_bytes(forecast.data_bytes)} to move, {show_span(forecast.seconds)} one after the other, "
            f"at {printable(pace_words(forecast))}.",
            self.width,
            first="  ",
        )
        if forecast.unsized:
            count = plural(forecast.unsized, "machine")
            yield from wrap(
                f"Of {count} the whole size counts, because the source does not tell their data.",
                self.width,
                first="  ",
            )
        for wave in forecast.waves[:_WAVES_SHOWN]:
            size = f"{plural(len(wave.machines), 'machine')}, {show_bytes(wave.data_bytes)}, {show_span(wave.seconds)}"
            yield from wrap(
                f"{size}: {printable(wave.reason)}", self.width, first=f"  wave {wave.number:<3} ", rest=" " * 11
            )
        if len(forecast.waves) > _WAVES_SHOWN:
            yield f"  and {plural(len(forecast.waves) - _WAVES_SHOWN, 'wave')} more"

    def gaps(self, assessment: Assessment) -> Iterator[str]:
        """What is not known, and how to get it."""
        if not assessment.gaps:
            return
        yield ""
        yield paint(f"Not known: {plural(assessment.open_checks, 'check')} could not be made", "strong", self.colour)
        for gap in assessment.gaps[:_GAPS_SHOWN]:
            who = "" if gap.is_general else f", {plural(gap.machine_count, 'machine')}"
            head = f"{printable(gap.text, 1000)} ({plural(len(gap.findings), 'check')}{who})"
            yield from wrap(head, self.width, first="  ")
            yield from wrap(printable(gap.how, 1000), self.width, first="    Do: ", rest=" " * 8)
        if len(assessment.gaps) > _GAPS_SHOWN:
            yield from wrap(
                f"and {len(assessment.gaps) - _GAPS_SHOWN} more facts, which every other format lists",
                self.width,
                first="  ",
            )

    def silent(self, names: list[str]) -> Iterator[str]:
        """The machines of which no rule spoke, in one paragraph."""
        if not names:
            return
        more = f" and {len(names) - _NAMES_SHOWN:,} more" if len(names) > _NAMES_SHOWN else ""
        yield ""
        yield paint("Ready, with nothing to say", "good", self.colour)
        shown = [printable(name, 80) or "(no name)" for name in names[:_NAMES_SHOWN]]
        yield from wrap(", ".join(shown) + more, self.width, first="  ")


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
