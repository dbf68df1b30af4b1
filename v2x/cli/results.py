# SPDX-License-Identifier: Apache-2.0
"""`v2x batch report --format csv|xlsx`: the plan's rows with what came of them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from v2x.cli import batching, show
from v2x.errors import UsageError
from v2x.model.approval import Approval, in_force

if TYPE_CHECKING:
    from v2x.engine.batches import Batch
    from v2x.engine.control import Control
    from v2x.model.plan import PlanRow

FORMATS = ("csv", "xlsx")


def results(steering: "Control", batch: "Batch", form: str) -> bytes:
    """The results of a batch as a file for spreadsheets, which is a plan too."""
    from v2x.engine.timeline import timed
    from v2x.plan.csvfile import csv_of
    from v2x.plan.results import result_records
    from v2x.plan.xlsxfile import workbook_of

    said = steering.said(batch.plan_id)
    rows = [_signed(row, said) for row in batching.rows_of_plan(steering, batch)]
    statuses = steering.status(batch).rows
    migrations = timed([one.migration for one in statuses], steering.events(batch))
    statuses = tuple(replace(one, migration=known) for one, known in zip(statuses, migrations, strict=True))
    records = result_records(rows, statuses, batch.findings)
    return workbook_of(records) if form == "xlsx" else csv_of(records)


def _signed(row: "PlanRow", said: Sequence[Approval]) -> "PlanRow":
    """The row with who approved it, where it does not say; that is no part of a plan's id."""
    word = None if row.approved_by or row.exclude else in_force(row, said)
    return replace(row, approved_by=word.by) if word is not None else row


def save_results(data: bytes, output: Path, batch: "Batch", *, quiet: bool) -> None:
    """Writes the results, and the plan's other half beside them, so that they can be run. UsageError over the plan."""
    from v2x.plan.store import json_path

    plan = Path(batch.plan_path)
    if output.resolve() == plan.resolve():
        raise UsageError(f"{output} is the plan itself", hint="choose another name; it can be run like the plan")
    beside, half = json_path(output), json_path(plan)
    show.save(output, data)
    if beside.exists():
        show.note(f"{beside} is there already and stays", quiet=quiet)
    elif half.exists():
        show.save(beside, half.read_bytes())
    else:
        show.note(f"{half} is gone: {output} can be read, not run", quiet=quiet)
