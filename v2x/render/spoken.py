# SPDX-License-Identifier: Apache-2.0
"""Short texts for the terminal: findings of a plan, and what will become of one machine."""

from collections.abc import Iterator, Sequence

from v2x.model.finding import Finding
from v2x.model.machine import Machine, Other
from v2x.model.target import TargetMachine
from v2x.model.units import show_bytes
from v2x.render.layout import wrap
from v2x.text import printable


def text_of_findings(findings: Sequence[Finding], *, width: int = 80) -> str:
    """Each finding in two paragraphs: what, and the remedy. Empty for no findings."""
    lines: list[str] = []
    for finding in findings:
        who = printable(finding.machine_name or finding.subject, 60)
        head = f"{finding.severity.upper()} {who}: " if who else f"{finding.severity.upper()} "
        lines += wrap(f"{head}{printable(finding.text, 1000)} [{finding.rule}]", width, rest="  ")
        lines += wrap(printable(finding.remedy, 1000), width, first="  try: ", rest="       ")
    return "\n".join(lines)


def text_of_machine(machine: Machine, spec: TargetMachine, *, width: int = 80) -> str:
    """What the machine is at the source and what it becomes on the target, line by line."""
    lines = [f"{printable(machine.name, 60)} becomes {printable(spec.name, 60)}", ""]
    for line in _rows(machine, spec):
        lines += wrap(line, width, first="  ", rest="    ")
    if spec.notes:
        lines += ["", "what changes:"]
        for text in spec.notes:
            lines += wrap(printable(text, 1000), width, first="  - ", rest="    ")
    return "\n".join(lines)


def _rows(machine: Machine, spec: TargetMachine) -> Iterator[str]:
    yield f"CPU and memory: {spec.vcpus} vCPU, {show_bytes(spec.memory_bytes)}"
    yield f"firmware: {machine.firmware} → {spec.firmware}, Secure Boot {spec.secure_boot}, vTPM {_yes(spec.vtpm)}"
    yield f"template: {printable(spec.template_name or spec.template or 'none')}"
    disks = {disk.id: disk for disk in machine.disks}
    for made in spec.disks:
        source = disks[made.source_disk]
        label, bus = printable(source.label, 40), _word(source.bus)
        yield f"disk {label}: {show_bytes(source.capacity_bytes)} on {bus} → device {made.device}, {made.image_format}"
    adapters = {nic.position: nic for nic in machine.nics}
    for card in spec.nics:
        nic = adapters[card.source_position]
        mac = card.mac or "a new MAC address"
        network = printable(nic.network or "no network", 60)
        yield f"NIC {nic.position}: {network} ({_word(nic.model)}) → {printable(card.network_name, 60)}, {mac}"


def _word(value: Other | str) -> str:
    return printable(value.text, 40) if isinstance(value, Other) else str(value)


def _yes(value: bool) -> str:
    return "yes" if value else "no"
