# SPDX-License-Identifier: Apache-2.0
"""Plans: drafted with every choice filled in, edited by people as CSV, checked, frozen by a digest."""

from v2x.plan.check import check_plan
from v2x.plan.draft import draft_plan
from v2x.plan.store import load_plan, plan_id, save_plan

__all__ = ["check_plan", "draft_plan", "load_plan", "plan_id", "save_plan"]
