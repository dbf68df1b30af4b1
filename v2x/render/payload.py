# SPDX-License-Identifier: Apache-2.0
"""The machines of an assessment as compact JSON for the script of the HTML page.

Every text stands once in `texts` and is referred to by its number: ten thousand machines share a few thousand texts.
Texts pass `printable`, and no sign is left that could end the element that holds the JSON.
"""

import json
from collections.abc import Iterable
from typing import Any

from v2x.model.finding import Severity
from v2x.model.forecast import Outlook, Place
from v2x.model.inventory import SourceNetwork
from v2x.model.machine import Disk, DiskFormat, Machine, Nic
from v2x.model.target import TargetDisk, TargetMachine
from v2x.model.units import show_bytes
from v2x.render.assessment import VERDICTS, Assessed, Assessment, guest_name
from v2x.render.charts import system_family
from v2x.render.words import show_place, show_word
from v2x.text import printable

_TEXT_LIMIT = 1000
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})
_SEVERITIES = (Severity.BLOCKER, Severity.UNKNOWN, Severity.WARNING, Severity.INFO)


def payload(assessment: Assessment) -> str:
    """The JSON text, safe inside a script element of the type application/json."""
    return json.dumps(_Payload(assessment).document(), ensure_ascii=False, separators=(",", ":")).translate(_ESCAPES)


class _Payload:
    def __init__(self, assessment: Assessment) -> None:
        self._assessment = assessment
        self._texts: dict[str, int] = {"": 0}
        self._rules = {(group.rule, group.severity): number for number, group in enumerate(assessment.by_rule)}
        self._vlans = _vlans(assessment.inventory.networks)
        self._has_target = assessment.facts is not None

    def document(self) -> dict[str, Any]:
        assessment = self._assessment
        index = {assessed.machine.id: number for number, assessed in enumerate(assessment.machines)}
        rules = [
            [group.rule, _SEVERITIES.index(group.severity), self._text(group.label), self._text(group.remedy)]
            for group in assessment.by_rule
        ]
        machines = [self._machine(assessed) for assessed in assessment.machines]
        gaps = [
            [
                self._text(gap.text),
                self._text(gap.how),
                None if gap.is_general else sorted({index[key] for one in gap.findings for key in one.machines}),
            ]
            for gap in assessment.gaps
        ]
        return {"rules": rules, "machines": machines, "gaps": gaps, "texts": list(self._texts)}

    def _text(self, text: str) -> int:
        """The number of a text."""
        found = self._texts.get(text)
        if found is not None:
            return found
        shown = printable(text, _TEXT_LIMIT)
        return self._texts.setdefault(shown, len(self._texts))

    def _machine(self, assessed: Assessed) -> list[Any]:
        """See `machineOf` in the script for the names of the places."""
        machine, outlook = assessed.machine, assessed.outlook
        place = " / ".join(part for part in (machine.cluster, machine.host, machine.folder) if part)
        findings: list[int] = []
        for group in assessed.groups:
            number = self._rules[group.rule, group.severity]
            for finding in group.findings:
                findings += (number, self._text(finding.subject), self._text(finding.text))
        return [
            self._text(machine.name),
            self._text(machine.id),
            VERDICTS.index(assessed.verdict),
            self._text(guest_name(machine.guest)),
            self._text(system_family(machine.guest)),
            machine.cpu.count,
            machine.memory.size_bytes,
            machine.capacity_bytes,
            outlook.data_bytes if outlook is not None else -1,
            outlook.seconds if outlook is not None else -1,
            outlook.wave if outlook is not None else 0,
            self._text(machine.power_state.value),
            self._text(place),
            findings,
            self._hardware(machine, outlook),
            self._disks(machine, outlook),
            self._cards(machine, outlook),
            [self._text(note) for note in outlook.made.notes] if outlook is not None and outlook.made else [],
            self._text(outlook.problem if outlook is not None else ""),
            self._text(", ".join(outlook.made.rows) if outlook is not None and outlook.made else ""),
        ]

    def _hardware(self, machine: Machine, outlook: Outlook | None) -> list[int]:
        """Triples of what, before, after."""
        made = outlook.made if outlook is not None else None
        triples = [word for row in _rows(machine, made) for word in row]
        return [self._text(word) for word in triples]

    def _disks(self, machine: Machine, outlook: Outlook | None) -> list[list[Any]]:
        places = {place.subject: place for place in outlook.storage} if outlook is not None else {}
        made = {one.source_disk: one for one in outlook.made.disks} if outlook is not None and outlook.made else {}
        return [self._disk(disk, places.get(disk.id), made.get(disk.id)) for disk in machine.disks]

    def _disk(self, disk: Disk, place: Place | None, made: TargetDisk | None) -> list[Any]:
        after = ""
        if made is not None and self._has_target:
            after = f"{made.image_format.value.upper()} on {place.target if place is not None else ''}"
        elif made is not None:
            after = made.image_format.value.upper()
        return [
            self._text(disk.label or disk.id),
            self._text(" ".join(part for part in (show_place(disk), disk.controller_model) if part)),
            self._text(_disk_format(disk)),
            disk.capacity_bytes,
            -1 if disk.allocated_bytes is None else disk.allocated_bytes,
            self._text(disk.datastore),
            self._text(after),
        ]

    def _cards(self, machine: Machine, outlook: Outlook | None) -> list[list[Any]]:
        places = {place.subject: place for place in outlook.networks} if outlook is not None else {}
        return [self._card(nic, places.get(str(nic.position))) for nic in machine.nics]

    def _vlan(self, nic: Nic) -> str:
        if nic.trunk:
            return "trunk"
        vlan = nic.vlan if nic.vlan is not None else self._vlans.get(nic.network)
        return "" if vlan is None else str(vlan) if vlan else "untagged"

    def _card(self, nic: Nic, place: Place | None) -> list[Any]:
        after = place.target or "to be chosen" if place is not None else ""
        return [
            self._text(nic.label or f"Card {nic.position + 1}"),
            self._text(nic.network or "unknown"),
            self._text(self._vlan(nic)),
            self._text(show_word(nic.model)),
            self._text(nic.mac or "not stated"),
            self._text(after),
            self._text(place.reason if place is not None else ""),
        ]


