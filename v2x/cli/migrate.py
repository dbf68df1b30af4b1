# SPDX-License-Identifier: Apache-2.0
"""`v2x migrate`: one machine, now."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from v2x.cli.options import (
    BackupWait,
    Checks,
    CreateNetworks,
    DatastoreFloor,
    DeltaForm,
    EnableTracking,
    Given,
    HealthMinutes,
    MarkSource,
    OnFailure,
    OutageSeconds,
    SnapshotHours,
    SourceNetwork,
    TargetNetworkName,
    Uplink,
    UploadForm,
    limits_of,
    shared,
)
from v2x.model.health import Aftercare, Mark, OnFail
from v2x.model.machine import Firmware
from v2x.model.migration import VerifyLevel
from v2x.model.outage import DEFAULT_SECONDS
from v2x.model.plan import GuestConversion, MacPolicy, Running
from v2x.model.target import DeltaFormat, UploadFormat


class Convert(StrEnum):
    AUTO = "auto"
    OFF = "off"
    PLAN = "plan"


class Ha(StrEnum):
    NONE = "none"
    RESTART = "restart"
    BEST_EFFORT = "best-effort"


@shared(source=True, target=True, reading=True, guest=True)
def migrate(
    given: Given,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="address, path or alias of the source")],
    vm: Annotated[str | None, typer.Argument(metavar="VM", help="name or id; may be left out if there is one")] = None,
    target: Annotated[str, typer.Option(metavar="TARGET", help="xapi://USER@HOST, xva:FOLDER or an alias")] = "",
    name: Annotated[str | None, typer.Option(help="name on the target (default: as at the source)")] = None,
    sr: Annotated[
        list[str] | None,
        typer.Option("--sr", metavar="SR|DISK=SR", help="storage repository for all disks, or for one; repeatable"),
    ] = None,
    network: Annotated[
        list[str] | None,
        typer.Option(metavar="SRC=DST", help="network (or NIC number) at the source = network there; repeatable"),
    ] = None,
    mac: Annotated[MacPolicy, typer.Option(help="keep MAC addresses, or let the pool make new ones")] = MacPolicy.KEEP,
    vcpus: Annotated[int | None, typer.Option(min=1, help="virtual CPUs on the target")] = None,
    memory: Annotated[str | None, typer.Option(metavar="SIZE", help="memory on the target, as 4 GiB")] = None,
    firmware: Annotated[
        Firmware | None, typer.Option(help="firmware on the target (default: as at the source)")
    ] = None,
    template: Annotated[str | None, typer.Option(help="reference label of the template to use")] = None,
    host: Annotated[str | None, typer.Option(help="host of the pool that it prefers, by name or uuid")] = None,
    timezone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="the guest's time zone, as Europe/Paris or +02:00 (for Windows)")
    ] = None,
    bios_strings: Annotated[
        bool, typer.Option("--bios-strings", help="keep SMBIOS strings and the serial number of the source")
    ] = False,
    as_template: Annotated[bool, typer.Option("--as-template", help="make a template of it on the target")] = False,
    autostart: Annotated[
        bool | None,
        typer.Option("--autostart/--no-autostart", help="the pool starts it with its host (default: as at the source)"),
    ] = None,
    pool_autostart: Annotated[
        bool, typer.Option("--pool-autostart", help="turn automatic start on for the pool where it is off")
    ] = False,
    ha: Annotated[Ha | None, typer.Option(help="HA restart priority (default: as at the source)")] = None,
    resource_set: Annotated[
        str | None, typer.Option(metavar="ID", help="resource set of Xen Orchestra that it belongs to")
    ] = None,
    source_network: SourceNetwork = None,
    target_network: TargetNetworkName = None,
    upload_format: UploadForm = UploadFormat.AUTO,
    warm: Annotated[
        bool, typer.Option("--warm", help="copy while the machine runs, then shut it down for the last changes")
    ] = False,
    enable_cbt: EnableTracking = False,
    outage: OutageSeconds = DEFAULT_SECONDS,
    delta: DeltaForm = DeltaFormat.AUTO,
    datastore_floor: DatastoreFloor = 15.0,
    snapshot_hours: SnapshotHours = 24.0,
    backup_wait: BackupWait = 60.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be done, write nothing")] = False,
    verify: Annotated[
        VerifyLevel,
        typer.Option(help="compare the target's bytes before it may start; auto: a sample where the pool offers NBD"),
    ] = VerifyLevel.AUTO,
    convert: Annotated[
        Convert,
        typer.Option(help="make the guest ready for Xen on its way (drivers, disk names, network); plan only says how"),
    ] = Convert.OFF,
    running: Annotated[
        Running,
        typer.Option(help="a machine that runs: refuse it, copy a snapshot of it, or bring it down first"),
    ] = Running.REFUSE,
    create_networks: CreateNetworks = False,
    uplink: Uplink = "",
    vlan: Annotated[
        list[str] | None,
        typer.Option(metavar="SRC=ID", help="VLAN of a source network, where the source does not say; repeatable"),
    ] = None,
    start: Annotated[bool, typer.Option("--start", help="start the machine when all is done")] = False,
    check: Checks = None,
    on_fail: OnFailure = OnFail.KEEP,
    health_minutes: HealthMinutes = 5.0,
    mark_source: MarkSource = Mark.NO,
    keep_source_off: Annotated[
        bool, typer.Option("--keep-source-off", help="turn its automatic start at the source off once it is migrated")
    ] = False,
    stage: Annotated[Path | None, typer.Option(help="convert to a VHD file in this folder first")] = None,
    report: Annotated[Path | None, typer.Option(help="where the report goes (default: NAME.v2x.json here)")] = None,
) -> None:
    """Moves one machine, now: copies its disks, makes it on the target, compares as asked. Run again to continue."""
    from v2x.cli import show
    from v2x.cli.build import build
    from v2x.cli.guest_conversion import show_guest_of
    from v2x.cli.guest_wishes import guest_wishes, words_given
    from v2x.cli.running import check_report_folder, conclude, report_file, run_plan, write_report
    from v2x.cli.single import Choices, describe, single_plan
    from v2x.text import plural

    choices = Choices(
        source=source,
        vm=vm,
        target=target,
        name=name,
        storage=tuple(sr or ()),
        networks=tuple(network or ()),
        mac=mac,
        vcpus=vcpus,
        memory=memory,
        firmware=firmware,
        template=template,
        host=host,
        timezone=timezone,
        bios_strings=bios_strings,
        as_template=as_template,
        autostart=True if pool_autostart else autostart,
        ha=ha.value if ha else None,
        resource_set=resource_set,
        verify=verify,
        running=running,
        warm=warm,
        start=start,
        checks=tuple(check or ()),
        on_fail=on_fail,
        create_networks=create_networks,
        uplink=uplink,
        vlans=tuple(vlan or ()),
        dry_run=dry_run or convert is Convert.PLAN,
        stage=stage,
        convert=GuestConversion.AUTO if convert is Convert.AUTO else GuestConversion.OFF,
        guest=words_given(given),
    )
    check_report_folder(report)
    app = build(given)
    app.source_network = source_network or ""
    app.target_network, app.pool_autostart = target_network or "", pool_autostart
    app.upload_format, app.keep_off = upload_format, keep_source_off
    app.wishes = guest_wishes(
        given, app.config.guest, converts=convert is not Convert.OFF, how="--convert auto or --convert plan"
    )
    app.enable_tracking, app.outage_seconds = enable_cbt, outage
    app.care = Aftercare(health_seconds=health_minutes * 60, mark=mark_source)
    app.delta_format, app.limits = delta, limits_of(datastore_floor, snapshot_hours, backup_wait)
    plan, findings = single_plan(app, choices)
    if convert is Convert.PLAN:
        show_guest_of(app, given, plan)
        return
    if dry_run:
        describe(app, plan, findings, as_json=given.json)
        return
    finished = run_plan(app, given, plan, findings)
    default = Path(f"{_file_name(plan.rows[0].target_name)}.v2x.json")
    written = report_file(report, default, finished.report)
    write_report(finished.report, written)
    show.note(f"report written to {written}", quiet=given.quiet or not given.json)
    for migration in finished.report.migrations:
        if migration.changes:
            changed = plural(len(migration.changes), "change")
            show.note(f"{changed} inside the guest; the report has each with before and after", quiet=given.quiet)
    conclude(finished, given, written)


def _file_name(text: str) -> str:
    kept = "".join(sign if sign.isalnum() or sign in "-_." else "-" for sign in text).strip(".-")
    return kept[:80] or "machine"
