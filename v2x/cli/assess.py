# SPDX-License-Identifier: Apache-2.0
"""`v2x assess`: the dry-run compatibility report; reads only."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from v2x.cli.options import Given, shared


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
    fail_on: Annotated[FailOn | None, typer.Option(help="exit 3 when there are findings as severe")] = None,
    select: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="only machines whose name or id matches; repeatable")
    ] = None,
) -> None:
    """Reports what will change, warn or break, without writing anywhere but to the report."""
    from v2x import __version__
    from v2x.assess.engine import assess as run_rules
    from v2x.cli import show
    from v2x.cli.build import build, selection
    from v2x.errors import FindingsError, UsageError
    from v2x.model.finding import Severity
    from v2x.render import render_findings
    from v2x.text import plural

    if format is Format.XLSX:
        raise UsageError("XLSX reports come with a later release", code="LATER", hint="use --format csv or html")
    app = build(given)
    inventory = app.inventory(app.endpoint("source", source), selection(select))
    facts = app.facts(app.endpoint("target", target)) if target else None
    findings = run_rules(inventory, facts, app.tables, app.rules)
    form = Format.JSON if given.json else format
    data = render_findings(form, inventory, facts, findings, now=app.now(), version=__version__)
    if output is None:
        show.raw(data)
    else:
        show.save(output, data)
        show.note(f"report written to {output}", quiet=given.quiet)
    if fail_on is not None:
        bad = [one for one in findings if one.severity.weight >= Severity(fail_on.value).weight]
        if bad:
            raise FindingsError(f"{plural(len(bad), 'finding')} at or above {fail_on}", hint="see the report")
