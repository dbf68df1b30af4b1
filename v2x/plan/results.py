# SPDX-License-Identifier: Apache-2.0
"""A batch's results beside the plan's own columns: to read, to edit, and to feed back as a plan.

The columns of results begin with `result_`; whoever reads a plan passes over them.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from v2x.model.batch import RowStatus
from v2x.model.finding import Finding
from v2x.model.migration import DiskResult, Migration, Outcome
from v2x.model.plan import PlanRow
from v2x.plan.csvfile import records_of
from v2x.plan.relations import Key, key_of
from v2x.text import csv_cell

COLUMNS = (
    "result_state",
    "result_outcome",
    "result_phase",
    "result_waits_for",
    "result_started",
    "result_finished",
    "result_seconds",
    "result_phases",
    "result_attempts",
    "result_data_bytes",
    "result_sent_bytes",
    "result_vm",
    "result_verified",
    "result_digests",
    "result_failure",
    "result_health",
    "result_outage_predicted_seconds",
    "result_outage_seconds",
    "result_alarm",
    "result_warnings",
    "result_findings",
)


def result_records(
    rows: Sequence[PlanRow], statuses: Iterable[RowStatus], findings: Iterable[Finding]
) -> list[list[str]]:
    """The header and the records of the rows, safe for spreadsheets; a row that was left out has no results."""
    known = {(one.migration.source, one.migration.machine_id): one for one in statuses}
    about: dict[Key, list[Finding]] = defaultdict(list)
    for finding in findings:
        about[finding.source, finding.machine_id].append(finding)
    head, *records = records_of(rows)
    made = [[*head, *COLUMNS]]
    for row, record in zip(rows, records, strict=True):
        status = known.get(key_of(row))
        cells: Mapping[str, str] = {} if status is None else _cells(status)
        told = [f"{one.severity.value}: {one.text or one.label} [{one.rule}]" for one in about[key_of(row)]]
        cells = {**cells, "result_findings": " | ".join(told)}
        made.append([*record, *(csv_cell(cells.get(name, "")) for name in COLUMNS)])
    return made


def _cells(status: RowStatus) -> dict[str, str]:
    migration = status.migration
    failure = migration.failure
    return {
        "result_state": status.state,
        "result_outcome": migration.outcome.value,
        "result_phase": migration.phase.value,
        "result_waits_for": status.waits_for,
        "result_started": _time(migration.started),
        "result_finished": _time(migration.finished),
        "result_seconds": _seconds(migration),
        "result_phases": "; ".join(f"{one.phase.value}={one.seconds:.1f}" for one in migration.phases),
        "result_attempts": str(status.attempt),
        "result_data_bytes": str(sum(disk.data_bytes for disk in migration.disks)),
        "result_sent_bytes": str(sum(disk.sent_bytes for disk in migration.disks)),
        "result_vm": migration.vm_uuid,
        "result_verified": "; ".join(f"{disk.source_disk}={disk.verified.value}" for disk in migration.disks),
        "result_digests": "; ".join(
            f"{disk.source_disk}={digest}" for disk in migration.disks if (digest := seal(disk))
        ),
        "result_failure": f"{failure.code}: {failure.message}" if failure and _is_open(migration) else "",
        "result_health": _health(migration),
        "result_outage_predicted_seconds": _rounded(migration.outage.predicted if migration.outage else None),
        "result_outage_seconds": _rounded(migration.outage.real if migration.outage else None),
        "result_alarm": migration.alarm,
        "result_warnings": " | ".join(migration.warnings),
    }


def _health(migration: Migration) -> str:
    """The verdict, and each check that failed."""
    health = migration.health
    if health is None:
        return ""
    return ": ".join((health.verdict.value, "; ".join(f"{one.label}: {one.text}" for one in health.failed))).rstrip(
        ": "
    )


def _rounded(seconds: float | None) -> str:
    return "" if seconds is None else str(round(seconds))


def _is_open(migration: Migration) -> bool:
    return migration.outcome not in {Outcome.MIGRATED, Outcome.ALREADY}


def seal(disk: DiskResult) -> str:
    """One short text that stands for all digests of a disk: equal texts mean equal content of equal blocks."""
    kept = disk.digests
    if kept is None:
        return ""
    whole = hashlib.sha256(f"{kept.algorithm} {kept.block_bytes} {kept.size_bytes} {kept.runs}".encode() + kept.digests)
    blocks = sum(count for _, count in kept.runs)
    return f"{kept.algorithm} of {blocks} blocks, sha256 {whole.hexdigest()[:32]}"


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}Z" if moment is not None else ""


def _seconds(migration: Migration) -> str:
    if migration.started is None or migration.finished is None:
        return ""
    return str(round((migration.finished - migration.started).total_seconds()))
