# SPDX-License-Identifier: Apache-2.0
"""Keeps others' hands off a claim: whatever would start, copy, move, change or remove its VM is blocked with a reason.

XAPI has such a lock for VMs alone (VM.blocked_operations); VDIs have none, so a disk can be detached or removed by
someone who means to, and the next run finds out. The operations of a running VM need no lock, because it cannot be
started, and create_vtpm has none, because a claim makes its vTPM itself. All of these are known from xapi 1.249 on.
"""

from collections.abc import Mapping
from typing import Any

from v2x.target.xapi.client import Client
from v2x.target.xapi.failures import passing_gone

REASON = "v2x is still copying the disks of this VM"
BLOCKED = (
    *("start", "start_on", "resume", "resume_on", "suspend", "csvm"),
    *("snapshot", "snapshot_with_quiesce", "checkpoint", "revert", "clone", "copy", "create_template"),
    *("provision", "make_into_template", "export", "metadata_export", "pool_migrate", "migrate_send", "destroy"),
    *("changing_VCPUs", "changing_static_range", "changing_dynamic_range", "changing_memory_limits"),
    *("changing_shadow_memory", "changing_NVRAM"),
)


def protect(client: Client, reference: str, record: Mapping[str, Any]) -> None:
    """Blocks all of BLOCKED in one call; what somebody else has blocked keeps his reason."""
    found = _blocked(record)
    if not found.keys() >= set(BLOCKED):
        client.call("VM.set_blocked_operations", reference, dict.fromkeys(BLOCKED, REASON) | found)


def release(client: Client, reference: str, reason: str = REASON) -> None:
    """Takes away what `protect` put there, or what is blocked with another `reason`, and nothing else."""
    found = client.call("VM.get_blocked_operations", reference)
    kept = {key: why for key, why in found.items() if why != reason} if isinstance(found, dict) else {}
    client.call("VM.set_blocked_operations", reference, kept)


def destroy(client: Client, reference: str) -> None:
    """Removes a claim's VM; already gone is success."""
    with passing_gone():
        client.call("VM.remove_from_blocked_operations", reference, "destroy")
        client.call("VM.destroy", reference)


def _blocked(record: Mapping[str, Any]) -> dict[str, str]:
    found = record.get("blocked_operations")
    return {str(key): str(why) for key, why in found.items()} if isinstance(found, dict) else {}
