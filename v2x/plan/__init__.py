# SPDX-License-Identifier: Apache-2.0
"""Plans: drafted with every choice filled in, edited by people as CSV, checked, frozen by a digest."""

from v2x.plan.cells import parse_size, write_size
from v2x.plan.check import check_plan
from v2x.plan.csvfile import PlanFileError, read_rows, write_rows
from v2x.plan.draft import draft_plan
from v2x.plan.edits import Edit, apply_edits, csv_edits, read_edits
from v2x.plan.forecast import forecast
from v2x.plan.store import load_plan, plan_id, save_plan

__all__ = [
    "Edit",
    "PlanFileError",
    "apply_edits",
    "check_plan",
    "csv_edits",
    "draft_plan",
    "forecast",
    "load_plan",
    "parse_size",
    "plan_id",
    "read_edits",
    "read_rows",
    "save_plan",
    "write_rows",
    "write_size",
]
