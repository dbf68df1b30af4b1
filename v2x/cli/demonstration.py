# SPDX-License-Identifier: Apache-2.0
"""What `v2x demo` does, step by step, through the same functions as the commands."""

import shutil
import time
from dataclasses import replace
from pathlib import Path

from v2x import __version__
from v2x.app import App
from v2x.assess.engine import assess
from v2x.cli import show
from v2x.cli.build import build
from v2x.cli.options import Given
from v2x.cli.planned import checked
from v2x.cli.running import Finished, conclude, run_plan, write_report
from v2x.errors import FindingsError, UsageError
from v2x.model.codec import to_json
from v2x.model.finding import Finding, Severity
from v2x.model.forecast import DEFAULT_PACE
from v2x.model.machine import Firmware
from v2x.model.migration import Outcome, VerifyLevel
from v2x.model.plan import Endpoint, Plan
from v2x.model.units import show_bytes
from v2x.plan import draft_plan, forecast, load_plan, save_plan
from v2x.render import render_findings
from v2x.render.run import compared_lines
from v2x.secrets import Secret
from v2x.simulators.xapi import Pool
from v2x.text import plural, printable

_SPOKEN = {
    Severity.BLOCKER: "blocker",
    Severity.WARNING: "warning",
    Severity.INFO: "note",
    Severity.UNKNOWN: "open check",
}
_FILES_OF_A_POOL = ("pool.json", "pool.sqlite*", "ledger.jsonl", "vdi", "*.pem", "console", "nbd")


def demonstrate(given: Given, source: Path | None, folder: Path) -> None:
    """Runs the demo; everything stays in `folder` for a look."""
    begun = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    appliance = source if source is not None else make_appliance(given, folder)
    if not appliance.exists():
        raise UsageError(f"{appliance} does not exist", hint="give an .ova, .ovf or .vmx file")
    with Pool(empty_pool(folder / "pool"), profile="xcp-ng-8.3") as pool:
        app = build(given)
        target = Endpoint(alias="demo-pool", address=f"xapi://{pool.user}@{pool.address}", fingerprint=pool.fingerprint)
        app.passwords.remember("target", target, Secret(pool.password))
        show.note(f"simulated pool at {target.address}", quiet=given.quiet)
        plan, findings = _planned(app, given, appliance, target, folder)
        finished = run_plan(app, given, plan, findings)
        page = write_report(finished.report, folder / "report.json")
        _summary(given, finished, folder, page, time.monotonic() - begun)


def empty_pool(folder: Path) -> Path:
    """`folder` with nothing in it: the pool of an earlier demo goes, and with it the machines that would collide.

    UsageError where anything else lies there.
    """
    if folder.is_symlink() or (folder.exists() and not _is_pool(folder)):
        raise UsageError(f"{folder} is not the pool of an earlier demo", hint="choose another folder with --folder")
    if folder.exists():
        shutil.rmtree(folder)
    return folder


def _is_pool(folder: Path) -> bool:
    return folder.is_dir() and all(any(one.match(name) for name in _FILES_OF_A_POOL) for one in folder.iterdir())


def make_appliance(given: Given, folder: Path) -> Path:
    """Builds a bootable Linux guest and packs it as an OVA with two NICs and UEFI firmware."""
    from v2x.simulators.appliance import ApplianceSpec, DiskSpec, NicSpec, write_ova
    from v2x.simulators.guest import build_guest, missing_tools

    missing = missing_tools()
    if missing:
        packages = " ".join(sorted({package for _, package in missing}))
        raise UsageError(
            f"the demo builds a small VM and lacks {', '.join(tool for tool, _ in missing)}",
            code="MISSING-TOOL",
            hint=f"apt install {packages}, or give an appliance of your own: v2x demo my.ova",
        )
    show.note("building a small bootable Linux VM …", quiet=given.quiet)
    image = build_guest(folder / "guest.raw", firmware=Firmware.UEFI)
    machine = ApplianceSpec(
        name="demo-guest",
        disks=(DiskSpec(raw=image.path),),
        nics=(
            NicSpec(network="VM Network", mac="00:50:56:00:0d:01"),
            NicSpec(network="DMZ", mac="00:50:56:00:0d:02", generated=False),
        ),
        firmware=Firmware.UEFI,
        cpus=2,
        memory_bytes=1 << 30,
        annotation="A small Linux guest that v2x made for its demo.",
    )
    appliance = write_ova(folder / "demo-guest.ova", machine).path
    show.note(f"packed as {appliance} ({show_bytes(appliance.stat().st_size)})", quiet=given.quiet)
    return appliance


