# SPDX-License-Identifier: Apache-2.0
"""The assessment as a spreadsheet: one row per finding, and one for each machine that has none.

UTF-8 with a byte order mark, all cells quoted, CRLF: what spreadsheet programs open without questions (RFC 4180).
Cells that a program would take for a formula are disarmed.
"""

import csv
import io

from v2x.model.finding import Finding, Verdict
from v2x.render.assessment import Assessment
from v2x.text import csv_cell, printable

COLUMNS = (
    "machine",
    "machine_id",
    "verdict",
    "severity",
    "rule",
    "label",
    "subject",
    "text",
    "remedy",
    "source",
)

_CELL_LIMIT = 2000
_FULL_WIDTH_SIGNS = ("＝", "＋", "－", "＠")


def assessment_csv(assessment: Assessment) -> bytes:
    rows: list[tuple[str, ...]] = [COLUMNS]
    for group in assessment.estate:
        rows.extend(_row(finding, "") for finding in group.findings)
    for assessed in assessment.machines:
        machine = assessed.machine
        if not assessed.groups:
            rows.append((machine.name, machine.id, Verdict.READY, *[""] * (len(COLUMNS) - 3)))
        for group in assessed.groups:
            rows.extend(_row(finding, assessed.verdict) for finding in group.findings)
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerows([_cell(value) for value in row] for row in rows)
    return ("\ufeff" + out.getvalue()).encode()


def _row(finding: Finding, verdict: str) -> tuple[str, ...]:
    return (
        finding.machine_name,
        finding.machine_id,
        verdict,
        finding.severity,
        finding.rule,
        finding.label,
        finding.subject,
        finding.text,
        finding.remedy,
        finding.source,
    )


def _cell(value: str) -> str:
    """A spreadsheet set to an East Asian language takes the full-width signs for the plain ones."""
    shown = csv_cell(printable(value, _CELL_LIMIT))
    return "'" + shown if shown.startswith(_FULL_WIDTH_SIGNS) else shown
