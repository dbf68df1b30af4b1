# SPDX-License-Identifier: Apache-2.0
"""What the fault panel of the stand-in takes and shows (../panel.py serves it).

GET  /_faults   {"settings": {...}, "armed": [...], "kinds": {...}, "writing": [...]}
POST /_faults   {"settings": {"lease_timeout": 5}, "arm": [{"kind": "cut", "target": "nfc", "at": 65536}],
                 "clear": true, "expire_sessions": true, "vmotion": "web01", "host_down": "host-1", "host_up": "host-1",
                 "reset_tracking": "web01", "remove": "web01", "power": {"machine": "web01", "to": "poweredOff"},
                 "start_writing": {"machine": "web01", "seed": 1, "per_second": 20, "grow_to": 0},
                 "stop_writing": "web01", "datastore_free": {"name": "vmfs6-ssd", "percent": 10},
                 "begin_backup": {"machine": "web01", "proxy": "backup-proxy"}, "end_backup": {"machine": "web01"}}
GET  /_ledger   {"calls": [...], "transfers": [...], "effects": [...]}
GET  /_disks    {"<machine id>": {"name": …, "<device key>": {"digest": …, "guest_writes": 0, "untouched": true}}}
Machines go by name or id, hosts too.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pyVmomi import vim

from v2x.errors import UsageError
from v2x.simulators.faults import apply_settings
from v2x.simulators.panel import Panel, json_page
from v2x.simulators.vsphere import backup, events

if TYPE_CHECKING:
    from v2x.simulators.vsphere.simulator import VsphereSimulator


def panel_of(simulator: "VsphereSimulator", port: int) -> Panel:
    """The panel, not yet started."""
    return Panel(
        port,
        lambda order: _command(simulator, order),
        {
            "/_ledger": lambda _query: json_page(simulator.ledger.to_json()),
            "/_disks": lambda _query: json_page(simulator.disk_facts()),
        },
    )


def _command(simulator: "VsphereSimulator", order: dict[str, Any]) -> dict[str, Any]:
    """Carries out one POST; UsageError names what is wrong with it."""
    doings = _doings(simulator)
    unknown = set(order) - {"settings", "arm", "clear", *doings}
    if unknown:
        raise UsageError(f"The panel has no {', '.join(sorted(unknown))}")
    if order.get("clear"):
        simulator.faults.clear()
    apply_settings(simulator.settings, order.get("settings", {}))
    for fault in order.get("arm", []):
        try:
            simulator.faults.arm(**fault)
        except TypeError as error:
            raise UsageError(f"A fault does not read: {error}") from None
    for name, do in doings.items():
        if name in order:
            try:
                do(order[name])
            except (TypeError, KeyError) as error:
                raise UsageError(f"{name} does not read: {error}") from None
    return {
        "settings": asdict(simulator.settings),
        "armed": simulator.faults.armed(),
        "kinds": dict(simulator.faults.kinds),
        "writing": sorted(simulator.writers),
    }


def _doings(simulator: "VsphereSimulator") -> dict[str, Callable[[Any], object]]:
    state = simulator.state

    def host(name: str) -> Any:
        return simulator.entity(vim.HostSystem, name)

    def machine(name: str) -> Any:
        return simulator.entity(vim.VirtualMachine, name)

    def proxies(asked: dict[str, str]) -> list[Any]:
        return [machine(asked["proxy"])] if asked.get("proxy") else []

    return {
        "expire_sessions": lambda _yes: simulator.expire_sessions(),
        "vmotion": lambda name: events.vmotion(state, machine(name)),
        "host_down": lambda name: events.host_down(state, host(name)),
        "host_up": lambda name: events.host_up(state, host(name)),
        "reset_tracking": lambda name: events.reset_tracking(state, machine(name)),
        "remove": lambda name: events.remove(state, machine(name)),
        "power": lambda asked: events.set_power(state, machine(asked["machine"]), asked["to"], "panel"),
        "start_writing": lambda asked: simulator.start_writing(
            machine(asked["machine"]),
            seed=asked.get("seed", 1),
            per_second=asked.get("per_second", 20),
            grow_to=asked.get("grow_to", 0),
        ),
        "datastore_free": lambda asked: events.fill(
            state, simulator.entity(vim.Datastore, asked["name"]), asked["percent"]
        ),
        "begin_backup": lambda asked: backup.begin(state, machine(asked["machine"]), *proxies(asked)),
        "end_backup": lambda asked: backup.end(state, machine(asked["machine"]), *proxies(asked)),
        "stop_writing": lambda name: simulator.stop_writing(machine(name)),
    }
