# SPDX-License-Identifier: Apache-2.0
"""The plan of one machine, made from options instead of a CSV file."""

from dataclasses import dataclass, replace
from pathlib import Path

from v2x.app import App
from v2x.assess.engine import assess
from v2x.cli import show
from v2x.errors import UsageError
from v2x.mapping.networks import TRUNK_VLAN
from v2x.mapping.resolve import REST
from v2x.model.codec import to_plain
from v2x.model.finding import Finding, Severity
from v2x.model.health import OnFail, ports_of, unread_ports
from v2x.model.inventory import Inventory
from v2x.model.machine import Firmware, Machine
from v2x.model.migration import VerifyLevel
from v2x.model.plan import Endpoint, GuestConversion, GuestWish, MacPolicy, Plan, PlanRow, Running, Transfer
from v2x.model.target import HaPriority
from v2x.plan import draft_plan, parse_size, plan_id
from v2x.plan.identity import machine_of, without
from v2x.render import text_of_findings, text_of_machine

_HA = {"none": HaPriority.NONE, **{one.value: one for one in HaPriority if one is not HaPriority.NONE}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What was chosen for the one machine."""

    source: str
    target: str
    vm: str | None = None
    name: str | None = None
    storage: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    mac: MacPolicy = MacPolicy.KEEP
    vcpus: int | None = None
    memory: str | None = None
    firmware: Firmware | None = None
    template: str | None = None
    host: str | None = None
    timezone: str | None = None
    bios_strings: bool = False
    as_template: bool = False
    autostart: bool | None = None
    resource_set: str | None = None
    ha: str | None = None
    verify: VerifyLevel = VerifyLevel.AUTO
    running: Running = Running.REFUSE
    start: bool = False
    checks: tuple[str, ...] = ()
    on_fail: OnFail = OnFail.KEEP
    create_networks: bool = False
    uplink: str = ""
    vlans: tuple[str, ...] = ()
    stage: Path | None = None
    dry_run: bool = False
    warm: bool = False
    convert: GuestConversion = GuestConversion.OFF
    guest: tuple[GuestWish, ...] = ()


def single_plan(app: App, choices: Choices) -> tuple[Plan, list[Finding]]:
    """Lists the source, asks the target, and writes the one row; the findings are those of that machine."""
    if not choices.target:
        raise UsageError("no target", hint="add --target xapi://root@HOST or --target xva:FOLDER")
    source = app.endpoint("source", choices.source)
    transport = app.vsphere.transport.transport
    if transport != "auto" and not source.address.startswith("vsphere:"):
        raise UsageError(
            f"--transport {transport} reads disks from vSphere, and this source is none", hint="leave it out"
        )
    target = app.endpoint("target", choices.target)
    inventory = _listed(app, source, choices.vm)
    machine = _with_vlans(_chosen(inventory, choices.vm), choices.vlans)
    facts = app.facts(target)
    if choices.uplink or choices.create_networks:
        app.use_uplink(choices.uplink, facts)
    only = replace(inventory, machines=(machine,))
    drafted = draft_plan(
        {source.alias: only},
        {target.alias: facts},
        app.tables,
        sources=[source],
        targets=[target],
        rules=app.rules,
        now=app.now(),
    )
    row = _row(drafted.rows[0], machine, choices)
    app.stage = choices.stage
    plan = replace(drafted, rows=(row,), id=plan_id((row,)))
    made: list[Finding] = []
    if choices.create_networks and not choices.dry_run:
        plan, made = app.create_networks(plan)
        facts = plan.facts[target.alias]
    if app.migrated(plan):
        facts = without(facts, row.target_name)
    findings = [
        one
        for one in assess(only, facts, app.tables, app.rules)
        if one.severity is not Severity.UNKNOWN or one.machine_id
        if not (choices.as_template and one.rule == "machine.template")
    ]
    return plan, [*findings, *made]


def _listed(app: App, source: Endpoint, wanted: str | None) -> Inventory:
    """Only what is needed of a source of thousands; all of it where that is nothing, so that names can be suggested."""
    if wanted is None:
        return app.inventory(source)
    inventory = app.inventory(source, lambda name: name == wanted)
    return inventory if inventory.machines else app.inventory(source)


def _with_vlans(machine: Machine, given: tuple[str, ...]) -> Machine:
    """The machine with the VLAN ids that the command line tells of its networks."""
    told: dict[str, int] = {}
    for text in given:
        name, sign, tag = text.rpartition("=")
        if not sign or not tag.isdecimal() or int(tag) > TRUNK_VLAN:
            raise UsageError(f"--vlan {text} is not SRC=ID", hint="for example --vlan 'VM Network=20'")
        if not any(name == nic.network for nic in machine.nics):
            known = ", ".join(sorted({nic.network for nic in machine.nics if nic.network})) or "none"
            raise UsageError(f"--vlan {text}: {machine.name} has no network {name}", hint=f"it has: {known}")
        told[name] = int(tag)
    return replace(machine, nics=tuple(replace(nic, vlan=told.get(nic.network, nic.vlan)) for nic in machine.nics))


def _chosen(inventory: Inventory, wanted: str | None) -> Machine:
    if wanted is not None:
        return machine_of(inventory, wanted)
    if len(inventory.machines) == 1:
        return inventory.machines[0]
    if not inventory.machines:
        return machine_of(inventory, "")
    names = ", ".join(sorted(machine.name for machine in inventory.machines)[:10])
    raise UsageError(f"{len(inventory.machines)} machines in {inventory.source.address}", hint=f"name one: {names}")


def _row(drafted: PlanRow, machine: Machine, choices: Choices) -> PlanRow:
    return replace(
        drafted,
        target_name=choices.name or drafted.target_name,
        storage={**drafted.storage, **_storage(machine, choices.storage)},
        networks={**drafted.networks, **_networks(machine, choices.networks)},
        mac=choices.mac,
        transfer=Transfer.WARM if choices.warm else Transfer.COLD,
        convert=choices.convert,
        guest=choices.guest,
        vcpus=choices.vcpus if choices.vcpus is not None else drafted.vcpus,
        memory_bytes=parse_size(choices.memory) if choices.memory else drafted.memory_bytes,
        firmware=choices.firmware or drafted.firmware,
        template=choices.template or drafted.template,
        host=choices.host or drafted.host,
        timezone=choices.timezone or drafted.timezone,
        bios_strings=choices.bios_strings,
        as_template=choices.as_template,
        autostart=drafted.autostart if choices.autostart is None else choices.autostart,
        ha=drafted.ha if choices.ha is None else _HA[choices.ha],
        resource_set=drafted.resource_set if choices.resource_set is None else choices.resource_set,
        verify=choices.verify,
        running=choices.running,
        start=choices.start,
        checks=_checks(choices.checks),
        on_fail=choices.on_fail,
        exclude=False,
    )


def _checks(given: tuple[str, ...]) -> str:
    checks = ", ".join(given)
    wrong = unread_ports(checks) or tuple(one for one in given if not ports_of(one))
    if wrong:
        raise UsageError(f"--check {wrong[0]} is not tcp:PORT[@ADDRESS]", hint="for example --check tcp:443")
    return checks


def _storage(machine: Machine, given: tuple[str, ...]) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for text in given:
        disk, sign, sr = text.partition("=")
        known = {name: one.id for one in machine.disks for name in (one.id, one.label, str(one.position))}
        if sign and disk in known:
            chosen[known[disk]] = sr
        elif sign and disk != "*":
            raise UsageError(f"--sr {text}: {machine.name} has no disk {disk}", hint=f"disks are {', '.join(known)}")
        else:
            for one in machine.disks:
                chosen.setdefault(one.id, sr if sign else text)
            chosen["*"] = sr if sign else text
    return chosen


def _networks(machine: Machine, given: tuple[str, ...]) -> dict[str, str]:
    """The networks named, by adapter position; `*` is weaker than a name, and a name than a number."""
    chosen: dict[str, tuple[int, str]] = {}
    for text in given:
        name, sign, network = text.partition("=")
        if not sign or not network:
            raise UsageError(f"--network {text} is not SRC=DST", hint="for example --network 'VM Network=LAN'")
        nics = [nic for nic in machine.nics if name in {nic.network, str(nic.position), REST}]
        if not nics and name != REST:
            known = ", ".join(sorted({nic.network for nic in machine.nics if nic.network})) or "none"
            raise UsageError(f"--network {text}: {machine.name} has no network {name}", hint=f"it has: {known}")
        for nic in nics:
            weight = 0 if name == REST else 1 if name == nic.network else 2
            if weight >= chosen.get(str(nic.position), (0, ""))[0]:
                chosen[str(nic.position)] = (weight, network)
    return {position: network for position, (_, network) in chosen.items()}


def describe(app: App, plan: Plan, findings: list[Finding], *, as_json: bool) -> None:
    """Prints what a migration would do."""
    (order,) = app.orders(plan)
    blocked = any(one.severity is Severity.BLOCKER for one in findings)
    if as_json:
        rows = [to_plain(one) for one in findings]
        content = {"id": order.id, "blocked": blocked, "machine": to_plain(order.spec), "findings": rows}
        show.document("v2x.dry-run/1", content)
        return
    show.result(text_of_machine(order.machine, order.spec))
    if findings:
        show.result(text_of_findings(findings))
    show.result("nothing was written; leave out --dry-run to do it")
