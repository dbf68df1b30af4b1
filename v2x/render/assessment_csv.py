# SPDX-License-Identifier: Apache-2.0
"""The assessment as a spreadsheet: for each machine one row to edit, then one row per finding.

The columns exclude, target_name, wave and note of a machine's row hold what v2x suggests; edited, the file is read back
by `v2x plan draft --from-report`. UTF-8 with a byte order mark, all cells quoted, CRLF: what spreadsheet programs open
without questions (RFC 4180). Cells that a program would take for a formula are disarmed.
"""

import csv
import io
from collections.abc import Iterator

from v2x.model.finding import Finding, Verdict
from v2x.render.assessment import Assessed, Assessment
from v2x.render.spreadsheet import safe_cell

EDITABLE = ("exclude", "target_name", "wave", "note")
COLUMNS = (
    "machine",
    "machine_id",
    *EDITABLE,
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
    for assessed in assessment.machines:
        machine = assessed.machine
        row = (machine.name, machine.id, *edits(assessed), assessed.verdict, *[""] * 7)
        writer.writerow([safe_cell(value) for value in row])
    for finding, verdict in findings_of(assessment):
        writer.writerow([safe_cell(value) for value in _row(finding, verdict)])
    return ("\ufeff" + out.getvalue()).encode()


def edits(assessed: Assessed) -> tuple[str, str, str, str]:
    """What is suggested in the columns that people edit."""
    outlook = assessed.outlook
    return (
        "yes" if assessed.verdict is Verdict.BLOCKED else "no",
        outlook.made.name if outlook is not None and outlook.made is not None else "",
        str(outlook.wave) if outlook is not None and outlook.wave else "",
        "",
    )


def findings_of(assessment: Assessment) -> Iterator[tuple[Finding, str]]:
    """Every finding with the verdict on its machine: those of the estate, of each machine, and what is not known."""
    for group in assessment.estate:
        yield from ((finding, "") for finding in group.findings)
    for assessed in assessment.machines:
        for group in assessed.groups:
            yield from ((finding, assessed.verdict) for finding in group.findings)
    for gap in assessment.gaps:
        yield from ((finding, "") for finding in gap.findings)


def _row(finding: Finding, verdict: str) -> tuple[str, ...]:
    return (
        finding.machine_name,
        finding.machine_id,
        *[""] * len(EDITABLE),
        verdict,
        finding.severity,
        finding.rule,
        finding.label,
        finding.subject,
        finding.text,
        finding.remedy,
        finding.source,
    )
