# SPDX-License-Identifier: Apache-2.0
"""Template, firmware and the platform map. The firmware of the source, or of the plan, wins over the template's."""

from dataclasses import dataclass

from v2x.errors import PlanError
from v2x.mapping.ledger import Case
from v2x.mapping.rows import Family, GuestOsRow
from v2x.mapping.tables import Tables
from v2x.model.machine import Firmware, Guest
from v2x.model.target import SecureBoot, TargetFacts, Template

_LISTED = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateChoice:
    """`template` is None where the pool has none that fits; `foreign` marks one that the plan names on its own."""

    label: str
    template: Template | None
    foreign: bool = False
    reason: str = ""


def choose_template(
    wanted: str, guest_row: GuestOsRow | None, firmware: Firmware, facts: TargetFacts, tables: Tables
) -> TemplateChoice:
    """The template a plan names (reference label, name or uuid), else the first candidate that the pool has.

    PlanError for a named template that the pool lacks. Without any template the platform comes from the tables.
    """
    candidates = tables.candidates(guest_row, firmware)
    by_label: dict[str, Template] = {}
    for template in facts.templates:
        by_label.setdefault(template.reference_label, template)
    if wanted:
        found = _named(wanted, facts)
        if found is not None:
            return TemplateChoice(
                label=found.reference_label or found.name,
                template=found,
                foreign=found.reference_label not in candidates,
                reason="named in the plan",
            )
        if facts.templates:
            raise _unknown(wanted, facts)
        return TemplateChoice(label=wanted, template=None, foreign=wanted not in candidates, reason="named in the plan")
    for label in candidates:
        if label in by_label:
            return TemplateChoice(label=label, template=by_label[label], reason=_reason(label, guest_row))
    return TemplateChoice(label="", template=None, reason="the target offers none of " + ", ".join(candidates))


def _named(wanted: str, facts: TargetFacts) -> Template | None:
    tests = (
        [template for template in facts.templates if template.uuid == wanted],
        [template for template in facts.templates if template.reference_label == wanted],
        [template for template in facts.templates if template.name == wanted],
    )
    return next((found[0] for found in tests if found), None)


def _unknown(wanted: str, facts: TargetFacts) -> PlanError:
    labels = sorted({template.reference_label or template.name for template in facts.templates})
    return PlanError(f"no template is named {wanted!r}", hint="valid: " + ", ".join(labels[:_LISTED]))


def _reason(label: str, guest_row: GuestOsRow | None) -> str:
    if guest_row is None:
        return "the guest system is not known"
    if label == (guest_row.templates[0] if guest_row.templates else ""):
        return f"for {guest_row.name}"
    own = guest_row.templates[0] if guest_row.templates else ""
    return f"the pool has no {own} for {guest_row.name}" if own else f"there is no template for {guest_row.name}"


def guest_family(guest_row: GuestOsRow | None) -> Family:
    return guest_row.family if guest_row is not None else Family.OTHER


def guest_words(guest: Guest) -> str:
    """The guest system as the source names it, for a sentence."""
    return guest.os_name or guest.os_id or "an unnamed system"


def choose_firmware(case: Case) -> Firmware:
    machine, row, ledger = case.machine, case.row, case.ledger
    firmware = row.firmware or machine.firmware
    if firmware is not machine.firmware:
        ledger.note(
            f"Firmware: {machine.firmware.upper()} → {firmware.upper()} as the plan says; "
            "an installed system seldom starts with the other firmware."
        )
    elif not machine.firmware_stated:
        ledger.note(f"Firmware: the source does not say which; {firmware.upper()} is assumed.")
    return firmware


def choose_secure_boot(case: Case, firmware: Firmware) -> SecureBoot:
    """false where the source had it off; true where it was on, auto where the pool has no certificates yet."""
    machine, row = case.machine, case.row
    if not case.tables.firmware(firmware).secure_boot:
        if row.secure_boot is SecureBoot.TRUE:
            raise PlanError(
                f"machine {machine.name!r}: secure_boot is 'true' but the firmware is {firmware.value}",
                hint="set secure_boot to false, or firmware to uefi",
            )
        return SecureBoot.FALSE
    if row.secure_boot is not None:
        return row.secure_boot
    if not machine.secure_boot:
        return SecureBoot.FALSE
    if case.facts.secure_boot_certificates:
        return SecureBoot.TRUE
    case.ledger.note(
        "Secure Boot: on → auto, because no certificates are known of the pool; it is off until they are there."
    )
    return SecureBoot.AUTO


def choose_vtpm(case: Case, firmware: Firmware) -> bool:
    """A vTPM needs UEFI and a pool that has them (8.3 and later); the source's secrets cannot be moved."""
    machine, row, ledger = case.machine, case.row, case.ledger
    wanted = machine.vtpm if row.vtpm is None else row.vtpm
    if not wanted:
        return False
    obstacle = "" if case.tables.firmware(firmware).vtpm else f"the firmware is {firmware.upper()}"
    if not case.facts.vtpm_supported:
        obstacle = "the target has no vTPMs (XCP-ng 8.3 and later do)"
    if obstacle and row.vtpm:
        raise PlanError(
            f"machine {machine.name!r}: vtpm is yes but {obstacle}", hint="set vtpm to no, or choose another target"
        )
    if obstacle:
        ledger.note(f"vTPM: present → none, because {obstacle}; have recovery keys of encrypted disks at hand.")
        return False
    if machine.vtpm:
        ledger.note(
            "vTPM: the new one is empty; keys sealed in the old one (BitLocker, LUKS) need their recovery keys."
        )
    return True


def platform_map(
    *,
    choice: TemplateChoice,
    guest_row: GuestOsRow | None,
    firmware: Firmware,
    secure_boot: SecureBoot,
    vtpm: bool,
    cores_per_socket: int | None,
    tables: Tables,
    time_offset: int | None = None,
) -> dict[str, str]:
    """All platform keys, in key order: family base, template, family, guest row, firmware, then the machine's own."""
    family = tables.platform(guest_family(guest_row))
    rules = tables.firmware(firmware)
    merged = dict(family.base)
    if choice.template is not None:
        merged |= choice.template.platform
    if not choice.foreign:
        merged |= family.set
    if guest_row is not None and not choice.foreign:
        merged |= guest_row.platform
    for key in (*rules.drop, "cores-per-socket", "timeoffset"):
        merged.pop(key, None)
    merged |= rules.set
    merged["secureboot"] = secure_boot.value
    if vtpm:
        merged["vtpm"] = "true"
    if cores_per_socket is not None:
        merged["cores-per-socket"] = str(cores_per_socket)
    if time_offset is not None:
        merged["timeoffset"] = str(time_offset)
    return dict(sorted(merged.items()))
