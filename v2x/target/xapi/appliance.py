# SPDX-License-Identifier: Apache-2.0
"""vApps: the VM_appliance of a start group, made or adopted, and the place of a VM in it.

A VM_appliance has no other_config, so its description carries the mark by which it is found again.
"""

from v2x.errors import V2xError
from v2x.model.target import StartGroup
from v2x.target.xapi.client import Client
from v2x.target.xapi.failures import xapi_code
from v2x.target.xapi.listing import records

_NULL = "OpaqueRef:NULL"


def mark(group: StartGroup) -> str:
    return f"[v2x-group {group.key}]"


def join(client: Client, vm: str, group: StartGroup) -> None:
    """Puts a VM into the vApp of its group, with its order and delays. Safe to repeat."""
    appliance = _ensure(client, group)
    if client.call("VM.get_appliance", vm) != appliance:
        client.call("VM.set_appliance", vm, appliance)
    client.call("VM.set_order", vm, group.order)
    client.call("VM.set_start_delay", vm, group.start_delay_seconds)
    client.call("VM.set_shutdown_delay", vm, group.shutdown_delay_seconds)


def _ensure(client: Client, group: StartGroup) -> str:
    """The one vApp that carries the mark. Of two that were made at once, the lower uuid stays."""
    found = _marked(client, group)
    if not found:
        client.call(
            "VM_appliance.create",
            {"name_label": group.name, "name_description": f"Made by v2x from the source's group. {mark(group)}"},
        )
        found = _marked(client, group)
    chosen, *others = sorted(found, key=lambda one: found[one])
    for other in others:
        _drop_empty(client, other)
    return chosen


def _marked(client: Client, group: StartGroup) -> dict[str, str]:
    """References and uuids of the vApps of a group."""
    return {
        reference: str(record.get("uuid", ""))
        for reference, record in records(client, "VM_appliance").items()
        if mark(group) in str(record.get("name_description", ""))
    }


def _drop_empty(client: Client, reference: str) -> None:
    try:
        if not client.call("VM_appliance.get_VMs", reference):
            client.call("VM_appliance.destroy", reference)
    except V2xError as error:
        if xapi_code(error) not in ("HANDLE_INVALID", "RBAC_PERMISSION_DENIED"):
            raise
