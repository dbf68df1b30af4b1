# SPDX-License-Identifier: Apache-2.0
"""What changed since an earlier assessment, for a terminal: the machines first, then the findings by rule."""

from collections.abc import Iterator, Sequence

from v2x.model.finding import Finding, Severity
from v2x.render.baseline import Changes, spoken_verdict
from v2x.render.layout import paint, wrap
from v2x.render.words import show_time
from v2x.text import plural, printable

_NAMES_SHOWN = 20


def changes_lines(changes: Changes, width: int, colour: bool) -> Iterator[str]:
    """The lines of the section, with a blank one before."""
    yield ""
    yield paint(f"What changed since {show_time(changes.since)}", "strong", colour)
    for caution in changes.cautions:
        yield from wrap(printable(caution), width, first="  ")
    if not changes.count:
        yield "  Nothing."
    verdicts = [f"{_name(one.name)} ({_verdict(one.before)} → {_verdict(one.now)})" for one in changes.verdicts]
    for what, names in (
        ("new machine", [f"{_name(one.name)} ({_verdict(one.verdict)})" for one in changes.new_machines]),
        ("machine gone", [_name(one.name) for one in changes.gone_machines]),
        ("verdict changed", verdicts),
    ):
        if names:
            yield from wrap(
                f"{plural(len(names), what, _several(what))}: {_some(names)}", width, first="  ", rest="    "
            )
    yield from _findings("new finding", changes.new_findings, width)
    yield from _findings("finding gone", changes.gone_findings, width)


def _name(word: str) -> str:
    return printable(word, 80)


def _verdict(word: str) -> str:
    return printable(spoken_verdict(word), 80)


def _several(what: str) -> str:
    first, _, last = what.partition(" ")
    return f"{what}s" if first == "new" else f"{first}s {last}"


def _findings(what: str, findings: Sequence[Finding], width: int) -> Iterator[str]:
    if not findings:
        return
    yield f"  {plural(len(findings), what, _several(what))}:"
    by_rule: dict[str, list[Finding]] = {}
    for finding in findings:
        by_rule.setdefault(finding.rule, []).append(finding)
    order = sorted(by_rule.values(), key=lambda group: (-group[0].severity.weight, group[0].rule))
    for group in order:
        names = list(dict.fromkeys(printable(one.machine_name, 80) or "the estate" for one in group))
        word = "note" if group[0].severity is Severity.INFO else group[0].severity
        text = f"{word}: {printable(group[0].label)} [{printable(group[0].rule)}]: {_some(names)}"
        yield from wrap(text, width, first="    ", rest="      ")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN:,} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more
