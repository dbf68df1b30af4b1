# SPDX-License-Identifier: Apache-2.0
"""Builds the machine to make on the target from the source's machine, a plan row, the target's facts and the tables."""

import re
import unicodedata

from v2x.errors import PlanError
from v2x.mapping.devices import note_hidden, target_disks, target_nics
from v2x.mapping.ledger import Case, Ledger
from v2x.mapping.networks import Places
from v2x.mapping.platform import (
    choose_firmware,
    choose_secure_boot,
    choose_template,
    choose_vtpm,
    guest_words,
    platform_map,
)
from v2x.mapping.rows import Family, GuestOsRow
from v2x.mapping.tables import Tables
from v2x.model.machine import Machine
from v2x.model.plan import PlanRow
from v2x.model.target import TargetFacts, TargetMachine
from v2x.model.units import MIB, round_up, show_bytes

_KEPT_CONTROLS = "\n\t"
# Overrides of the writing direction make a name look like another one.
_DIRECTION_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_BIOS_KEYS = frozenset(
    {
        "bios-vendor",
        "bios-version",
        "system-manufacturer",
        "system-product-name",
        "system-version",
        "system-serial-number",
        "baseboard-manufacturer",
        "baseboard-product-name",
        "baseboard-version",
        "baseboard-serial-number",
        "baseboard-asset-tag",
        "baseboard-location-in-chassis",
        "enclosure-asset-tag",
    }
)


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

    `places` are the user's rules and the source's networks, for what the row leaves open.
    `bios_strings` takes over SMBIOS strings that the source tells as attributes named as XAPI names them. PlanError
    where the row names something the target lacks or contradicts itself; Unsupported or BadImage where a disk cannot
    be made there.
    """
    ledger = Ledger()
    case = Case(machine, row, facts, tables, ledger, places or Places())
    guest_row = tables.guest_os(machine.guest)
    _note_guest(machine, guest_row, ledger)
    name = target_name(machine, row, ledger)
    firmware = choose_firmware(case)
    rules = tables.firmware(firmware)
    ledger.used(rules)
    choice = choose_template(row.template, guest_row, firmware, facts, tables)
    ledger.used(tables.platform(guest_row.family if guest_row is not None else Family.OTHER))
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
    return TargetMachine(
        source_id=machine.id,
        name=name,
        description=_description(machine, row),
        firmware=firmware,
        secure_boot=secure_boot,
        vtpm=vtpm,
        vcpus=vcpus,
        memory_bytes=memory_bytes,
        platform=platform_map(
            choice=choice,
            guest_row=guest_row,
            firmware=firmware,
            secure_boot=secure_boot,
            vtpm=vtpm,
            cores_per_socket=cores,
            tables=tables,
        ),
        boot_order=boot_order,
        template=choice.label,
        template_name=template.name if template is not None else "",
        cores_per_socket=cores,
        recommendations=template.recommendations if template is not None else "",
        tags=tuple(dict.fromkeys(tag for tag in (clean_name(tag) for tag in machine.tags) if tag)),
        disks=disks,
        nics=nics,
        cd_device=cd_device,
        other_config=_other_config(machine, row, template.name if template is not None else ""),
        bios_strings=_bios_strings(machine, ledger) if bios_strings else {},
        auto_start=auto_start,
        rows=ledger.rows,
        notes=ledger.notes,
    )


def clean_text(text: str) -> str:
    """`text` without what XML-RPC or a reader cannot bear: controls but for line ends and tabs, surrogates,
    noncharacters and direction overrides.
    """
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(char for char in plain if char in _KEPT_CONTROLS or not _is_unsafe(char))


def _is_unsafe(char: str) -> bool:
    return (
        unicodedata.category(char) in ("Cc", "Cs")
        or char in _DIRECTION_OVERRIDES
        or ord(char) & 0xFFFE == 0xFFFE
        or 0xFDD0 <= ord(char) <= 0xFDEF
    )


def clean_name(text: str) -> str:
    """`text` as one line without controls and without blanks around it."""
    return " ".join(clean_text(text).split())


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
    wanted = machine.memory.size_bytes if row.memory_bytes is None else row.memory_bytes
    if wanted < 1:
        raise PlanError(
            f"machine {machine.name!r}: {wanted} bytes of memory", hint="give a size such as 2 GiB in column memory"
        )
    memory_bytes = round_up(wanted, MIB)
    if memory_bytes != machine.memory.size_bytes:
        why = "as the plan says" if row.memory_bytes is not None else "a whole number of MiB"
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


def _bios_strings(machine: Machine, ledger: Ledger) -> dict[str, str]:
    found = {}
    for key, value in machine.attributes.items():
        name = key.casefold()
        if name not in _BIOS_KEYS:
            continue
        if value.isascii() and value.isprintable() and 1 <= len(value) <= 512:
            found[name] = value
        else:
            ledger.note(f"SMBIOS string {name} left out: it is not 1 to 512 printable ASCII characters.")
    return found
