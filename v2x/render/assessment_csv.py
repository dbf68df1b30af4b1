# SPDX-License-Identifier: Apache-2.0
"""The assessment as a spreadsheet: one row per finding, and one for each machine that has none.

UTF-8 with a byte order mark, all cells quoted, CRLF: what spreadsheet programs open without questions (RFC 4180).
Cells that a program would take for a formula are disarmed.
"""

import csv
import io
from collections.abc import Iterator

from v2x.model.finding import Finding, Verdict
from v2x.render.assessment import Assessment
from v2x.render.spreadsheet import safe_cell

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


def assessment_csv(assessment: Assessment) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows([safe_cell(value) for value in row] for row in finding_rows(assessment))
    return ("\ufeff" + out.getvalue()).encode()


def finding_rows(assessment: Assessment) -> Iterator[tuple[str, ...]]:
    """The cells below COLUMNS, as they are."""
    for group in assessment.estate:
        yield from (_row(finding, "") for finding in group.findings)
    for assessed in assessment.machines:
        machine = assessed.machine
        if not assessed.groups:
            yield machine.name, machine.id, Verdict.READY, *[""] * (len(COLUMNS) - 3)
        for group in assessed.groups:
            yield from (_row(finding, assessed.verdict) for finding in group.findings)


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
