# SPDX-License-Identifier: Apache-2.0
"""plan.csv in the hands of its reader: cells changed, as a spreadsheet would."""

import csv
from pathlib import Path


def edit_plan(machine, **changes):
    """Changes cells of a machine's row in the folder's plan."""
    path = Path("plan.csv")
    reader = csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines())
    rows = [{**row, **changes} if row["machine_name"] == machine else row for row in reader]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, reader.fieldnames)
        writer.writeheader()
        writer.writerows(rows)
