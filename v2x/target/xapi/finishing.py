# SPDX-License-Identifier: Apache-2.0
"""What a VM gets only once it is whole: its tags, its vApp, its HA priority, its being a template.

Some of these need a stronger role than the rest of a migration does. What the account may not do is left out and
said; it never keeps a machine whose bytes are all there from being finished.
"""

import json
from collections.abc import Callable
from typing import Any

from v2x.errors import PermissionRefused, TargetError
from v2x.model.target import HaPriority, TargetMachine
from v2x.target.interface import RESOURCE_SET
from v2x.target.xapi import appliance
from v2x.target.xapi.client import Client
from v2x.target.xapi.listing import records

AUTO_START = "auto_poweron"


def finish(client: Client, reference: str, spec: TargetMachine, *, pool_auto_start: bool) -> tuple[str, ...]:
    """Sets everything; returns what could not be set, and what the pool needs besides. Safe to repeat.

    Comes before the seal, after the operations are free again.
    """
    notes: list[str] = []
    if spec.tags:
        found = client.call("VM.get_tags", reference)
        have = [str(tag) for tag in found] if isinstance(found, list) else []
        client.call("VM.set_tags", reference, list(dict.fromkeys([*have, *spec.tags])))
    if spec.is_template:
        # What starts machines is for machines: XAPI refuses a template that HA protects.
        client.call("VM.set_is_a_template", reference, True)
        return ("a template has no resource set: add it to the set's objects in Xen Orchestra",) * bool(
            spec.resource_set
        )
    if spec.resource_set:
        _try(notes, "its resource set", lambda: _belong(client, reference, spec.resource_set))
    if spec.affinity:
        _try(notes, "its preferred host", lambda: _prefer(client, reference, spec.affinity))
    if spec.start_group is not None:
        group = spec.start_group
        _try(notes, f"its place in vApp {group.name}", lambda: appliance.join(client, reference, group))
    if spec.ha_priority is not HaPriority.NONE:
        priority = spec.ha_priority.value
        _try(notes, "its HA priority", lambda: client.call("VM.set_ha_restart_priority", reference, priority))
        notes += _ha_is_off(client)
    if spec.auto_start:
        notes += _pool_starts(client, pool_auto_start)
    return tuple(notes)


def _try(notes: list[str], what: str, act: Callable[[], Any]) -> None:
    try:
        act()
    except (PermissionRefused, TargetError) as problem:
        notes.append(f"{what} was not set: {problem.message}")


def _prefer(client: Client, reference: str, host: str) -> None:
    client.call("VM.set_affinity", reference, client.call("host.get_by_uuid", host))


def _belong(client: Client, reference: str, resource_set: str) -> None:
    client.call("VM.remove_from_other_config", reference, RESOURCE_SET)
    client.call("VM.add_to_other_config", reference, RESOURCE_SET, json.dumps(resource_set))


def _ha_is_off(client: Client) -> list[str]:
    pool: Any = next(iter(records(client, "pool").values()), {})
    return [] if pool.get("ha_enabled") else ["its HA priority takes effect once HA is enabled on the pool"]


def _pool_starts(client: Client, wanted: bool) -> list[str]:
    """VMs start with their host only where the pool has the key too (xapi: xapi-autostart-vms)."""
    reference, pool = next(iter(records(client, "pool").items()), ("", {}))
    other = pool.get("other_config")
    if not isinstance(other, dict) or other.get(AUTO_START) == "true":
        return []
    advice = f"xe pool-param-set uuid={pool.get('uuid')} other-config:{AUTO_START}=true"
    if not wanted:
        return [f"the pool starts no VM by itself; to have it start this one with its host: {advice}"]
    notes: list[str] = []

    def turn_on() -> None:
        client.call("pool.remove_from_other_config", reference, AUTO_START)
        client.call("pool.add_to_other_config", reference, AUTO_START, "true")

    _try(notes, "the pool's automatic start", turn_on)
    return notes
