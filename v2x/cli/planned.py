# SPDX-License-Identifier: Apache-2.0
"""What the commands that run or check a plan have in common."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from v2x.app import App
from v2x.cli import show
from v2x.errors import PlanError, UsageError
from v2x.model.finding import Finding, Severity
from v2x.model.plan import Endpoint, Plan
from v2x.plan import check_plan
from v2x.plan.rules import NETWORK, NETWORK_UNRESOLVED
from v2x.text import plural, printable


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
    return check_plan(plan, plan.facts, app.tables, rules=app.rules, done=app.migrated(plan), now=app.now())


def stop_at_blockers(findings: Sequence[Finding], plan: Path) -> None:
    """PlanError where findings keep the plan from running; the first twenty are told."""
    blockers = [found for found in findings if found.severity is Severity.BLOCKER]
    if blockers:
        for found in blockers[:20]:
            show.note(f"{printable(found.machine_name or found.subject)}: {printable(found.text, 1000)} [{found.rule}]")
        raise PlanError(f"{plural(len(blockers), 'blocker')} in {plan}", hint=f"v2x plan check {plan} shows them all")


def with_networks(app: App, plan: Plan, uplink: str, *, create: bool) -> tuple[Plan, list[Finding]]:
    """The plan after the networks that its rows lack were made, and a finding for each; other blockers come first.

    Without `create`, only takes note of the uplink; without either, nothing changes.
    """
    if not uplink and not create:
        return plan, []
    wanted = {row.target for row in plan.rows if not row.exclude and row.target in plan.facts}
    if len(wanted) > 1:
        raise UsageError("the plan has several targets", hint="name the interfaces by [[uplink]] rules in v2x.toml")
    for alias in wanted:
        app.use_uplink(uplink, plan.facts[alias])
    blockers = {found.rule for found in checked(app, plan) if found.severity is Severity.BLOCKER}
    if not create or blockers - {NETWORK.id, NETWORK_UNRESOLVED.id}:
        return plan, []
    return app.create_networks(plan)
