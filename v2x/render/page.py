# SPDX-License-Identifier: Apache-2.0
"""HTML pages: one file each, nothing loaded, nothing active.

Three walls stand between data and the reader's browser: every expression passes `printable`, then autoescaping, and
the page's own Content-Security-Policy allows nothing but the one style sheet whose hash it names.
"""

import base64
import hashlib
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from v2x.model.finding import Severity, Verdict
from v2x.model.machine import Disk, DiskBus, DiskFormat, Nic, NicModel, Other
from v2x.model.migration import Outcome, Report
from v2x.model.units import show_bytes
from v2x.render import run
from v2x.render.assessment import Assessment, guest_name, target_name
from v2x.render.baseline import spoken_verdict
from v2x.render.words import show_time
from v2x.text import plural, printable

_CELL_LIMIT = 1000
_WORDS = {Severity.BLOCKER: "Blocker", Severity.WARNING: "Warning", Severity.INFO: "Note"}
_TONES = {Verdict.BLOCKED: "blocker", Verdict.WARNINGS: "warning", Verdict.READY: "good"}


def assessment_page(assessment: Assessment) -> bytes:
    """The assessment as one HTML file."""
    return _page("assessment.html.j2", assessment=assessment, bars=_verdict_bars(assessment))


def report_page(report: Report) -> bytes:
    """The report of a run as one HTML file."""
    return _page("report.html.j2", report=report)


def _page(template: str, **values: Any) -> bytes:
    environment = _environment()
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    text = environment.get_template(template).render(values, style=style, style_digest=digest)
    return text.encode()


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
    environment.filters.update(disk_line=run.disk_line, card_line=run.card_line, verdict=spoken_verdict)
    environment.globals.update(Severity=Severity, Verdict=Verdict, words=_WORDS, tones=_TONES, run=run, tone=_tone)
    environment.globals.update(disk_place=_disk_place, disk_format=_disk_format, nic_model=_nic_model)
    return environment


@cache
def _style() -> str:
    """The style sheet with line ends as they will stand in the page: the hash is taken of exactly these bytes."""
    environment = Environment(loader=PackageLoader("v2x.render"), autoescape=True)
    source, _, _ = PackageLoader("v2x.render").get_source(environment, "style.css")
    return source


def _finalize(value: Any) -> Any:
    """What every expression of a template passes before it is escaped."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return printable(value, _CELL_LIMIT)


def _own_word(value: object) -> str:
    return value.text if isinstance(value, Other) else str(value)


def _disk_place(disk: Disk) -> str:
    if disk.bus is DiskBus.UNKNOWN:
        return "unknown"
    return f"{_own_word(disk.bus)} {disk.controller}:{disk.unit}"


def _disk_format(disk: Disk) -> str:
    form = disk.format.value.upper() if isinstance(disk.format, DiskFormat) else disk.format.text
    return f"{form} {disk.subformat}".strip()


def _nic_model(nic: Nic) -> str:
    return "unknown" if nic.model is NicModel.UNKNOWN else _own_word(nic.model)


def _tone(outcome: Outcome) -> str:
    if outcome in run.GOOD:
        return "good"
    return "blocker" if outcome is Outcome.FAILED else "warning"


def _verdict_bars(assessment: Assessment) -> list[tuple[str, float, float]]:
    """The bar of verdicts: tone, start and width in percent, for those that occur."""
    bars: list[tuple[str, float, float]] = []
    start, total = 0.0, len(assessment.machines)
    for verdict in (Verdict.READY, Verdict.WARNINGS, Verdict.BLOCKED):
        width = 100 * assessment.count(verdict) / total if total else 0.0
        if width:
            bars.append((_TONES[verdict], round(start, 3), round(width, 3)))
        start += width
    return bars
