# SPDX-License-Identifier: Apache-2.0
"""What the commands that run or check a plan have in common."""

from collections.abc import Container, Sequence
from dataclasses import replace
from pathlib import Path

from v2x.app import App
from v2x.cli import show
from v2x.convert.guestfs import require_libguestfs
from v2x.errors import PlanError, UsageError, V2xError
from v2x.model.finding import Finding, Severity
from v2x.model.forecast import DEFAULT_PACE, Pace
from v2x.model.plan import Endpoint, Plan
from v2x.plan import check_plan
from v2x.plan.check import EXPORTS, changes
from v2x.plan.relations import Key
from v2x.plan.rules import CONVERT, CONVERT_TOOLS, NETWORK, NETWORK_UNRESOLVED
from v2x.text import plural, printable


def refreshed(app: App, plan: Plan, live: Sequence[str] = ()) -> Plan:
    """The plan with inventories and facts as they are now, and endpoints as the command line has them.

    `live` are sources named anew, as ALIAS=ADDRESS, or one address where the plan has one source. UsageError for an
    alias that the plan does not have.
    """
    named = _named(plan, live)
    sources = tuple(
        replace(app.endpoint("source", named[one.alias]), alias=one.alias)
        if one.alias in named
        else _endpoint(app, "source", one)
        for one in plan.sources
    )
    targets = tuple(_endpoint(app, "target", one) for one in plan.targets)
    app.passwords.expect("source", sources, all_of_them=True)
    app.passwords.expect("target", targets, all_of_them=True)
    used = {row.source for row in plan.rows if not row.exclude}
    wanted = {row.target for row in plan.rows if not row.exclude}
    inventories = {**plan.inventories, **{one.alias: app.inventory(one) for one in sources if one.alias in used}}
    facts = {**plan.facts, **{one.alias: app.facts(one) for one in targets if one.alias in wanted}}
    return replace(plan, sources=sources, targets=targets, inventories=inventories, facts=facts)


def _named(plan: Plan, live: Sequence[str]) -> dict[str, str]:
    """Addresses by alias; an alias may be a path, and hold an equals sign itself."""
    aliases = [one.alias for one in plan.sources]
    found: dict[str, str] = {}
    for text in live:
        alias = max((one for one in aliases if text.startswith(f"{one}=")), key=len, default=None)
        if alias is None and len(aliases) == 1 and "=" not in text:
            found[aliases[0]] = text
        elif alias is None:
            raise UsageError(
                f"--source {text} names no source of the plan", hint=f"ALIAS=ADDRESS with one of {', '.join(aliases)}"
            )
        else:
            found[alias] = text[len(alias) + 1 :]
    return found


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
        settings={**saved.settings, **now.settings},
        shares=now.shares or saved.shares,
        smb_user=now.smb_user or saved.smb_user,
        smb_encryption=now.smb_encryption and saved.smb_encryption,
        experimental_vmcx=now.experimental_vmcx or saved.experimental_vmcx,
    )


def as_drafted(plan: Plan, drafted: Plan, keys: Container[Key]) -> Plan:
    """The plan with these machines (source, id) as they were drafted; those that are gone are there again."""
    found = dict(plan.inventories)
    for alias, old in drafted.inventories.items():
        kept = {one.id: one for one in old.machines if (alias, one.id) in keys}
        if kept and alias in found:
            others = tuple(one for one in found[alias].machines if one.id not in kept)
            found[alias] = replace(found[alias], machines=(*others, *kept.values()))
    return replace(plan, inventories=found)


def gone_from(plan: Plan, drafted: Plan) -> set[Key]:
    """The machines (source, id) that the draft has and the sources do not have any more."""
    there = {(alias, one.id) for alias, inventory in plan.inventories.items() for one in inventory.machines}
    then = {(alias, one.id) for alias, inventory in drafted.inventories.items() for one in inventory.machines}
    return then - there


