# SPDX-License-Identifier: Apache-2.0
"""HTML pages: one file each, nothing loaded.

Three walls stand between data and the reader's browser: every expression passes `printable`, then autoescaping, and
the page's own Content-Security-Policy allows nothing but the one style sheet, and the one script of an assessment,
whose hashes it names. That script puts data into the page as text only, and trusted types hold it to that.
"""

import base64
import hashlib
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from v2x.model.finding import Severity, Verdict
from v2x.model.migration import Outcome, Report
from v2x.model.units import show_bytes
from v2x.render import aftercare, charts, run
from v2x.render.assessment import VERDICTS, Assessment, guest_name, pace_words, pool_words, target_name
from v2x.render.baseline import spoken_verdict
from v2x.render.guest_changes import change_line
from v2x.render.payload import payload
from v2x.render.words import copy_line, show_duration, show_span, show_time
from v2x.text import plural, printable

_CELL_LIMIT = 1000
_WORDS = {
    Severity.BLOCKER: "Blocker",
    Severity.WARNING: "Warning",
    Severity.INFO: "Note",
    Severity.UNKNOWN: "Unknown",
}
_TONES = {
    Verdict.BLOCKED: "blocker",
    Verdict.WARNINGS: "warning",
    Verdict.READY: "good",
    Verdict.UNKNOWN: "unknown",
}
_COLUMNS = (
    ("name", "Name"),
    ("verdict", "Verdict"),
    ("system", "Operating system"),
    ("cpus", "CPUs"),
    ("memory", "Memory"),
    ("capacity", "Disks"),
    ("moved", "To move"),
    ("seconds", "Time"),
    ("wave", "Wave"),
    ("findings", "Findings"),
)
_LOUD = (Severity.BLOCKER, Severity.UNKNOWN, Severity.WARNING)
_RULES_SHOWN = 16
_NUMERIC = frozenset({"cpus", "memory", "capacity", "moved", "seconds", "wave"})


def assessment_page(assessment: Assessment) -> bytes:
    """The assessment as one HTML file."""
    total = len(assessment.machines)
    numbered = [(number, group) for number, group in enumerate(assessment.by_rule) if group.machine_count]
    machines = [assessed.machine for assessed in assessment.machines]
    movable = assessment.count(Verdict.READY) + assessment.count(Verdict.WARNINGS)
    return _page(
        "assessment.html.j2",
        script=_file("assessment.js") if total else "",
        assessment=assessment,
        headline=headline(assessment),
        ring=charts.verdict_ring(assessment),
        systems=charts.system_bars(machines),
        sizes=charts.size_bars(machines),
        movable=100 * movable // total if total else 0,
        loud=sorted(
            ((number, group) for number, group in numbered if group.severity is not Severity.INFO),
            key=lambda pair: _LOUD.index(pair[1].severity),
        ),
        shown=_RULES_SHOWN,
        quiet=[(number, group) for number, group in numbered if group.severity is Severity.INFO],
        payload=payload(assessment) if total else "",
        verdicts=VERDICTS,
        columns=_COLUMNS,
        numeric=_NUMERIC,
    )


def report_page(report: Report) -> bytes:
    """The report of a run as one HTML file."""
    return _page("report.html.j2", report=report)


def live_page(template: str, script: str) -> bytes:
    """A page without data, whose script may ask the server that it came from, and no other."""
    return _page(template, script=_file(script), connects=True)


def headline(assessment: Assessment) -> str:
    """The whole report in a sentence or two."""
    total = len(assessment.machines)
    if not total:
        return "The source lists no machine."
    ready, changes = assessment.count(Verdict.READY), assessment.count(Verdict.WARNINGS)
    how = f", {ready:,} of them as they are" if ready and changes else " as they are" if ready else " with changes"
    told = [f"{ready + changes:,} of {plural(total, 'machine')} can move to XCP-ng{how if ready + changes else ''}"]
    blocked, unknown = assessment.count(Verdict.BLOCKED), assessment.count(Verdict.UNKNOWN)
    told += [f"{blocked:,} {'is' if blocked == 1 else 'are'} blocked"] if blocked else []
    told += [f"too little is known of {unknown:,}"] if unknown else []
    pool = "" if assessment.facts is not None else " No pool was asked yet, so what depends on it is open."
    return "; ".join(told) + "." + pool


def _page(template: str, *, script: str = "", connects: bool = False, **values: Any) -> bytes:
    """The page with a policy that allows its own style, and its own script where it has one, by their hashes.

    Trusted types forbid the script itself to parse markup.
    """
    style = _file("style.css") + (_file("wall.css") if connects else "")
    policy = f"default-src 'none'; style-src 'sha256-{_digest(style)}'; base-uri 'none'; form-action 'none'"
    if script:
        policy += f"; script-src 'sha256-{_digest(script)}'; require-trusted-types-for 'script'"
    if connects:
        policy += "; connect-src 'self'"
    text = _environment().get_template(template).render(values, style=style, script=script, policy=policy)
    return text.encode()


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("v2x.render"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(size=show_bytes, time=show_time, plural=plural, guest=guest_name, target=target_name)
    environment.filters.update(
        change_line=change_line,
        disk_line=run.disk_line,
        card_line=run.card_line,
        copy_line=copy_line,
        verdict=spoken_verdict,
        span=show_span,
        pace=pace_words,
    )
    environment.filters.update(duration=show_duration)
    environment.globals.update(
        Severity=Severity,
        Verdict=Verdict,
        words=_WORDS,
        tones=_TONES,
        run=run,
        care=aftercare,
        tone=_tone,
        pool_words=pool_words,
    )
    return environment


@cache
def _file(name: str) -> str:
    """A style sheet or script with line ends as they will stand in the page: hashes are taken of these bytes."""
    environment = Environment(loader=PackageLoader("v2x.render"), autoescape=True)
    source, _, _ = PackageLoader("v2x.render").get_source(environment, name)
    return source


def _finalize(value: Any) -> Any:
    """What every expression of a template passes before it is escaped."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return printable(value, _CELL_LIMIT)


def _tone(outcome: Outcome) -> str:
    if outcome in run.GOOD:
        return "good"
    return "blocker" if outcome in {Outcome.FAILED, Outcome.BLOCKED} else "warning"
