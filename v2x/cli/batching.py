# SPDX-License-Identifier: Apache-2.0
"""What the commands about batches have in common: the state database, the worker in this process, the report."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from v2x import __version__
from v2x.app import App, OpenDoors
from v2x.cli import show
from v2x.cli.options import Given
from v2x.cli.progress import Console
from v2x.cli.running import Finished, conclude, draining, write_report
from v2x.errors import UsageError, V2xError
from v2x.model.approval import in_force
from v2x.model.finding import Finding
from v2x.model.migration import Failure, Migration, Outcome, Report
from v2x.model.plan import Plan, PlanRow
from v2x.text import plural

if TYPE_CHECKING:
    from v2x.engine.batches import Batch
    from v2x.engine.control import Control
    from v2x.engine.locks import FolderLock
    from v2x.engine.store import Store
    from v2x.engine.vigil import Vigil


def location(given: str | None) -> str:
    """Where the state is: as given, as V2X_STATE has it, or the user's folder for state."""
    from platformdirs import user_state_dir

    return given or os.environ.get("V2X_STATE", "") or user_state_dir("v2x", appauthor=False)


@contextmanager
def opened(given: str | None) -> Iterator["Store"]:
    from v2x.engine.store import Store

    store = Store.open(location(given))
    try:
        yield store
    finally:
        store.close()


@contextmanager
def alone(store: "Store") -> Iterator["FolderLock | None"]:
    """The lock of a state folder, held before anything is written there; a shared database has workers side by side."""
    from v2x.engine.locks import FolderLock

    if store.folder is None:
        yield None
        return
    lock = FolderLock(store.folder)
    try:
        yield lock
    finally:
        lock.release()


def control(store: "Store", app: App | None = None) -> "Control":
    from datetime import UTC, datetime

    from v2x.engine.control import Control
    from v2x.engine.crew import actor

    return Control(store, actor(""), app.now if app else lambda: datetime.now(UTC))


def give_limits(store: "Store", app: App, given: Given) -> None:
    """Takes the limits of v2x.toml, if it has any, in place of those that an earlier run found there."""
    from v2x.cli.limits import configured

    if app.config.limits:
        control(store, app).give_limits(configured(str(given.config or "v2x.toml"), app.config.limits))


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What `batch run` says of the whole batch: whether outages need an approval, and a speed to foretell them by."""

    approval: bool = False
    pace_bytes: int = 0


def submitted(
    store: "Store",
    app: App,
    plan: Plan,
    plan_path: Path,
    findings: Sequence[Finding],
    terms: Terms,
    changed: Sequence[Finding] = (),
) -> "Batch":
    """The batch of a plan, with those of its rows that were not in it yet.

    Machines that failed are tried again, and so are those that were migrated and are not on the target any more; those
    that `changed` at their source since the plan was drafted are blocked, each by itself.
    """
    from v2x.engine import approvals, renewal, windows
    from v2x.engine.batches import Batch, Doorways, add, id_of
    from v2x.engine.crew import actor
    from v2x.engine.dispatch import again

    batch = Batch(
        id=id_of(plan.id),
        plan_id=plan.id,
        plan_path=str(plan_path.resolve()),
        created=app.now(),
        created_by=actor("").user,
        doors=Doorways(sources=plan.sources, targets=plan.targets),
        findings=tuple(findings),
        tables=dict(app.tables.layers),
    )
    orders = app.orders(plan)
    why = {(one.source, one.machine_id): _blocked(one, plan_path) for one in changed}
    blocked = {one.id: why[key] for one in orders if (key := (one.source, one.machine.id)) in why}
    with store.exclusive("dispatch") as connection:
        add(connection, batch, orders)
        approvals.require(connection, batch.id, wanted=terms.approval)
        if terms.pace_bytes:
            windows.give_pace(connection, batch.id, terms.pace_bytes)
        gone = [order.id for order in orders if not app.is_on_target(plan, order)]
        if gone:
            again(connection, batch.id, [Outcome.MIGRATED, Outcome.ALREADY], gone)
        renewal.renew(connection, batch.id, [one for one in orders if one.id not in blocked])
        new = renewal.block(connection, batch.id, blocked, app.now())
    steering = control(store, app)
    steering.told_blocked(batch, blocked, new)
    steering.retry(batch, besides=blocked)
    return steering.batch(batch.id)


def _blocked(finding: Finding, plan_path: Path) -> Failure:
    return Failure(
        code="SOURCE-DIFFERS",
        message=f"{finding.machine_name} is not as the plan has it: {finding.text}",
        hint=f"look at its row, then v2x plan check {plan_path} --accept-changes, and run the plan again",
        exit_code=6,
    )


def work(
    store: "Store",
    app: App,
    given: Given,
    batch: "Batch | None",
    rows_at_once: int,
    metrics_port: int | None = None,
    lock: "FolderLock | None" = None,
    *,
    watch_minutes: float = 5.0,
    lines: bool = False,
) -> int | None:
    """Works in this process on a batch until it is through, or a signal comes, which is returned.

    Progress is shown as bars, or told in `lines`.

    Without a batch, works until a signal comes on whatever the state holds.
    """
    from v2x.engine.dbos import DbosEngine
    from v2x.engine.durable import Pacing
    from v2x.engine.worker import Worker

    def doors(of: "Batch") -> OpenDoors:
        for other in () if batch else control(store, app).unfinished():
            # A password that names no source or target is for none of several, in whichever batches these are.
            app.passwords.expect("source", other.doors.sources)
            app.passwords.expect("target", other.doors.targets)
        return app.doors(of.doors.sources, of.doors.targets)

    console = Console(quiet=given.quiet, lines=lines)
    worker = Worker(
        store,
        DbosEngine(),
        doors,
        console,
        rows_at_once=rows_at_once,
        now=app.now,
        pacing=Pacing(watch_seconds=watch_minutes * 60),
        hooks=app.config.hooks,
        wishes=app.wishes,
    )
    with draining(worker) as received, measured(store, given, metrics_port):
        worker.run(batch.id if batch else "", forever=batch is None, lock=lock)
    return received[0] if received else None


def vigil(store: "Store", app: App, minutes: float = 5.0) -> "Vigil":
    """Looks at the stopped sources of batches from this process."""
    from v2x.engine.crew import actor
    from v2x.engine.live import Ledger
    from v2x.engine.vigil import Vigil

    def doors(of: "Batch") -> OpenDoors:
        return app.doors(of.doors.sources, of.doors.targets)

    ledger = Ledger(store, actor(""), app.now)
    return Vigil(ledger, doors, hooks=app.config.hooks, seconds=minutes * 60)


@contextmanager
def measured(store: "Store", given: Given, port: int | None) -> Iterator[None]:
    """Serves metrics while it lasts, where a port was given."""
    if port is None:
        yield
        return
    from v2x.engine.metrics import MetricsServer

    steering = control(store)
    try:
        server = MetricsServer(port, lambda: [steering.status(one) for one in steering.batches()])
    except OSError as problem:
        raise UsageError(f"port {port} cannot be used: {problem.strerror}", hint="choose another one") from None
    with server:
        show.note(f"metrics at http://127.0.0.1:{server.port}/metrics", quiet=given.quiet)
        yield


def tell_unapproved(store: "Store", batch: "Batch", given: Given) -> None:
    """Says what waits for an approval, before anything runs."""
    count = len(control(store).unapproved(batch))
    if count:
        show.note(f"{plural(count, 'machine')} may not be taken out of service yet; after approval:", quiet=given.quiet)
        show.note(f"  v2x batch approve {batch.id} --by NAME", quiet=given.quiet)


def unlocked(app: App, batch: "Batch") -> None:
    """Opens each of a batch's sources and targets once: passwords are asked for now, and a wrong one ends it here."""
    app.passwords.expect("source", batch.doors.sources, all_of_them=True)
    app.passwords.expect("target", batch.doors.targets, all_of_them=True)
    for endpoint in batch.doors.sources:
        app.open_source(endpoint).close()
    for endpoint in batch.doors.targets:
        app.open_target(endpoint).close()


