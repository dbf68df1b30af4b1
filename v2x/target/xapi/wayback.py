# SPDX-License-Identifier: Apache-2.0
"""The way back: a sealed machine is stopped and kept from starting, so that its source may run again."""

from datetime import datetime

from v2x.errors import Conflict, V2xError
from v2x.target.xapi import vdi
from v2x.target.xapi.client import Client
from v2x.target.xapi.failures import passing_gone, xapi_code

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
    """Removes the machine and those of its disks that the migration `tag` made; the machine last, for it names them."""
    record = client.call("VM.get_record", vm)
    name = record.get("name_label")
    if record.get("power_state") != "Halted":
        raise Conflict(f"{name} is {str(record.get('power_state')).lower()}", hint="shut it down first")
    disks = vdi.of_machine(client, record, tag)
    for _, disk in disks:
        if vdi.attached_elsewhere(client, disk, vm):
            raise Conflict(f"another VM has a disk of {name}: {disk.get('uuid')}", hint="detach it there, then again")
    for reference, _ in disks:
        vdi.destroy(client, reference)
    with passing_gone():
        client.call("VM.destroy", vm)


def unblock(client: Client, vm: str) -> None:
    """Lets a machine that was rolled back start again."""
    blocked = client.call("VM.get_blocked_operations", vm)
    for operation, reason in blocked.items() if isinstance(blocked, dict) else ():
        if reason == REASON:
            client.call("VM.remove_from_blocked_operations", vm, operation)
