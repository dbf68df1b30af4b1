# SPDX-License-Identifier: Apache-2.0
"""The formats by name. A new one is a function and a line in a dict."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from v2x.errors import UsageError
from v2x.model.finding import Finding
from v2x.model.forecast import Forecast
from v2x.model.inventory import Inventory
from v2x.model.migration import Report
from v2x.model.target import TargetFacts
from v2x.render.assessment import Assessment, assessment_of
from v2x.render.baseline import Baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """What text is written on: `width` in columns, and whether ANSI colours are wanted."""

    width: int = 80
    colour: bool = False


def _findings_text(assessment: Assessment, paper: Paper) -> bytes:
    from v2x.render.assessment_text import assessment_text

    return assessment_text(assessment, width=paper.width, colour=paper.colour)


def _findings_json(assessment: Assessment, _paper: Paper) -> bytes:
    from v2x.render.assessment_json import assessment_json

    return assessment_json(assessment)


def _findings_csv(assessment: Assessment, _paper: Paper) -> bytes:
    from v2x.render.assessment_csv import assessment_csv

    return assessment_csv(assessment)


def _findings_xlsx(assessment: Assessment, _paper: Paper) -> bytes:
    from v2x.render.assessment_xlsx import assessment_xlsx

    return assessment_xlsx(assessment)


def _findings_html(assessment: Assessment, _paper: Paper) -> bytes:
    from v2x.render.page import assessment_page

    return assessment_page(assessment)


def _report_text(report: Report, paper: Paper) -> bytes:
    from v2x.render.report_text import report_text

    return report_text(report, width=paper.width, colour=paper.colour)


def _report_json(report: Report, _paper: Paper) -> bytes:
    from v2x.render.safe_json import dump

    return dump(report)


def _report_html(report: Report, _paper: Paper) -> bytes:
    from v2x.render.page import report_page

    return report_page(report)


FINDINGS_FORMATS: dict[str, Callable[[Assessment, Paper], bytes]] = {
    "text": _findings_text,
    "json": _findings_json,
    "csv": _findings_csv,
    "xlsx": _findings_xlsx,
    "html": _findings_html,
}

REPORT_FORMATS: dict[str, Callable[[Report, Paper], bytes]] = {
    "text": _report_text,
    "json": _report_json,
    "html": _report_html,
}


def render_findings(
    format: str,
    inventory: Inventory,
    facts: TargetFacts | None,
    findings: Sequence[Finding],
    *,
    now: datetime,
    version: str,
    baseline: Baseline | None = None,
    forecast: Forecast | None = None,
    width: int = 80,
    colour: bool = False,
) -> bytes:
    """The assessment report. UsageError for a `format` that is not in FINDINGS_FORMATS.

    `width` and `colour` count for text only. With `baseline`, all formats but CSV tell what changed since. With
    `forecast` they tell time, room, waves, and what each machine becomes. The same arguments give the same bytes.
    """
    write = _chosen(format, FINDINGS_FORMATS)
    assessment = assessment_of(
        inventory, facts, findings, now=now, version=version, baseline=baseline, forecast=forecast
    )
    return write(assessment, Paper(width=width, colour=colour))


def render_report(format: str, report: Report, *, width: int = 80, colour: bool = False) -> bytes:
    """The report of a run. JSON is the record itself, which `codec.from_json` reads back."""
    return _chosen(format, REPORT_FORMATS)(report, Paper(width=width, colour=colour))


def _chosen(name: str, formats: dict[str, Callable[..., bytes]]) -> Callable[..., bytes]:
    if name not in formats:
        raise UsageError(f"unknown report format {name!r}", hint=f"choose one of {', '.join(formats)}")
    return formats[name]