def report_of(store: "Store", app: App, batch: "Batch") -> Report:
    """What a batch has done so far."""
    import hashlib

    from v2x.engine.timeline import timed

    made = app.now()
    steering = control(store, app)
    return Report(
        id=hashlib.sha256(f"{batch.plan_id}{made.isoformat()}".encode()).hexdigest()[:12],
        created=made,
        version=__version__,
        plan_id=batch.plan_id,
        migrations=tuple(timed(approved(steering, batch), steering.events(batch))),
        findings=batch.findings,
        approvals=steering.said(batch.plan_id),
        mapping_tables=batch.tables,
    )


def rows_of_plan(steering: "Control", batch: "Batch") -> tuple[PlanRow, ...]:
    """All rows of the plan while its file is as it was when the batch began, else those that the batch has."""
    from v2x.plan import load_plan

    try:
        plan = load_plan(Path(batch.plan_path))
    except V2xError:
        return steering.plan_rows(batch)
    return plan.rows if plan.id == batch.plan_id else steering.plan_rows(batch)


def approved(steering: "Control", batch: "Batch") -> list[Migration]:
    """The batch's migrations, each with who approved it where its row does not say so."""
    said = steering.said(batch.plan_id)
    rows = {(row.source, row.machine_id): row for row in steering.plan_rows(batch)}
    found = []
    for one in steering.migrations(batch):
        row = rows.get((one.source, one.machine_id))
        word = in_force(row, said) if row is not None and not one.approved_by else None
        found.append(replace(one, approved_by=word.by) if word is not None else one)
    return found


def ended(store: "Store", app: App, given: Given, batch: "Batch", signal: int | None, report: Path | None) -> None:
    """Writes the report, prints it, and raises what the exit code asks for."""
    done = Finished(report=report_of(store, app, batch), signal=signal)
    written = report or Path(batch.plan_path).with_suffix(".report.json")
    write_report(done.report, written)
    show.note(f"batch {batch.id}", quiet=given.quiet or given.json)
    conclude(done, given, written)