def _vlans(networks: Iterable[SourceNetwork]) -> dict[str, int | None]:
    """The VLAN of each network name; None where several of one name differ."""
    found: dict[str, int | None] = {}
    for network in networks:
        same = network.name not in found or found[network.name] == network.vlan
        found[network.name] = network.vlan if same else None
    return found


def _rows(machine: Machine, made: TargetMachine | None) -> list[tuple[str, str, str]]:
    def after(text: str) -> str:
        return text if made is not None else ""

    firmware = machine.firmware.value.upper() if machine.firmware_stated else "not stated"
    cores = f", {machine.cpu.cores_per_socket} per socket" if machine.cpu.cores_per_socket else ""
    rows = [
        ("Name", machine.name, after(made.name if made else "")),
        ("Processors", f"{machine.cpu.count}{cores}", after(_processors(made))),
        ("Memory", show_bytes(machine.memory.size_bytes), after(show_bytes(made.memory_bytes) if made else "")),
        ("Firmware", firmware, after(made.firmware.value.upper() if made else "")),
        ("Secure Boot", _on(machine.secure_boot), after(_secure(made))),
        ("Virtual TPM", _on(machine.vtpm), after("on, empty" if made and made.vtpm else "off")),
        ("System", guest_name(machine.guest), after(f"template {made.template}" if made and made.template else "")),
    ]
    if machine.hardware_version or machine.exporter:
        rows.append(("Virtual hardware", machine.hardware_version or machine.exporter, after("Xen HVM")))
    return rows


def _processors(made: TargetMachine | None) -> str:
    if made is None:
        return ""
    return f"{made.vcpus}, {made.cores_per_socket} per socket" if made.cores_per_socket else str(made.vcpus)


def _secure(made: TargetMachine | None) -> str:
    if made is None:
        return ""
    return {"true": "on", "false": "off", "auto": "on, if the pool has certificates"}[made.secure_boot.value]


def _on(is_so: bool) -> str:
    return "on" if is_so else "off"


def _disk_format(disk: Disk) -> str:
    form = disk.format.value.upper() if isinstance(disk.format, DiskFormat) else show_word(disk.format)
    return f"{form} {disk.subformat}".strip()
