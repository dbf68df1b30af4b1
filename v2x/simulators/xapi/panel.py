# SPDX-License-Identifier: Apache-2.0
"""What the fault panel of a simulated pool takes and shows (../panel.py serves it).

GET  /_faults   {"settings": {...}, "armed": [...], "kinds": {...}}
POST /_faults   {"settings": {"attach_delay": 2}, "arm": [{"kind": "cut_import", "at": 1048576, "times": 1}],
                 "clear": true, "expire_sessions": true, "vanish_task": "OpaqueRef:…",
                 "guests": {"web01": {"delay": 2, "addresses": {"0": ["192.0.2.5"]}}},
                 "close_host": 0, "open_host": 0, "promote": 1, "fail_over": 1,
                 "strain": {"sr": "<uuid>", "latency": 0.08, "chains": 30}}
GET  /_ledger   {"calls": [...], "imports": [...], "blocks": {"<vdi uuid>": {"0": 1}}}
GET  /_console?vm=<uuid>   what the serial console of a VM has said, as text, where the pool boots its VMs
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from v2x.errors import UsageError
from v2x.simulators.faults import apply_settings
from v2x.simulators.panel import Panel, json_page
from v2x.simulators.xapi import guest_agent, strain_orders, tasks
from v2x.simulators.xapi.state import PoolState

HostOrders = Mapping[str, Callable[[int], None]]


def command(state: PoolState, order: dict[str, Any], hosts: HostOrders) -> dict[str, Any]:
    """Carries out one POST to the panel; UsageError names what is wrong with it."""
    unknown = set(order) - {"settings", "arm", "clear", "expire_sessions", "vanish_task", "strain", "guests", *hosts}
    if unknown:
        raise UsageError(f"The panel has no {', '.join(sorted(unknown))}")
    if order.get("clear"):
        state.faults.clear()
    apply_settings(state.settings, order.get("settings", {}))
    for fault in order.get("arm", []):
        try:
            state.faults.arm(**fault)
        except TypeError as error:
            raise UsageError(f"A fault does not read: {error}") from None
    guest_agent.describe(state, order.get("guests", {}))
    if order.get("expire_sessions"):
        state.sessions.expire_all()
    if "vanish_task" in order:
        tasks.vanish(state, order["vanish_task"])
    if "strain" in order:
        strain_orders.command(state, order["strain"])
    for name in [n for n in order if n in hosts]:
        number, count = order[name], len(state.store.refs("host"))
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < count:
            raise UsageError(f"{name} takes the number of a host, 0 to {count - 1}, not {number!r}")
        hosts[name](number)
    return {"settings": asdict(state.settings), "armed": state.faults.armed(), "kinds": state.faults.kinds}


def panel_of(state: PoolState, port: int, hosts: HostOrders) -> Panel:
    """The panel of a pool, not yet started."""
    return Panel(
        port,
        lambda order: command(state, order, hosts),
        {
            "/_ledger": lambda _query: json_page(state.ledger.to_json()),
            "/_console": lambda query: _console(state, query),
        },
    )


def _console(state: PoolState, query: str) -> tuple[int, str, bytes]:
    if state.machines is None:
        return json_page({"error": "this pool does not boot its VMs: v2x simulate xapi --boot"}, 404)
    uuid = query.removeprefix("vm=")
    if not state.store.find("VM", uuid=uuid):
        return json_page({"error": "no such VM"}, 404)
    return 200, "text/plain; charset=utf-8", state.machines.console(uuid).encode()
