# SPDX-License-Identifier: Apache-2.0
"""`v2x batch`: a plan of many machines. The commands that run one; those that look and steer are in batch_steer.py."""

from pathlib import Path
from typing import Annotated

import typer

from v2x.cli import batch_approve, batch_return, batch_steer, batch_test
from v2x.cli.batch_serve import serve
from v2x.cli.options import (
    BackupWait,
    BatchName,
    CreateNetworks,
    DatastoreFloor,
    DeltaForm,
    EnableTracking,
    Given,
    HealthMinutes,
    LiveSource,
    MarkSource,
    MetricsPort,
    OutageSeconds,
    RowsAtOnce,
    SnapshotHours,
    SourceNetwork,
    StateOption,
    SyncMinutes,
    TargetNetworkName,
    Uplink,
    UploadForm,
    WatchMinutes,
    limits_of,
    shared,
)
from v2x.model.downtime import ROLLBACK_SECONDS
from v2x.model.health import Aftercare, Mark
from v2x.model.outage import DEFAULT_SECONDS
from v2x.model.target import DeltaFormat, UploadFormat

app = typer.Typer(help="Runs a CSV plan of many machines.", no_args_is_help=True, rich_markup_mode=None)

ReportPath = Annotated[Path | None, typer.Option(help="where the report goes (default: PLAN.report.json)")]


@app.command("run")
@shared(source=True, target=True, reading=True)
def run(
    given: Given,
    plan: Annotated[Path, typer.Argument(metavar="PLAN.CSV", help="the plan to run, .csv or .xlsx")],
    report: ReportPath = None,
    source: LiveSource = None,
    wave: Annotated[list[int] | None, typer.Option(help="only rows of this wave; repeatable")] = None,
    create_networks: CreateNetworks = False,
    uplink: Uplink = "",
    source_network: SourceNetwork = None,
    target_network: TargetNetworkName = None,
    upload_format: UploadForm = UploadFormat.AUTO,
    pool_autostart: Annotated[
        bool, typer.Option("--pool-autostart", help="turn automatic start on for the pool where a row wants it")
    ] = False,
    keep_source_off: Annotated[
        bool,
        typer.Option("--keep-source-off", help="turn automatic starts at the source off once machines are migrated"),
    ] = False,
    enable_cbt: EnableTracking = False,
    outage: OutageSeconds = DEFAULT_SECONDS,
    sync_every: SyncMinutes = 60.0,
    require_approval: Annotated[
        bool,
        typer.Option("--require-approval", help="no outage begins before v2x batch approve; kept with the batch"),
    ] = False,
    rollback_minutes: Annotated[
        float,
        typer.Option(min=0, metavar="MINUTES", help="time to roll back that a window has to leave after an outage"),
    ] = ROLLBACK_SECONDS / 60,
    throughput: Annotated[
        str,
        typer.Option(metavar="SIZE", help="predict outages with this much copied in a second, until it is measured"),
    ] = "",
    replace_batch: Annotated[
        bool,
        typer.Option("--replace", help="let the edited plan take the place of the batch that was begun with it before"),
    ] = False,
    health_minutes: HealthMinutes = 5.0,
    mark_source: MarkSource = Mark.NO,
    watch_minutes: WatchMinutes = 5.0,
    delta: DeltaForm = DeltaFormat.AUTO,
    datastore_floor: DatastoreFloor = 15.0,
    snapshot_hours: SnapshotHours = 24.0,
    backup_wait: BackupWait = 60.0,
    state: StateOption = None,
    at_once: RowsAtOnce = 16,
    metrics_port: MetricsPort = None,
) -> None:
    """Runs the rows of a plan, several at once; run again to continue."""
    from dataclasses import replace

    from v2x.cli import batching, editions
    from v2x.cli.assess import pace_of
    from v2x.cli.build import build
    from v2x.cli.guest_wishes import standing_wishes
    from v2x.cli.planned import (
        checked,
        refreshed,
        settled,
        stop_at_blockers,
        stop_without_disks,
        stop_without_rows,
        tell,
        with_networks,
    )
    from v2x.cli.running import check_report_folder
    from v2x.plan import load_plan

    check_report_folder(report)
    pace = pace_of(None, throughput)
    built = build(given)
    built.wishes = standing_wishes(built.config.guest)
    built.source_network = source_network or ""
    built.target_network, built.pool_autostart = target_network or "", pool_autostart
    built.keep_off = keep_source_off
    built.upload_format, built.delta_format = upload_format, delta
    built.limits = limits_of(datastore_floor, snapshot_hours, backup_wait)
    built.enable_tracking, built.outage_seconds, built.sync_minutes = enable_cbt, outage, sync_every
    built.care = Aftercare(health_seconds=health_minutes * 60, mark=mark_source)
    built.rollback_seconds = rollback_minutes * 60
    whole = loaded = load_plan(plan)
    if wave:
        # Rows of other waves stay in the plan: those of this one may come after them.
        rows = tuple(row if row.wave in wave else replace(row, exclude=True) for row in loaded.rows)
        loaded = replace(loaded, rows=rows)
    with batching.opened(state) as store:
        edition = editions.earlier(store, whole.id, whole.rows, plan)
        terms = batching.Terms(
            approval=require_approval or (edition is not None and edition.approval),
            pace_bytes=pace.bytes_per_second if throughput else 0,
        )
        with editions.alone(store, edition, plan, replace=replace_batch, quiet=given.quiet) as lock:
            batching.give_limits(store, built, given)
            current = refreshed(built, loaded, source or ())
            stop_without_disks(current)
            current, changed = settled(built, current, loaded)
            current, made = with_networks(built, current, uplink, create=create_networks)
            findings = [*checked(built, current, None, pace), *made]
            stop_at_blockers(findings, plan)
            stop_without_rows(current, changed, plan)
            tell(changed, quiet=given.quiet)
            batch = batching.submitted(store, built, current, plan, [*changed, *findings], terms, changed)
            batching.tell_unapproved(store, batch, given)
            ended_by = batching.work(
                store, built, given, batch, at_once, metrics_port, lock, watch_minutes=watch_minutes
            )
            batching.ended(store, built, given, batch, ended_by, report)


