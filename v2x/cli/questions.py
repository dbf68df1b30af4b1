# SPDX-License-Identifier: Apache-2.0
"""The questions of `v2x wizard`: plain prompts that work over SSH, in any width and for a screen reader."""

import shlex
from dataclasses import replace
from pathlib import Path

import typer

from v2x.app import App
from v2x.cli import show
from v2x.cli.build import build
from v2x.cli.options import Given
from v2x.cli.running import conclude, run_plan, write_report
from v2x.cli.single import Choices, single_plan
from v2x.errors import TrustError, UsageError, V2xError
from v2x.mapping.networks import NetworkChoice, Places, resolve_network
from v2x.mapping.resolve import reference
from v2x.model.inventory import Inventory
from v2x.model.machine import Firmware, Machine, PowerState
from v2x.model.plan import Running
from v2x.model.target import TargetFacts
from v2x.model.units import GIB, show_bytes
from v2x.plan import parse_size, write_size
from v2x.render import text_of_findings, text_of_machine
from v2x.text import printable
from v2x.tls import seen_fingerprint

_USUAL_MEMORY_BYTES = 4 * GIB
_MOST_VCPUS = 255


def ask_and_migrate(given: Given, report: Path | None) -> None:
    """The whole conversation. `q` at any question, or Ctrl-C, leaves; nothing is written before the last yes."""
    show.note("v2x moves one machine to XCP-ng.\nNothing is changed before you say yes at the end; q leaves.")
    show.note("A source is a server, or a path: an .ova, .ovf or .vmx file, a Hyper-V export, a folder of them.\n")
    app = build(given)
    source, inventory = _source(app)
    machine = _machine(inventory)
    target, facts = _target(app)
    places = app.places(inventory)
    choices = _choices(machine, facts, places, Choices(source=source, target=target, vm=machine.id))
    while True:
        plan, findings = single_plan(app, choices)
        (order,) = app.orders(plan)
        show.result(text_of_machine(order.machine, order.spec))
        if findings:
            show.result(text_of_findings(findings))
        show.result(f"next time, in one line:\n  {_command(choices, app)}\n")
        answer = _ask("Migrate now? (yes, change, q)", "yes").lower()
        if answer in {"y", "yes"}:
            break
        if answer in {"c", "change"}:
            choices = _choices(machine, facts, places, choices)
    finished = run_plan(app, given, plan, findings)
    written = report or Path(f"{order.spec.name.replace('/', '-')}.v2x.json")
    write_report(finished.report, written)
    conclude(finished, given, written)


def _ask(question: str, default: str = "") -> str:
    answer = str(typer.prompt(question, default=default or None, err=True)).strip()
    if answer.lower() in {"q", "quit"}:
        raise typer.Abort
    return answer


def _source(app: App) -> tuple[str, Inventory]:
    text = ""
    while True:
        text = text or _ask("Source: a path, vsphere://USER@HOST or hyperv://USER@HOST")
        asked, text = text, ""
        try:
            inventory = app.inventory(app.endpoint("source", asked))
        except TrustError as problem:
            show.note(f"  {problem.message}")
            pin = _offered_pin(app, "source", asked)
            if pin:
                app.source_side, text = replace(app.source_side, fingerprint=pin), asked
            continue
        except V2xError as problem:
            show.problem(problem)
            continue
        for trouble in inventory.problems:
            show.note(f"  {printable(trouble.subject)}: {printable(trouble.text)}")
        if inventory.machines:
            return asked, inventory
        show.note("  no machine was found there")


def _machine(inventory: Inventory) -> Machine:
    machines = sorted(inventory.machines, key=lambda machine: machine.name)
    if len(machines) == 1:
        return machines[0]
    for number, machine in enumerate(machines, 1):
        show.note(f"  {number:3}  {printable(machine.name, 50)}  {show_bytes(machine.capacity_bytes)}")
    while True:
        answer = _ask("Machine: number or name")
        found = [
            machine for number, machine in enumerate(machines, 1) if answer in {str(number), machine.name, machine.id}
        ]
        if len(found) == 1:
            return found[0]
        show.note("  no such machine; give a number of the list")


def _target(app: App) -> tuple[str, TargetFacts]:
    while True:
        text = _ask("Target: xapi://root@HOST of the pool's coordinator, or xva:FOLDER")
        try:
            endpoint = app.endpoint("target", text)
            return text, app.facts(endpoint)
        except TrustError as problem:
            show.note(f"  {problem.message}")
            pinned = _offered_pin(app, "target", text)
            if pinned:
                app.target_side = replace(app.target_side, fingerprint=pinned)
                return text, app.facts(app.endpoint("target", text))
        except V2xError as problem:
            show.problem(problem)


_WHO = {
    "target": ("A pool", "your pool", "/etc/xensource/xapi-ssl.pem"),
    "source": ("An ESXi host or vCenter", "yours", "/etc/vmware/ssl/rui.crt"),
}


def _offered_pin(app: App, side: str, text: str) -> str:
    from v2x.model.address import parse_address

    address = parse_address(app.endpoint(side, text).address)
    who, mine, file = _WHO[side]
    pin = seen_fingerprint(address.host, address.port or 443)
    if not pin:
        return ""
    show.note(
        f"  {who} makes its own certificate when it is installed, so this is usual. To be sure that it is {mine},"
        f" compare these digits with what its console prints for openssl x509 -in {file} -noout -fingerprint -sha256"
    )
    show.note(f"  {pin}")
    answer = _ask("Are they the same? Trust exactly this certificate? (yes, no)", "no")
    return pin if answer.lower() in {"y", "yes"} else ""


