# SPDX-License-Identifier: Apache-2.0
"""`v2x batch report --format csv|xlsx`: the plan's rows with what came of them."""

from pathlib import Path
from typing import TYPE_CHECKING

from v2x.cli import show
from v2x.errors import UsageError, V2xError

if TYPE_CHECKING:
    from v2x.engine.batches import Batch
    from v2x.engine.control import Control
    from v2x.model.plan import PlanRow

FORMATS = ("csv", "xlsx")


def results(steering: "Control", batch: "Batch", form: str) -> bytes:
    """The results of a batch as a file for spreadsheets, which is a plan too."""
    from v2x.plan.csvfile import csv_of
    from v2x.plan.results import result_records
    from v2x.plan.xlsxfile import workbook_of

    records = result_records(_rows(steering, batch), steering.status(batch).rows, batch.findings)
    return workbook_of(records) if form == "xlsx" else csv_of(records)


def _rows(steering: "Control", batch: "Batch") -> "tuple[PlanRow, ...]":
    """All rows of the plan while its file is as it was when the batch began, else those that the batch has."""
    from v2x.plan import load_plan

    try:
        plan = load_plan(Path(batch.plan_path))
    except V2xError:
        return steering.plan_rows(batch)
    return plan.rows if plan.id == batch.plan_id else steering.plan_rows(batch)


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
