# SPDX-License-Identifier: Apache-2.0
"""Where a machine belongs: the host it prefers, its start group, its folder, its custom fields."""

import hashlib

from v2x.errors import PlanError
from v2x.mapping.ledger import Case
from v2x.mapping.names import clean_name, clean_text
from v2x.mapping.resolve import is_offline
from v2x.model.target import StartGroup, TargetHost

CUSTOM = "custom."
"""The prefix of attributes that people made up at the source."""

CUSTOM_FIELD = "XenCenter.CustomFields."
"""The prefix of other_config keys that XenCenter and Xen Orchestra show as custom fields."""

_LISTED = 20
_VALUE_CHARS = 4096


def affinity(case: Case) -> str:
    """The uuid of the host that the machine prefers; empty for none. PlanError for a named one that is not there."""
    if is_offline(case.facts):
        return ""
    wanted = case.row.host.strip()
    if wanted:
        found = _hosts(wanted, case.facts.hosts)
        if len(found) != 1:
            names = ", ".join(sorted(host.name for host in case.facts.hosts)[:_LISTED]) or "none"
            raise PlanError(
                f"{len(found) or 'no'} host{'s' if len(found) > 1 else ''} of the pool named {wanted!r}",
                hint=f"valid: {names}, or a uuid",
            )
        return found[0].uuid
    found = _hosts(case.machine.host, case.facts.hosts) if case.machine.host else []
    if len(found) != 1:
        return ""
    case.ledger.note(f"Host: it prefers {found[0].name}, as on the source.")
    return found[0].uuid


def _hosts(wanted: str, hosts: tuple[TargetHost, ...]) -> list[TargetHost]:
    return [host for host in hosts if wanted == host.uuid or wanted.casefold() == host.name.casefold()]


def start_group(case: Case) -> StartGroup | None:
    """The vApp of the source, to become a VM_appliance."""
    machine = case.machine
    name = clean_name(machine.group)
    if not name:
        return None
    order = machine.start_order or 0
    if is_offline(case.facts):
        case.ledger.note(
            f"Group: {name!r} → none, because a file of one machine holds no group; its order was {order}."
        )
        return None
    case.ledger.note(f"Group: {name!r} → a vApp of that name on the pool, start order {order}.")
    key = hashlib.sha256(f"{case.row.source}\0{machine.group}".encode(errors="replace")).hexdigest()[:16]
    delay = max(0, machine.start_delay_seconds or 0)
    return StartGroup(name=name, key=key, order=max(0, order), start_delay_seconds=delay)


def belongings(case: Case) -> dict[str, str]:
    """other_config keys for the folder and the custom fields."""
    pairs = {}
    folder = "/".join(part for part in (clean_name(part) for part in case.machine.folder.split("/")) if part)
    if folder:
        pairs["folder"] = f"/{folder}"
    for key, value in case.machine.attributes.items():
        name = clean_name(key.removeprefix(CUSTOM))
        if key.startswith(CUSTOM) and name:
            pairs[CUSTOM_FIELD + name] = clean_text(value).strip()[:_VALUE_CHARS]
    return pairs
