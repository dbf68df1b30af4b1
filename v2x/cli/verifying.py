# SPDX-License-Identifier: Apache-2.0
"""What `v2x verify` does."""

from pathlib import Path

from v2x.app import App
from v2x.cli.progress import Console
from v2x.errors import UsageError
from v2x.migrate.verify import verify_disk
from v2x.model.codec import SchemaError, from_json
from v2x.model.migration import REPORT_SCHEMA, Migration, Outcome, Report, VerifyLevel
from v2x.target.interface import ClaimedDisk, ReadBack, Target
from v2x.text import printable


def verify_report(app: App, path: Path, target: str | None, console: Console) -> list[dict[str, str]]:
    """One row for each disk; VerifyMismatch at the first that differs."""
    try:
        report = from_json(path.read_bytes(), Report, REPORT_SCHEMA)
    except OSError as problem:
        raise UsageError(f"cannot read {path}: {problem.strerror}", hint="give the JSON file of a report") from None
    except SchemaError as problem:
        raise UsageError(f"{path} is not a report: {problem}", hint="give the JSON file, not the HTML page") from None
    rows: list[dict[str, str]] = []
    for migration in report.migrations:
        if migration.outcome not in {Outcome.MIGRATED, Outcome.ALREADY}:
            continue
        opened = app.open_target(app.endpoint("target", target or migration.target))
        try:
            rows += _machine(opened, migration, console)
        finally:
            opened.close()
    if not rows:
        raise UsageError(
            f"{path} holds no digests to compare with",
            code="NO-DIGESTS",
            hint="give the report of the run that copied the machine, not of a later one that found it there already",
        )
    return rows


def _machine(target: Target, migration: Migration, console: Console) -> list[dict[str, str]]:
    claim = target.find(migration.id)
    name = printable(migration.target_name)
    if claim is None:
        raise UsageError(f"{name} is not on the target", hint="was it removed, or is this another pool?")
    if not isinstance(target, ReadBack):
        raise UsageError("this target cannot be read back", hint="check it after importing it into a pool")
    bars = console.observer()
    rows = []
    for result in migration.disks:
        row = {"machine": name, "disk": printable(result.label), "verdict": "no digests in the report"}
        held = next((disk for disk in claim.disks if disk.source_disk == result.source_disk), None)
        if result.digests is not None:
            disk = held or ClaimedDisk(source_disk=result.source_disk, id=result.vdi, size_bytes=result.target_bytes)
            reader = target.reader(claim, disk)
            try:
                verify_disk(reader, result.digests, VerifyLevel.FULL, bars, disk=result.source_disk, label=result.label)
            finally:
                reader.close()
            row["verdict"] = "identical"
        rows.append(row)
    return rows
