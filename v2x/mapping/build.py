# SPDX-License-Identifier: Apache-2.0
"""Builds the machine to make on the target from the source's machine, a plan row, the target's facts and the tables."""

import re

from v2x.errors import PlanError
from v2x.mapping.belonging import affinity, belongings, start_group
from v2x.mapping.clock import time_offset
from v2x.mapping.devices import note_hidden, target_disks, target_nics
from v2x.mapping.identity import bios_strings as smbios
from v2x.mapping.identity import generation_id, wanted_uuid
from v2x.mapping.ledger import Case, Ledger
from v2x.mapping.names import clean_name, clean_text
from v2x.mapping.networks import Places
from v2x.mapping.platform import (
    choose_firmware,
    choose_secure_boot,
    choose_template,
    choose_vtpm,
    guest_family,
    guest_words,
    platform_map,
)
from v2x.mapping.rows import Family, GuestOsRow
from v2x.mapping.scheduling import vcpus_params
from v2x.mapping.tables import Tables
from v2x.model.machine import Machine
from v2x.model.plan import PlanRow
from v2x.model.target import TargetFacts, TargetMachine, Template
from v2x.model.units import MIB, round_up, show_bytes


def build_machine(
    machine: Machine,
    row: PlanRow,
    facts: TargetFacts,
    tables: Tables,
    *,
    places: Places | None = None,
    auto_start: bool = False,
    bios_strings: bool = False,
) -> TargetMachine:
    """The machine to make, complete, with the mapping rows used and a note for everything that changes.

    `places` are the user's rules and the source's networks, for what the row leaves open. `auto_start` and
    `bios_strings` ask for what the row may ask for too. PlanError where the row names something the target lacks or
    contradicts itself, or where no network is certain; Unsupported or BadImage where a disk cannot be made there.
    """
    ledger = Ledger()
    case = Case(machine, row, facts, tables, ledger, places or Places())
    guest_row = tables.guest_os(machine.guest)
    family = guest_family(guest_row)
    _note_guest(machine, guest_row, ledger)
    name = target_name(machine, row, ledger)
    firmware = choose_firmware(case)
    rules = tables.firmware(firmware)
    ledger.used(rules)
    choice = choose_template(row.template, guest_row, firmware, facts, tables)
    ledger.used(tables.platform(family))
    if choice.template is None and facts.templates:
        ledger.note(f"Template: none, because {choice.reason}; the platform is built without one.")
    secure_boot = choose_secure_boot(case, firmware)
    vtpm = choose_vtpm(case, firmware)
    vcpus = _vcpus(machine, row, ledger)
    cores = _cores_per_socket(machine, vcpus, guest_row, ledger)
    memory_bytes = _memory(machine, row, ledger)
    boot_order = _boot_order(machine, tables, ledger)
    disks, cd_device = target_disks(case, name)
    nics = target_nics(case)
    note_hidden(disks, nics, rules, ledger)
    template = choice.template
    platform = platform_map(
        choice=choice,
        guest_row=guest_row,
        firmware=firmware,
        secure_boot=secure_boot,
        vtpm=vtpm,
        cores_per_socket=cores,
        time_offset=time_offset(case, family),
        tables=tables,
    )
    return TargetMachine(
        source_id=machine.id,
        name=name,
        description=_description(machine, row),
        firmware=firmware,
        secure_boot=secure_boot,
        vtpm=vtpm,
        vcpus=vcpus,
        memory_bytes=memory_bytes,
        platform=platform,
        boot_order=boot_order,
        template=choice.label,
        template_name=template.name if template is not None else "",
        cores_per_socket=cores,
        recommendations=template.recommendations if template is not None else "",
        tags=tuple(dict.fromkeys(tag for tag in (clean_name(tag) for tag in machine.tags) if tag)),
        disks=disks,
        nics=nics,
        cd_device=cd_device,
        other_config=_other_config(machine, row, template.name if template is not None else "") | belongings(case),
        bios_strings=smbios(case, wanted=bios_strings or row.bios_strings),
        auto_start=auto_start or row.autostart,
        vcpus_params=vcpus_params(case, vcpus),
        memory_static_min_bytes=_static_min(template, memory_bytes),
        generation_id=generation_id(family),
        affinity=affinity(case),
        ha_priority=row.ha,
        start_group=start_group(case),
        is_template=_as_template(case),
        resource_set=clean_name(row.resource_set),
        uuid=wanted_uuid(case),
        rows=ledger.rows,
        notes=ledger.notes,
    )


def target_name(machine: Machine, row: PlanRow, ledger: Ledger | None = None) -> str:
    """The name on the target: the plan's, else the source's, cleaned; the id where nothing is left."""
    wanted = row.target_name or machine.name
    name = clean_name(wanted) or clean_name(machine.id) or "v2x"
    if ledger is not None and name != machine.name:
        ledger.note(f"Name: {machine.name!r} → {name!r}.")
    return name


