# SPDX-License-Identifier: Apache-2.0
"""The orders of the fault panel that put a strain on a simulated pool: load of hosts, latency and chains of SRs."""

import math
from collections.abc import Mapping
from typing import Any

from v2x.errors import UsageError
from v2x.simulators.xapi.calls.vdi import make_vdi, remove_vdi
from v2x.simulators.xapi.datamodel import NULL
from v2x.simulators.xapi.state import PoolState

CHAIN_LIMIT = 30
"""The longest chain that SM makes (vhdutil.py), leaf included."""
_NAME = "base copy"
_DISK_BYTES = 2 * 1024 * 1024


def command(state: PoolState, order: object) -> None:
    """One order of the panel: {"host": 0, "cpu": 0.9} or {"sr": UUID, "latency": 0.08, "chains": 30}.

    A cpu or latency below 0 brings the natural one back. UsageError names what is wrong.
    """
    if not isinstance(order, dict) or set(order) - {"host", "cpu", "sr", "latency", "chains"}:
        raise UsageError("strain takes a host with cpu, or an sr with latency, chains or both")
    if "host" in order:
        _set_host(state, order)
        return
    found = state.store.find("SR", uuid=order.get("sr"))
    if not found:
        raise UsageError(f"strain: no SR {order.get('sr')!r}", hint="give its uuid")
    if "latency" in order:
        _set(state.strain.latency, found[0], _number(order, "latency"))
    if "chains" in order:
        set_chains(state, found[0], int(_number(order, "chains")))


def _set_host(state: PoolState, order: Mapping[str, Any]) -> None:
    hosts, number = state.store.refs("host"), order["host"]
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < len(hosts):
        raise UsageError(f"strain: no host {number!r}", hint=f"a number from 0 to {len(hosts) - 1}")
    _set(state.strain.cpu, hosts[number], min(1.0, _number(order, "cpu")))


def _number(order: Mapping[str, Any], key: str) -> float:
    value = order.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"strain: {key} takes a number, not {value!r}")
    return float(value)


def _set(values: dict[str, float], key: str, value: float) -> None:
    if value < 0:
        values.pop(key, None)
    else:
        values[key] = value


def set_chains(state: PoolState, sr: str, count: int) -> None:
    """Lets the SR have `count` elements that wait to be coalesced: hidden parents with one child each.

    They stand in chains that end in a leaf, as backups leave them. Those of an earlier call go.
    """
    store = state.store
    with store.lock:
        for vdi in list(store.get("SR", sr, "VDIs")):
            if store.get("VDI", vdi, "name_label") == _NAME:
                remove_vdi(state, vdi)
        left = max(0, count)
        while left:
            length = min(left, CHAIN_LIMIT - 1)
            _chain(state, sr, length)
            left -= length


def _chain(state: PoolState, sr: str, parents: int) -> None:
    above = ""
    for number in range(parents + 1):
        disk = {"SR": sr, "virtual_size": _DISK_BYTES, "type": "user", "name_label": _NAME, "other_config": {}}
        vdi = make_vdi(state, {**disk, "read_only": number < parents})
        config = state.store.get("VDI", vdi, "sm_config")
        hidden = {"vhd-parent": above} if above else {}
        state.store.set("VDI", vdi, sm_config={**config, **hidden}, managed=number == parents, parent=NULL)
        above = state.store.get("VDI", vdi, "uuid")