def _planned(app: App, given: Given, appliance: Path, target: Endpoint, folder: Path) -> tuple[Plan, list[Finding]]:
    source = app.endpoint("source", str(appliance))
    inventory = app.inventory(source)
    facts = app.facts(target)
    # The simulated pool's networks, so that any appliance finds a place: the demo asks nothing.
    app.use_networks(("DMZ=VLAN 10", "*=Pool-wide network associated with eth0"))
    findings = list(assess(inventory, facts, app.tables, app.rules))
    outlook = forecast(inventory, facts, app.tables, rules=app.rules, findings=findings, pace=DEFAULT_PACE)
    page = render_findings("html", inventory, facts, findings, now=app.now(), version=__version__, forecast=outlook)
    show.save(folder / "inventory.json", to_json(inventory))
    show.save(folder / "assessment.html", page)
    counts = [plural(sum(one.severity is level for one in findings), _SPOKEN[level]) for level in Severity]
    show.note(f"assessed {plural(len(inventory.machines), 'machine')}: {', '.join(counts)}", quiet=given.quiet)
    csv = folder / "plan.csv"
    plan = draft_plan(
        {source.alias: inventory},
        {target.alias: facts},
        app.tables,
        sources=[source],
        targets=[target],
        findings={source.alias: findings},
        rules=app.rules,
        now=app.now(),
    )
    # Everything is compared, so that it can be seen to have arrived; the simulated pool's NBD would give a sample.
    plan = replace(plan, rows=tuple(replace(row, verify=VerifyLevel.FULL) for row in plan.rows))
    save_plan(plan, csv)
    plan = load_plan(csv)
    findings += checked(app, plan)
    show.note(f"drafted {csv}: {plural(len(plan.rows), 'row')}", quiet=given.quiet)
    return plan, findings


def _summary(given: Given, finished: Finished, folder: Path, page: Path, seconds: float) -> None:
    report = finished.report
    if not report.migrations:
        if given.json:
            conclude(finished, given, None)
        raise FindingsError(
            "nothing was migrated: the plan excludes every machine",
            hint=f"read why in {folder / 'plan.csv'}, and what to do in {folder / 'assessment.html'}",
        )
    good = [one for one in report.migrations if one.outcome in {Outcome.MIGRATED, Outcome.ALREADY}]
    if given.json or len(good) != len(report.migrations):
        conclude(finished, given, folder / "report.json")
        return
    lines = []
    for one in good:
        data = sum(disk.data_bytes for disk in one.disks)
        whole = sum(disk.capacity_bytes for disk in one.disks)
        lines += [
            f"{printable(one.target_name)}: {plural(len(one.disks), 'disk')} of {show_bytes(whole)}, "
            f"{show_bytes(data)} with data",
            *(f"  {line}" for line in compared_lines(one.disks)),
        ]
    lines += [
        f"done in {seconds:.1f} s; look at",
        f"  {folder / 'assessment.html'}   the compatibility report",
        f"  {folder / 'plan.csv'}   the plan",
        f"  {page}   the migration report",
        f"  {folder / 'pool' / 'vdi'}   the pool's disks",
        "the report as text, and next, by questions:",
        f"  v2x assess {folder / 'inventory.json'}",
        "  v2x wizard",
    ]
    show.result("\n".join(lines))