@app.command("resume")
@shared(source=True, target=True, reading=True)
def resume(
    given: Given,
    batch: BatchName = "",
    report: ReportPath = None,
    target_network: TargetNetworkName = None,
    upload_format: UploadForm = UploadFormat.AUTO,
    delta: DeltaForm = DeltaFormat.AUTO,
    state: StateOption = None,
    at_once: RowsAtOnce = 16,
    metrics_port: MetricsPort = None,
    watch_minutes: WatchMinutes = 5.0,
) -> None:
    """Continues a batch that was paused, stopped or killed; machines that failed are tried again."""
    from v2x.cli import batching, show
    from v2x.cli.build import build
    from v2x.cli.guest_wishes import standing_wishes
    from v2x.cli.running import check_report_folder
    from v2x.errors import Conflict

    check_report_folder(report)
    built = build(given)
    built.wishes = standing_wishes(built.config.guest)
    built.target_network, built.upload_format = target_network or "", upload_format
    built.delta_format = delta
    with batching.opened(state) as store:
        batching.give_limits(store, built, given)
        steering = batching.control(store, built)
        found = steering.batch(batch)
        steering.pause(found, paused=False)
        steering.retry(found)
        batching.unlocked(built, found)
        batching.tell_unapproved(store, found, given)
        try:
            ended_by = batching.work(store, built, given, found, at_once, metrics_port, watch_minutes=watch_minutes)
        except Conflict as busy:
            if busy.code != "STATE-LOCKED":
                raise
            show.note(f"batch {found.id} goes on: {busy.message}", quiet=given.quiet)
            return
        batching.ended(store, built, given, found, ended_by, report)


batch_steer.add_to(app)
batch_return.add_to(app)
batch_test.add_to(app)
app.command("approve")(batch_approve.approve)
app.command("serve")(serve)