def _choices(machine: Machine, facts: TargetFacts, places: Places, before: Choices) -> Choices:
    name = _ask("Name on the target", before.name or machine.name)
    storage = before.storage
    stores = [sr for sr in facts.storage if sr.content_type == "user" and sr.hosts]
    if len(stores) > 1:
        default = next((sr.name for sr in stores if sr.is_default), stores[0].name)
        for sr in stores:
            show.note(f"  {printable(sr.name, 50)}  {show_bytes(sr.free_bytes)} free")
        storage = (_known("Storage repository", default, [sr.name for sr in stores]),)
    networks = _networks(machine, facts, places)
    vcpus = before.vcpus
    if machine.cpu.count < 1:
        show.note("  Only disks are known of this machine; its hardware is yours to say.")
        vcpus = _vcpus(before.vcpus or 2)
    memory = _memory(before.memory or write_size(machine.memory.size_bytes or _USUAL_MEMORY_BYTES))
    firmware = before.firmware
    if not machine.firmware_stated:
        firmware = Firmware(_known("Firmware (bios, uefi)", str(firmware or machine.firmware), list(Firmware)))
    running = _running(machine, before.running)
    start = _ask("Start it when all is done? (yes, no)", "no").lower() in {"y", "yes"}
    return replace(
        before,
        name=name,
        storage=storage,
        networks=networks,
        vcpus=vcpus,
        memory=memory,
        firmware=firmware,
        running=running,
        start=start,
    )


def _running(machine: Machine, before: Running) -> Running:
    """What to do with a machine that runs at a live source; no question for any other."""
    if machine.power_state is not PowerState.ON or not machine.reference:
        return before
    show.note(f"  {printable(machine.name)} is running")
    show.note("    shutdown   its guest is asked to shut down, then its disks are copied")
    show.note(
        "    snapshot   its disks are copied as they are now; it goes on running, and what it writes stays behind"
    )
    known = [choice.value for choice in (Running.SHUTDOWN, Running.SNAPSHOT, Running.POWER_OFF)]
    default = before.value if before.value in known else Running.SHUTDOWN.value
    return Running(_known("What is to become of it", default, known))


def _networks(machine: Machine, facts: TargetFacts, places: Places) -> tuple[str, ...]:
    """A network for each adapter; what is not certain has no default, and the reason is told."""
    known = [reference(network, facts.networks) for network in facts.networks if not network.in_bond]
    if not known or not machine.nics:
        return ()
    for network in facts.networks:
        if not network.in_bond:
            over = network.device_names or "no interface"
            tag = f", VLAN {network.vlan}" if network.vlan else ""
            twin = "" if reference(network, facts.networks) == network.name else f", {network.uuid}"
            show.note(f"  {printable(network.name, 60)} ({over}{tag}{twin})")
    chosen = []
    for nic in machine.nics:
        found = resolve_network(nic, machine, facts, places)
        default = reference(found.network, facts.networks) if isinstance(found, NetworkChoice) else ""
        if not isinstance(found, NetworkChoice):
            show.note(f"  {printable(nic.network) or printable(nic.label)}: {printable(found.why, 200)}")
        label = f"Network for {printable(nic.label)} (now on {printable(nic.network) or 'none'})"
        chosen.append(f"{nic.position}={_known(label, default, known)}")
    return tuple(chosen)


def _vcpus(default: int) -> int:
    while True:
        answer = _ask("Virtual CPUs", str(default))
        if answer.isascii() and answer.isdecimal() and 0 < int(answer) <= _MOST_VCPUS:
            return int(answer)
        show.note(f"  a number from 1 to {_MOST_VCPUS}")


def _memory(default: str) -> str:
    while True:
        answer = _ask("Memory", default)
        try:
            parse_size(answer)
        except UsageError as problem:
            show.problem(problem)
        else:
            return answer


def _known(question: str, default: str, known: list[str]) -> str:
    while True:
        answer = _ask(question, default)
        if answer in known:
            return answer
        show.note(f"  there is no {printable(answer)}; there are: {', '.join(printable(one) for one in known)}")


def _command(choices: Choices, app: App) -> str:
    source, target = app.source_side, app.target_side
    options: list[tuple[str, str | None]] = [
        ("--source-fingerprint", source.fingerprint),
        ("--target-fingerprint", target.fingerprint),
        *(("--share", share) for share in source.shares),
        ("--smb-user", source.smb_user),
        ("--name", choices.name),
        *(("--sr", sr) for sr in choices.storage),
        *(("--network", network) for network in choices.networks),
        ("--vcpus", str(choices.vcpus or "")),
        ("--memory", choices.memory),
        ("--running", choices.running if choices.running is not Running.REFUSE else ""),
        ("--firmware", choices.firmware),
    ]
    flags = [
        ("--no-smb-encryption", not source.smb_encryption),
        ("--experimental-vmcx", source.experimental_vmcx),
        ("--start", choices.start),
    ]
    words = ["v2x", "migrate", choices.source, choices.vm or "", "--target", choices.target]
    words += [word for option, value in options if value for word in (option, str(value))]
    return shlex.join([*words, *(flag for flag, given in flags if given)])
