# SPDX-License-Identifier: Apache-2.0
"""`v2x batch`: a plan of many machines."""

from pathlib import Path
from typing import Annotated

import typer

from v2x.cli.later import SETTINGS, later
from v2x.cli.options import CreateNetworks, Given, TargetNetworkName, Uplink, UploadForm, shared
from v2x.model.target import UploadFormat
from v2x.sources.vsphere.transports.options import Allocation

app = typer.Typer(help="Runs a CSV plan of many machines.", no_args_is_help=True, rich_markup_mode=None)


@app.command("run")
@shared(source=True, target=True, reading=True)
def run(
    given: Given,
    plan: Annotated[Path, typer.Argument(metavar="PLAN.CSV", help="the plan to run")],
    report: Annotated[Path | None, typer.Option(help="where the report goes (default: PLAN.report.json)")] = None,
    wave: Annotated[list[int] | None, typer.Option(help="only rows of this wave; repeatable")] = None,
    create_networks: CreateNetworks = False,
    uplink: Uplink = "",
    target_network: TargetNetworkName = None,
    upload_format: UploadForm = UploadFormat.AUTO,
    allocation: Annotated[Allocation, typer.Option(help="how used blocks are found")] = Allocation.AUTO,
    pool_autostart: Annotated[
        bool, typer.Option("--pool-autostart", help="turn automatic start on for the pool where a row wants it")
    ] = False,
) -> None:
    """Runs the rows of a plan, one after the other; run again to continue."""
    from dataclasses import replace

    from v2x.cli import show
    from v2x.cli.build import build
    from v2x.cli.planned import checked, refreshed, with_networks
    from v2x.cli.running import conclude, run_plan, write_report
    from v2x.errors import PlanError
    from v2x.model.finding import Severity
    from v2x.plan import load_plan
    from v2x.text import plural, printable

    built = build(given, allocation)
    built.read_all = allocation is Allocation.READ_ALL
    built.target_network, built.pool_autostart = target_network or "", pool_autostart
    built.upload_format = upload_format
    loaded = load_plan(plan)
    if wave:
        rows = tuple(row for row in loaded.rows if row.wave in wave)
        loaded = replace(loaded, rows=rows)
    current = refreshed(built, loaded)
    current, made = with_networks(built, current, uplink, create=create_networks)
    findings = [*checked(built, current), *made]
    blockers = [found for found in findings if found.severity is Severity.BLOCKER]
    if blockers:
        for found in blockers[:20]:
            show.note(f"{printable(found.machine_name or found.subject)}: {printable(found.text, 1000)} [{found.rule}]")
        raise PlanError(f"{plural(len(blockers), 'blocker')} in {plan}", hint=f"v2x plan check {plan} shows them all")
    finished = run_plan(built, given, current, findings)
    written = report or plan.with_suffix(".report.json")
    write_report(finished.report, written)
    conclude(finished, given, written)


_LATER = {
    "status": "Shows where each machine of a batch is.",
    "watch": "Live view of a batch.",
    "serve": "Live view of a batch as a web page.",
    "resume": "Continues a batch.",
    "pause": "Lets running copies come to a mark and starts nothing more.",
    "throttle": "Limits rates and numbers of a running batch.",
    "cancel": "Stops machines and discards what they have on the target.",
    "approve": "Approves machines for cutover.",
    "test": "Starts a copy of a migrated machine in isolation.",
    "cutover": "Switches machines over.",
    "rollback": "Goes back to the source.",
    "finalize": "Gives up the way back.",
    "report": "Prints the report of a batch.",
}
for _name, _what in _LATER.items():
    app.command(_name, **SETTINGS)(
        later(f"batch {_name}", _what, "v2x batch run PLAN.CSV runs a plan and continues one that was stopped")
    )
