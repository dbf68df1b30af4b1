# SPDX-License-Identifier: Apache-2.0
"""A guest as the pool tells of it: its domain, its devices, and what an agent in it says.

Facts: VM_guest_metrics of XAPI's datamodel, filled in by xapi_guest_agent.ml: `networks` has <vif>/ip, <vif>/ipv4/<n>
and <vif>/ipv6/<n>; `PV_drivers_version` major, minor, micro and build. Its fields `disks` and `memory` are removed, and
there is none for gateways, mount points or the clock.
"""

import re
from collections.abc import Mapping
from typing import Any

from v2x.model.health import Adapter, GuestNow
from v2x.target.xapi.client import Client
from v2x.target.xapi.listing import number

_NULL = "OpaqueRef:NULL"
_ADDRESS = re.compile(r"(?P<device>[0-9]+)/(?:ip|ipv[46]/[0-9]+)")
_VERSION = ("major", "minor", "micro", "build")


def guest_now(client: Client, vm: str) -> GuestNow:
    """What there is to know of a VM at this moment."""
    record: Any = client.call("VM.get_record", vm)
    said = _metrics(client, str(record.get("guest_metrics", _NULL)))
    told = _texts(said.get("networks"))
    version = _texts(said.get("PV_drivers_version"))
    system = _texts(said.get("os_version"))
    return GuestNow(
        running=record.get("power_state") == "Running",
        agent=bool(said.get("live")) if said else None,
        drivers=bool(said.get("PV_drivers_detected")) if said else None,
        drivers_version=".".join(version[part] for part in _VERSION if version.get(part)),
        system=system.get("name", ""),
        adapters=tuple(_adapter(client, str(vif), told) for vif in record.get("VIFs") or ()),
        disks=_disks(client, record.get("VBDs") or ()),
        started=str(client.call("VM_metrics.get_start_time", record.get("metrics"))),
        updated=str(said.get("last_updated", "")),
    )


def _metrics(client: Client, reference: str) -> Mapping[str, Any]:
    """Empty while no agent has said anything."""
    if not reference or reference == _NULL:
        return {}
    found = client.call("VM_guest_metrics.get_record", reference)
    return found if isinstance(found, dict) else {}


def _adapter(client: Client, vif: str, told: Mapping[str, str]) -> Adapter:
    record: Any = client.call("VIF.get_record", vif)
    device = str(record.get("device", ""))
    addresses = [
        address for key, address in told.items() if (found := _ADDRESS.fullmatch(key)) and found["device"] == device
    ]
    return Adapter(
        position=number(device), mac=str(record.get("MAC", "")).lower(), addresses=tuple(dict.fromkeys(addresses))
    )


def _disks(client: Client, vbds: Any) -> tuple[int, ...]:
    """Sizes of the disks that are attached, in the order of their devices."""
    found = []
    for vbd in vbds:
        record: Any = client.call("VBD.get_record", vbd)
        if record.get("type") == "Disk" and record.get("currently_attached"):
            size = number(client.call("VDI.get_virtual_size", record.get("VDI")))
            found.append((number(record.get("userdevice")), size))
    return tuple(size for _, size in sorted(found))


def _texts(value: object) -> dict[str, str]:
    return {str(key): str(word) for key, word in value.items()} if isinstance(value, dict) else {}
