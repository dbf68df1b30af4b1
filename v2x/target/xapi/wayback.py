# SPDX-License-Identifier: Apache-2.0
"""The way back: a sealed machine is stopped and kept from starting, so that its source may run again."""

from datetime import datetime

from v2x.errors import Conflict, V2xError
from v2x.target.xapi import protection, tags, vdi
from v2x.target.xapi.client import Client
from v2x.target.xapi.failures import xapi_code

REASON = "v2x: rolled back; its source runs again"
_BLOCKED = ("start", "start_on", "resume", "resume_on", "pool_migrate")
_NEVER = "19700101T00:00:00Z"


def first_start(client: Client, vm: str) -> str:
    """When the machine was last started, as the pool tells it in ISO 8601; empty if it never was."""
    metrics = client.call("VM.get_metrics", vm)
    started = str(client.call("VM_metrics.get_start_time", metrics))
    if started == _NEVER or started.startswith("1970"):
        return ""
    return datetime.strptime(started, "%Y%m%dT%H:%M:%SZ").strftime("%Y-%m-%dT%H:%M:%SZ")


def halt(client: Client, vm: str) -> None:
    """Stops the machine, by its guest if that listens, and blocks its start. Safe to repeat."""
    state = str(client.call("VM.get_power_state", vm))
    if state != "Halted":
        try:
            client.call("VM.clean_shutdown", vm)
        except V2xError as problem:
            if xapi_code(problem) in {"RBAC_PERMISSION_DENIED", "SESSION_INVALID"}:
                raise
            if str(client.call("VM.get_power_state", vm)) != "Halted":
                client.call("VM.hard_shutdown", vm)
    for operation in _BLOCKED:
        client.call("VM.remove_from_blocked_operations", vm, operation)
        client.call("VM.add_to_blocked_operations", vm, operation, REASON)


def remove(client: Client, vm: str, tag: str) -> None:
    """Removes a machine that was rolled back, with those of its disks that came with its migration.

    Conflict for one that runs or may start, and for one that somebody took snapshots of; nothing is removed then. Disks
    that were added later, or that another machine has attached, stay.
    """
    record = client.call("VM.get_record", vm)
    name = str(record.get("name_label"))
    blocked = record.get("blocked_operations")
    if record.get("power_state") != "Halted" or not isinstance(blocked, dict) or blocked.get("start") != REASON:
        raise Conflict(
            f"{name} is not as the rollback left it: it runs, or may start", hint="roll it back again, then remove it"
        )
    if record.get("snapshots"):
        raise Conflict(
            f"{name} has snapshots that are not of v2x",
            code="HAS-SNAPSHOTS",
            hint="remove them on the pool, then again",
        )
    for vbd in record.get("VBDs") or ():
        disk = str(client.call("VBD.get_VDI", vbd))
        if client.call("VBD.get_type", vbd) != "Disk" or disk == "OpaqueRef:NULL":
            continue
        held = client.call("VDI.get_record", disk)
        if tags.sealed_by(held, tag) and not vdi.attached_elsewhere(client, held, vm):
            vdi.destroy(client, disk)
    protection.destroy(client, vm)


def unblock(client: Client, vm: str) -> None:
    """Lets a machine that was rolled back start again."""
    blocked = client.call("VM.get_blocked_operations", vm)
    for operation, reason in blocked.items() if isinstance(blocked, dict) else ():
        if reason == REASON:
            client.call("VM.remove_from_blocked_operations", vm, operation)