def settled(app: App, plan: Plan, drafted: Plan) -> tuple[Plan, list[Finding]]:
    """The plan to run, and a finding for each row whose machine is not as it was drafted: such rows are left out.

    Their machines are as they were drafted. One that was migrated may be gone from its source.
    """
    whole = as_drafted(plan, drafted, gone_from(plan, drafted))
    found = changes(plan, drafted.inventories, app.migrated(whole))
    return as_drafted(whole, drafted, {(one.source, one.machine_id) for one in found}), found


def checked(app: App, plan: Plan, drafted: Plan | None = None, pace: Pace = DEFAULT_PACE) -> list[Finding]:
    """The findings of a plan against itself and the facts in it; what earlier runs of its rows made is no obstacle.

    `drafted` is the plan as it was loaded: what changed at the sources since is told.
    """
    findings = check_plan(
        plan,
        plan.facts,
        app.tables,
        rules=app.rules,
        done=app.migrated(plan if drafted is None else as_drafted(plan, drafted, gone_from(plan, drafted))),
        now=app.now(),
        drafted=drafted.inventories if drafted is not None else None,
        pace=pace,
        has_keys=bool(app.config.guest.bitlocker_key_files),
    )
    if any(found.rule == CONVERT.id for found in findings):
        findings += _without_tools()
    return findings


def _without_tools() -> list[Finding]:
    try:
        require_libguestfs()
    except V2xError as problem:
        return [CONVERT_TOOLS.finding(problem.message)]
    return []


def stop_without_disks(plan: Plan) -> None:
    """PlanError where a row's source is an export that lists machines and holds no disks."""
    used = {row.source for row in plan.rows if not row.exclude}
    for alias, inventory in plan.inventories.items():
        if alias in used and inventory.source.kind in EXPORTS:
            raise PlanError(
                f"{alias} is an RVTools export, which holds no disks",
                code="NOT-LIVE",
                hint=f"name the live source: --source {alias}=vsphere://USER@HOST; plan check shows what differs there",
            )


def stop_at_blockers(findings: Sequence[Finding], plan: Path) -> None:
    """PlanError where findings keep the plan from running; the first twenty are told."""
    blockers = [found for found in findings if found.severity is Severity.BLOCKER]
    if blockers:
        tell(blockers)
        raise PlanError(f"{plural(len(blockers), 'blocker')} in {plan}", hint=f"v2x plan check {plan} shows them all")


def tell(findings: Sequence[Finding], *, quiet: bool = False) -> None:
    """The first twenty findings, a line each."""
    for found in findings[:20]:
        name, text = printable(found.machine_name or found.subject), printable(found.text, 1000)
        show.note(f"{name}: {text} [{found.rule}]", quiet=quiet)


def stop_without_rows(plan: Plan, changed: Sequence[Finding], path: Path) -> None:
    """PlanError where every row's machine is another than it was drafted."""
    keys = {(one.source, one.machine_id) for one in changed}
    if all((row.source, row.machine_id) in keys for row in plan.rows if not row.exclude):
        stop_at_blockers(changed, path)


def with_networks(app: App, plan: Plan, uplink: str, *, create: bool) -> tuple[Plan, list[Finding]]:
    """The plan after the networks that its rows lack were made, and a finding for each; other blockers come first.

    Without `create`, only takes note of the uplink; without either, nothing changes.
    """
    if not uplink and not create:
        return plan, []
    wanted = {row.target for row in plan.rows if not row.exclude and row.target in plan.facts}
    if len(wanted) > 1:
        raise UsageError(
            "--uplink is for one target, and the plan has several",
            hint="name the interfaces by [[uplink]] rules in v2x.toml",
        )
    for alias in wanted:
        app.use_uplink(uplink, plan.facts[alias])
    blockers = {found.rule for found in checked(app, plan) if found.severity is Severity.BLOCKER}
    if not create or blockers - {NETWORK.id, NETWORK_UNRESOLVED.id}:
        return plan, []
    return app.create_networks(plan)
