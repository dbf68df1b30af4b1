# SPDX-License-Identifier: Apache-2.0
"""`v2x plan`: drafts and checks a CSV plan."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from v2x.cli.options import Given, LiveSource, shared
from v2x.model.plan import Running

if TYPE_CHECKING:
    from v2x.app import App
    from v2x.model.plan import Endpoint
    from v2x.plan import Edit

_ALIAS = re.compile(r"[A-Za-z][\w-]*")

app = typer.Typer(help="Drafts and checks a CSV plan.", no_args_is_help=True, rich_markup_mode=None)


@app.command("draft")
@shared(source=True, target=True)
def draft(
    given: Given,
    source: Annotated[
        list[str], typer.Argument(metavar="SOURCE…", help="addresses, paths or aliases of sources, or NAME=ADDRESS")
    ],
    target: Annotated[str, typer.Option(metavar="TARGET", help="address or alias of the target")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="the .csv or .xlsx file to write; plan data goes beside it")
    ],
    select: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="only machines whose name or id matches; repeatable")
    ] = None,
    network: Annotated[
        list[str] | None,
        typer.Option(metavar="SRC=DST", help="network (or pattern) at the source = network there; repeatable"),
    ] = None,
    uplink: Annotated[
        str, typer.Option(metavar="DEVICE", help="interface or bond of the pool (eth0) that the source's VLANs are on")
    ] = "",
    running: Annotated[
        Running, typer.Option(help="what the rows say of machines that run; edit it for single ones")
    ] = Running.REFUSE,
    from_report: Annotated[
        Path | None, typer.Option(metavar="REPORT", help="take exclude, target_name, wave, note of this .csv or .xlsx")
    ] = None,
    force: Annotated[bool, typer.Option(help="overwrite an existing plan")] = False,
) -> None:
    """Writes a plan with every choice filled in and explained."""
    from dataclasses import replace

    from v2x.assess.engine import assess
    from v2x.cli import show
    from v2x.cli.build import build, selection
    from v2x.errors import UsageError
    from v2x.plan import apply_edits, draft_plan, plan_id, save_plan
    from v2x.plan.store import json_path
    from v2x.text import plural

    written = (output, json_path(output))
    for there in written:
        if there.exists() and not force:
            raise UsageError(f"{there} exists", hint="choose another name, or --force to overwrite your edits")
    edits = report_edits(from_report) if from_report is not None else {}
    built = build(given)
    endpoints = named_endpoints(built, source)
    for one in endpoints:
        if any(there.exists() and Path(one.address).exists() and there.samefile(one.address) for there in written):
            raise UsageError(
                f"the plan would overwrite its source {one.address}", hint="choose another name for the plan"
            )
    built.passwords.expect("source", endpoints, all_of_them=True)
    pool = built.endpoint("target", target)
    facts = built.facts(pool)
    inventories = {one.alias: built.inventory(one, selection(select)) for one in endpoints}
    built.use_networks(network or ())
    if uplink:
        built.use_uplink(uplink, facts)
    findings = {
        alias: list(assess(inventory, facts, built.tables, built.rules)) for alias, inventory in inventories.items()
    }
    plan = draft_plan(
        inventories,
        {pool.alias: facts},
        built.tables,
        sources=endpoints,
        targets=[pool],
        findings=findings,
        rules=built.rules,
        now=built.now(),
    )
    if running is not Running.REFUSE:
        rows = tuple(replace(row, running=running) for row in plan.rows)
        plan = replace(plan, rows=rows, id=plan_id(rows))
    if from_report is not None:
        plan, strangers = apply_edits(plan, edits)
        if strangers:
            some = ", ".join(strangers[:5])
            show.note(
                f"{plural(len(strangers), 'machine')} of {from_report} not in the plan: {some}", quiet=given.quiet
            )
    save_plan(plan, output)
    if given.json:
        show.document("v2x.plan-draft/1", {"plan": plan.id, "file": str(output), "rows": len(plan.rows)})
    else:
        left_out = sum(row.exclude for row in plan.rows)
        asked = sum(" TO CHOOSE " in row.comment for row in plan.rows if not row.exclude)
        show.result(
            f"{output}: {plural(len(plan.rows), 'machine')}"
            + (f", {left_out} of them excluded for now (see the comment column)" if left_out else "")
            + (f", {asked} of them with networks for you to choose" if asked else "")
            + f"\nnext: edit it, then v2x plan check {output}"
        )


def named_endpoints(app: "App", sources: Sequence[str]) -> "list[Endpoint]":
    """The endpoints of NAME=ADDRESS, or of an address or an alias as it is. UsageError where two have one alias."""
    from dataclasses import replace

    from v2x.errors import UsageError

    found: list[Endpoint] = []
    for text in sources:
        name, sign, address = text.partition("=")
        if sign and address and _ALIAS.fullmatch(name) and not Path(text).exists():
            if name in app.config.sources:
                raise UsageError(f"{name} is another source in v2x.toml", hint="choose another name for this one")
            found.append(replace(app.endpoint("source", address), alias=name))
        else:
            found.append(app.endpoint("source", text))
    twice = next((one.alias for one in found if sum(other.alias == one.alias for other in found) > 1), None)
    if twice is not None:
        raise UsageError(f"two sources are called {twice}", hint="name each once, as vc1=vsphere://… vc2=vsphere://…")
    return found


def report_edits(path: Path) -> "dict[str, Edit]":
    """What people wrote into an assessment. InputRefused or PlanError for a file that is none."""
    from v2x.errors import InputRefused
    from v2x.plan import csv_edits, read_edits
    from v2x.plan.edits import COLUMNS
    from v2x.workbook.edited_sheet import sheet_rows

    if path.suffix.casefold() == ".xlsx":
        return read_edits(sheet_rows(path, "Machines", (*COLUMNS, "verdict")), str(path))
    try:
        data = path.read_bytes()
    except OSError as trouble:
        raise InputRefused(
            f"cannot read {path}: {trouble.strerror}", code="MISSING-FILE", hint="check the path"
        ) from None
    return csv_edits(data, str(path))


@app.command("check")
@shared(source=True, target=True)
def check(
    given: Given,
    plan: Annotated[Path, typer.Argument(metavar="PLAN.CSV", help="the plan to check, .csv or .xlsx")],
    source: LiveSource = None,
    offline: Annotated[bool, typer.Option(help="against the facts of the draft, without asking the target")] = False,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="take the machines as their sources have them now")
    ] = False,
    measured: Annotated[
        Path | None, typer.Option(metavar="RUN.JSON", help="foretell outages by the speed of this migration report")
    ] = None,
    throughput: Annotated[
        str, typer.Option(metavar="SIZE", help="foretell outages by this much in a second, such as 120MiB")
    ] = "",
) -> None:
    """Validates a plan against its sources, its target and itself."""
    from v2x.cli import show
    from v2x.cli.assess import pace_of
    from v2x.cli.build import build
    from v2x.cli.planned import as_drafted, checked, gone_from, refreshed
    from v2x.errors import PlanError, UsageError
    from v2x.model.codec import to_plain
    from v2x.model.finding import Severity
    from v2x.plan import load_plan
    from v2x.plan.store import save_facts
    from v2x.render import text_of_findings
    from v2x.text import plural

    if offline and (accept_changes or source):
        raise UsageError("--offline asks no source", hint="leave out --offline")
    pace = pace_of(measured, throughput)
    built = build(given)
    loaded = load_plan(plan)
    current = loaded if offline else refreshed(built, loaded, source or ())
    if accept_changes:
        # One that is gone cannot be taken as it is now; it may have been migrated before.
        loaded = as_drafted(current, loaded, gone_from(current, loaded))
        save_facts(loaded, plan)
    findings = checked(built, current, loaded, pace)
    blockers = [found for found in findings if found.severity is Severity.BLOCKER]
    if given.json:
        rows = [to_plain(found) for found in findings]
        show.document("v2x.plan-check/1", {"plan": current.id, "ok": not blockers, "findings": rows})
    else:
        show.result(text_of_findings(findings) or f"{plan}: {plural(len(loaded.rows), 'row')}, nothing to say")
    if blockers:
        raise PlanError(f"{plural(len(blockers), 'blocker')} in {plan}", hint="edit the rows named above")
