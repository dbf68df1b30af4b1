# SPDX-License-Identifier: Apache-2.0
"""What the commands that run or check a plan have in common."""

from dataclasses import replace

from v2x.app import App
from v2x.model.finding import Finding
from v2x.model.plan import Endpoint, Plan
from v2x.plan import check_plan


def refreshed(app: App, plan: Plan) -> Plan:
    """The plan with inventories and facts as they are now, and endpoints as the command line has them."""
    sources = tuple(_endpoint(app, "source", one) for one in plan.sources)
    targets = tuple(_endpoint(app, "target", one) for one in plan.targets)
    used = {row.source for row in plan.rows if not row.exclude}
    wanted = {row.target for row in plan.rows if not row.exclude}
    inventories = {**plan.inventories, **{one.alias: app.inventory(one) for one in sources if one.alias in used}}
    facts = {**plan.facts, **{one.alias: app.facts(one) for one in targets if one.alias in wanted}}
    return replace(plan, sources=sources, targets=targets, inventories=inventories, facts=facts)


def _endpoint(app: App, side: str, saved: Endpoint) -> Endpoint:
    known = app.config.sources if side == "source" else app.config.targets
    if saved.alias in known:
        return app.endpoint(side, saved.alias)
    now = app.endpoint(side, saved.address)
    return replace(
        saved,
        address=now.address,
        ca_file=now.ca_file or saved.ca_file,
        fingerprint=now.fingerprint or saved.fingerprint,
    )


def checked(app: App, plan: Plan) -> list[Finding]:
    """The findings of a plan against itself and the facts in it; what earlier runs of its rows made is no obstacle."""
    done = {row.machine_id for row in plan.rows if app.is_migrated(plan, row)}
    return check_plan(plan, plan.facts, app.tables, done=done)
