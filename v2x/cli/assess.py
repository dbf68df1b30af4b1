# SPDX-License-Identifier: Apache-2.0
"""`v2x assess`: the dry-run compatibility report; reads only."""

import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from v2x.cli.options import Given, shared

if TYPE_CHECKING:
    from v2x.model.forecast import Pace
    from v2x.render.baseline import Baseline


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"
    CSV = "csv"
    XLSX = "xlsx"
    HTML = "html"


class FailOn(StrEnum):
    BLOCKER = "blocker"
    WARNING = "warning"


@shared(source=True, target=True)
def assess(
    given: Given,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="address, path or alias of the source")],
    target: Annotated[str | None, typer.Option(metavar="TARGET", help="check against this pool as well")] = None,
    format: Annotated[Format, typer.Option(help="form of the report")] = Format.TEXT,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="write the report to this file")] = None,
    baseline: Annotated[
        Path | None, typer.Option(metavar="OLD.JSON", help="also say what changed since this earlier JSON report")
    ] = None,
    fail_on: Annotated[FailOn | None, typer.Option(help="exit 3 when there are findings as severe")] = None,
    select: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="only machines whose name or id matches; repeatable")
    ] = None,
    measured: Annotated[
        Path | None, typer.Option(metavar="RUN.JSON", help="estimate by the speed of this migration report")
    ] = None,
    throughput: Annotated[
        str, typer.Option(metavar="SIZE", help="estimate by this much in a second, such as 120MiB")
    ] = "",
) -> None:
    """Reports what will change, warn or break, without writing anywhere but to the report."""
    from v2x import __version__
    from v2x.assess.engine import assess as run_rules
    from v2x.cli import show
    from v2x.cli.build import build, selection
    from v2x.errors import FindingsError, UsageError
    from v2x.model.finding import Severity
    from v2x.plan import forecast
    from v2x.render import render_findings
    from v2x.text import plural

    form = Format.JSON if given.json else format
    if form is Format.XLSX and output is None and sys.stdout.isatty():
        raise UsageError("a workbook cannot be shown on a terminal", hint="name a file: -o report.xlsx")
    if form is Format.CSV and baseline is not None:
        raise UsageError("CSV has no place for changes", hint="with --baseline use text, json, xlsx or html")
    chosen = selection(select)
    old = _read(baseline, chosen) if baseline is not None else None
    pace = pace_of(measured, throughput)
    app = build(given)
    inventory = app.inventory(app.endpoint("source", source), chosen)
    facts = app.facts(app.endpoint("target", target)) if target else None
    findings = run_rules(inventory, facts, app.tables, app.rules, pace)
    outlook = forecast(inventory, facts, app.tables, rules=app.rules, findings=findings, pace=pace)
    data = render_findings(
        form, inventory, facts, findings, now=app.now(), version=__version__, baseline=old, forecast=outlook
    )
    if output is None:
        show.raw(data)
    else:
        show.save(output, data)
        show.note(f"report written to {output}", quiet=given.quiet)
    if fail_on is not None:
        bad = [one for one in findings if one.severity.weight >= Severity(fail_on.value).weight]
        if bad:
            raise FindingsError(f"{plural(len(bad), 'finding')} at or above {fail_on}", hint="see the report")


def pace_of(measured: Path | None, throughput: str) -> "Pace":
    """How fast disks travel: as an earlier run did, as the user says, or as is assumed."""
    from v2x.errors import InputRefused, UsageError
    from v2x.model.codec import SchemaError, from_json
    from v2x.model.forecast import DEFAULT_PACE, Pace, measured_pace
    from v2x.model.migration import REPORT_SCHEMA, Report
    from v2x.plan import parse_size

    if measured is not None and throughput:
        raise UsageError("--measured and --throughput both say how fast disks travel", hint="give one of them")
    if throughput:
        return Pace(bytes_per_second=parse_size(throughput.removesuffix("/s")), origin="as given by --throughput")
    if measured is None:
        return DEFAULT_PACE
    try:
        report = from_json(measured.read_bytes(), Report, REPORT_SCHEMA)
    except OSError as trouble:
        raise InputRefused(
            f"cannot read {measured}: {trouble.strerror}", code="MISSING-FILE", hint="check the path"
        ) from None
    except SchemaError as problem:
        raise InputRefused(
            f"{measured} is no report of a migration: {problem}",
            hint="give the report.json of v2x migrate or v2x batch",
        ) from None
    found = measured_pace(report)
    if found is None:
        raise InputRefused(f"{measured} tells no speed: nothing was sent", hint="give the report of another run")
    return found


def _read(path: Path, chosen: Callable[[str], bool] | None) -> "Baseline":
    """The earlier report, with the same machines chosen."""
    from v2x.errors import InputRefused
    from v2x.render.baseline import MOST_BASELINE_BYTES, read_baseline

    try:
        if path.stat().st_size > MOST_BASELINE_BYTES:
            raise InputRefused(f"{path} has {path.stat().st_size:,} bytes, a report has far less")
        data = path.read_bytes()
    except OSError as trouble:
        raise InputRefused(
            f"cannot read {path}: {trouble.strerror}", code="MISSING-FILE", hint="check the path"
        ) from None
    old = read_baseline(data, path.name)
    return old.only(chosen) if chosen is not None else old