def _note_guest(machine: Machine, guest_row: GuestOsRow | None, ledger: Ledger) -> None:
    if guest_row is None:
        ledger.note(
            f"Guest system: {guest_words(machine.guest)} is not in the mapping tables; it is treated as unknown."
        )
        return
    ledger.used(guest_row)
    ledger.note(guest_row.note)


def _description(machine: Machine, row: PlanRow) -> str:
    """The source's notes, then where the machine comes from."""
    origin = ", ".join(
        part for part in (clean_name(machine.name), machine.uuid or machine.id, machine.exporter) if part
    )
    return "\n".join(
        part for part in (clean_text(machine.notes).strip(), f"Moved by v2x from {row.source}: {origin}") if part
    )


def _other_config(machine: Machine, row: PlanRow, template_name: str) -> dict[str, str]:
    """XAPI's base_template_name, and the identity that the guest had, for licences and inventories bound to it."""
    pairs = {
        "base_template_name": template_name,
        "v2x-source": clean_name(row.source),
        "v2x-source-id": clean_name(machine.id),
        "v2x-source-uuid": clean_name(machine.uuid),
    }
    return {key: value for key, value in pairs.items() if value}


def _vcpus(machine: Machine, row: PlanRow, ledger: Ledger) -> int:
    vcpus = machine.cpu.count if row.vcpus is None else row.vcpus
    if vcpus < 1:
        raise PlanError(f"machine {machine.name!r}: {vcpus} vCPUs", hint="give at least 1 in column vcpus")
    if vcpus != machine.cpu.count:
        ledger.note(f"vCPUs: {machine.cpu.count} → {vcpus}, as the plan says.")
    return vcpus


def _cores_per_socket(machine: Machine, vcpus: int, guest_row: GuestOsRow | None, ledger: Ledger) -> int | None:
    """Cores per socket, a divisor of the vCPUs; None leaves it to XAPI (one core per socket).

    Windows client editions use at most two sockets, so where the source tells nothing Windows gets two, or one for an
    odd number of vCPUs.
    """
    told = machine.cpu.cores_per_socket
    if told is not None and 1 <= told <= vcpus and vcpus % told == 0:
        return told
    if told is not None:
        ledger.note(
            f"CPU topology: {told} cores per socket → none set, because {vcpus} vCPUs are not a multiple of it."
        )
    if guest_row is None or guest_row.family is not Family.WINDOWS or vcpus == 1:
        return None
    return vcpus // 2 if vcpus % 2 == 0 else vcpus


def _memory(machine: Machine, row: PlanRow, ledger: Ledger) -> int:
    needed = machine.memory.needed_bytes
    wanted = needed if row.memory_bytes is None else row.memory_bytes
    if wanted < 1:
        raise PlanError(
            f"machine {machine.name!r}: {wanted} bytes of memory", hint="give a size such as 2 GiB in column memory"
        )
    memory_bytes = round_up(wanted, MIB)
    if memory_bytes != machine.memory.size_bytes:
        why = "as the plan says" if row.memory_bytes is not None else "a whole number of MiB"
        if row.memory_bytes is None and needed > machine.memory.size_bytes:
            why = "what it uses at the source"
        ledger.note(f"Memory: {show_bytes(machine.memory.size_bytes)} → {show_bytes(memory_bytes)}, {why}.")
    low, high = machine.memory.dynamic_min_bytes, machine.memory.dynamic_max_bytes
    if low is not None or high is not None:
        shown = " to ".join(show_bytes(bound) for bound in (low, high) if bound is not None)
        ledger.note(f"Memory: dynamic ({shown}) → fixed at {show_bytes(memory_bytes)}.")
    return memory_bytes


def _boot_order(machine: Machine, tables: Tables, ledger: Ledger) -> str:
    """Letters of HVM_boot_params.order; disk is always among them, and disk then CD where the source tells nothing."""
    letters: dict[str, None] = {}
    for word in machine.boot_order:
        boot = tables.boot(word) or tables.boot(re.split(r"[\d:]", word, maxsplit=1)[0])
        if boot is None or not boot.letter:
            ledger.note(f"Boot order: {clean_name(word)!r} left out, XAPI cannot start from it.")
            continue
        ledger.used(boot)
        letters[boot.letter] = None
    if not letters:
        return "cd"
    return "".join(letters | {"c": None})


def _static_min(template: Template | None, memory_bytes: int) -> int:
    """The template's least memory, never above the machine's own: what it may be lowered to while it is off."""
    return min(template.memory_static_min_bytes, memory_bytes) if template is not None else 0


def _as_template(case: Case) -> bool:
    if case.row.as_template and not case.machine.is_template:
        case.ledger.note("Kind: machine → template, as the plan says.")
    elif case.row.as_template:
        case.ledger.note("Kind: a template, and sealed as one: it is cloned, not started.")
    return case.row.as_template
