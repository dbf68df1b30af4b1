# SPDX-License-Identifier: Apache-2.0
"""Runs a plan with progress, stops cleanly on a signal, and writes the report."""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Protocol

from v2x.app import App
from v2x.cli import show
from v2x.cli.options import Given
from v2x.cli.progress import Console
from v2x.errors import Interrupted, MachinesFailed, Stopped, UsageError, V2xError
from v2x.model.codec import SchemaError, from_json, to_json
from v2x.model.finding import Finding
from v2x.model.migration import REPORT_SCHEMA, Migration, Outcome, Report
from v2x.model.plan import Plan
from v2x.render import render_report
from v2x.text import plural

NOT_THROUGH = frozenset({Outcome.FAILED, Outcome.SKIPPED, Outcome.MISSED_WINDOW, Outcome.BLOCKED})
"""Outcomes that make a run one of which some machines failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A report, and the signal that stopped the run early, if one did."""

    report: Report
    signal: int | None = None


def run_plan(app: App, given: Given, plan: Plan, findings: Sequence[Finding]) -> Finished:
    """Migrates the rows of `plan` and returns what happened; failures of machines are in the report."""
    orders = app.orders(plan)
    engine = app.engine(app.doors(plan.sources, plan.targets), Console(quiet=given.quiet, failures=len(orders) > 1))
    engine.submit(orders)
    with draining(engine) as received:
        engine.resume()
    return Finished(report=app.report(engine, plan, findings), signal=received[0] if received else None)


class Drains(Protocol):
    def drain(self) -> None: ...


@contextmanager
def draining(engine: Drains) -> Iterator[list[int]]:
    """The first Ctrl-C or SIGTERM stops at the next block, the second at once. Yields the signals received.

    At once is as kill -9 ends a program, which costs nothing that is not on the target anyway: threads that wait for
    a server's answer would keep any other end waiting, for minutes where the server is silent.
    """
    received: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            os.write(2, b"ended at once; the same command continues\n")
            os._exit(128 + number)
        engine.drain()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def report_file(wanted: Path | None, default: Path, report: Report) -> Path:
    """Where a report goes: as wanted, else the default, unless an earlier report with digests stands there.

    A run that copied nothing must not take away the digests that `v2x verify` needs.
    """
    if wanted is not None or any(one.disks for one in report.migrations) or not _has_digests(default):
        return wanted or default
    return default.with_suffix(f".{report.id}.json")


def _has_digests(path: Path) -> bool:
    try:
        kept = from_json(path.read_bytes(), Report, REPORT_SCHEMA)
    except (OSError, SchemaError):
        return False
    return any(one.disks for one in kept.migrations)


def check_report_folder(wanted: Path | None) -> None:
    """UsageError for a report that could not be written, before hours of copying rather than after."""
    if wanted is not None and not wanted.parent.is_dir():
        raise UsageError(
            f"cannot write {wanted}: there is no folder {wanted.parent}", hint="make it, or choose another"
        )


def write_report(report: Report, path: Path) -> Path:
    """Writes the report as JSON to `path` and as HTML beside it; returns the HTML file."""
    page = path.with_suffix(".html")
    show.save(path, to_json(report))
    show.save(page, render_report("html", report))
    return page


def conclude(finished: Finished, given: Given, written: Path | None) -> None:
    """Prints the result and raises what the exit code asks for."""
    if given.json:
        show.raw(to_json(finished.report))
    else:
        show.raw(render_report("text", finished.report))
        if written is not None:
            show.result(f"report: {written}\n        {written.with_suffix('.html')}")
    end(finished)


def end(finished: Finished) -> None:
    """Raises what the exit code asks for; nothing where all went well."""
    report = finished.report
    if finished.signal is not None:
        raise Interrupted("stopped by a signal", hint="run the same command again; it continues").with_signal(
            finished.signal
        )
    failed = [one for one in report.migrations if _is_failed(one)]
    if failed and len(report.migrations) == 1:
        raise failure_of(failed[0])
    if failed:
        raise MachinesFailed(
            f"{plural(len(failed), 'machine')} of {len(report.migrations)} failed", hint="the report says why"
        )
    stopped = [one for one in report.migrations if one.outcome is Outcome.STOPPED]
    if stopped and len(report.migrations) == 1 and stopped[0].failure and stopped[0].failure.code != Stopped.code:
        raise failure_of(stopped[0])
    if stopped:
        raise Stopped("stopped before the end", hint="run the same command again; it continues")


def _is_failed(migration: Migration) -> bool:
    """Also one that went back by itself; one that was taken back by hand has no failure."""
    went_back = migration.outcome is Outcome.ROLLED_BACK and migration.failure is not None
    return went_back or migration.outcome in NOT_THROUGH


def failure_of(migration: Migration) -> V2xError:
    """The error that a failed migration ended with."""
    failure = migration.failure
    if failure is None:
        return MachinesFailed(f"{migration.machine_name} failed")
    error = V2xError(failure.message, code=failure.code, hint=failure.hint)
    error.exit_code = failure.exit_code
    return error
