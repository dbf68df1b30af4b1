# SPDX-License-Identifier: Apache-2.0
"""What a guest takes for the machine's identity: SMBIOS UUID and strings, and the generation id."""

import re

from v2x.mapping.ledger import Case
from v2x.mapping.resolve import is_offline
from v2x.mapping.rows import Family
from v2x.model.machine import GuestIdKind

FRESH_GENERATION = "0:0"
"""XAPI makes a new generation id at the first start, which tells Windows that it was copied."""

BIOS_KEYS = frozenset(
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
"""The keys of VM.set_bios_strings (xapi: constants.ml)."""

_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_MOST_CHARS = 512


def generation_id(family: Family) -> str:
    """A fresh one for Windows and systems that are not known; the others do not ask for it."""
    return "" if family in (Family.LINUX, Family.BSD) else FRESH_GENERATION


def wanted_uuid(case: Case) -> str:
    """The VM uuid to ask for: the source's, where strings are kept and the target is a file; else empty.

    VM.create chooses the uuid itself, an import that restores takes the file's (xapi: xapi_vm.ml, import.ml).
    """
    uuid = case.machine.uuid.strip().lower()
    if case.row.bios_strings and is_offline(case.facts) and _UUID.fullmatch(uuid):
        case.ledger.note(f"SMBIOS UUID: {uuid} is kept by an import that restores (preserve=true).")
        return uuid
    if uuid:
        case.ledger.note(f"SMBIOS UUID: {uuid} → a new one, which the pool chooses.")
    return ""


def bios_strings(case: Case, *, wanted: bool) -> dict[str, str]:
    """SMBIOS strings to set: those that the source tells, and VMware's serial number.

    Without `wanted` there are none, and XAPI gives Xen's own.
    """
    machine, ledger = case.machine, case.ledger
    told = {key.casefold(): value for key, value in machine.attributes.items() if key.casefold() in BIOS_KEYS}
    if machine.guest.os_id_kind is GuestIdKind.VMWARE:
        told = {"system-serial-number": vmware_serial(machine.uuid)} | told
    for key, value in (("system-serial-number", machine.serial_number), ("enclosure-asset-tag", machine.asset_tag)):
        if value.strip():
            told[key] = value.strip()
    told = {key: value for key, value in told.items() if value}
    if not wanted:
        for key in ("system-manufacturer", "system-product-name", "system-serial-number"):
            if key in told:
                ledger.note(f"SMBIOS {key}: {told[key]!r} → Xen's own.")
        return {}
    found = {}
    for key, value in told.items():
        if value.isascii() and value.isprintable() and len(value) <= _MOST_CHARS:
            found[key] = value
        else:
            ledger.note(f"SMBIOS string {key} left out: it is not 1 to 512 printable ASCII characters.")
    if found:
        ledger.note(
            "SMBIOS strings kept: " + ", ".join(f"{key} {value!r}" for key, value in sorted(found.items())) + "."
        )
    else:
        ledger.note("SMBIOS strings: the source tells none → Xen's own.")
    return found


def vmware_serial(uuid: str) -> str:
    """The serial number that VMware derives from a machine's BIOS uuid; empty for what is no uuid."""
    digits = uuid.strip().lower()
    if not _UUID.fullmatch(digits):
        return ""
    octets = re.findall("..", digits.replace("-", ""))
    return f"VMware-{' '.join(octets[:8])}-{' '.join(octets[8:])}"
