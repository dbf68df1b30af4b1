# SPDX-License-Identifier: Apache-2.0
"""The agent in a guest: what it says of itself once it has booted, and reboots of the guest at its first start.

Facts: xapi_guest_agent.ml: there is no VM_guest_metrics until an agent has written something; a reboot takes it away,
and VM_metrics.start_time is then that of the reboot.
"""

import threading
from dataclasses import dataclass, field
from typing import Any

from v2x.errors import UsageError
from v2x.simulators.xapi.datamodel import NULL
from v2x.simulators.xapi.state import PoolState


@dataclass(frozen=True, slots=True)
class Agent:
    """What the agent of one guest says. `addresses` are lists by device number; a device that is not named has none.

    It speaks `delay` seconds after each boot. The guest reboots `reboots` times, each time after that delay.
    """

    delay: float = 0.0
    addresses: dict[str, list[str]] = field(default_factory=dict)
    drivers: bool = True
    drivers_version: dict[str, str] = field(default_factory=dict)
    system: dict[str, str] = field(default_factory=dict)
    live: bool = True
    reboots: int = 0


_SYSTEM = {"name": "Simulated Linux", "distro": "debian", "major": "12", "minor": "0"}


def describe(state: PoolState, guests: dict[str, dict[str, Any]]) -> None:
    """Takes what the agents of VMs shall say, by name of the VM. UsageError for what does not read."""
    for name, words in guests.items():
        try:
            state.agents[name] = Agent(**words)
        except TypeError as error:
            raise UsageError(f"The agent of {name} does not read: {error}") from None


def boot(state: PoolState, vm: str) -> None:
    """The guest boots; its agent speaks when it is ready, at once where nothing says otherwise."""
    described = state.agents.get(str(state.store.get("VM", vm, "name_label")))
    if described is None and not state.settings.guest_agent:
        return
    agent = described or _usual(state, vm)
    if agent.delay <= 0 and not agent.reboots:
        _speak(state, vm, agent)
        return
    domid = state.store.get("VM", vm, "domid")
    threading.Thread(target=_live, args=(state, vm, agent, domid), name="agent", daemon=True).start()


def _usual(state: PoolState, vm: str) -> Agent:
    """One address for each NIC."""
    devices = [str(state.store.get("VIF", vif, "device")) for vif in state.store.get("VM", vm, "VIFs")]
    addresses = {device: [f"192.0.2.{100 + int(device)}"] for device in devices}
    return Agent(delay=state.settings.agent_delay, addresses=addresses)


def _live(state: PoolState, vm: str, agent: Agent, domid: int) -> None:
    for boot_number in range(agent.reboots + 1):
        state.wait(agent.delay)
        with state.store.lock:
            gone = state.stopping.is_set() or not state.store.exists("VM", vm)
            if gone or state.store.get("VM", vm, "domid") != domid:
                return
            if boot_number < agent.reboots:
                silence(state, vm)
                state.store.set("VM_metrics", state.store.get("VM", vm, "metrics"), start_time=state.now())
            else:
                _speak(state, vm, agent)


def silence(state: PoolState, vm: str) -> None:
    """Nothing is known of the guest any more."""
    guest = state.store.get("VM", vm, "guest_metrics")
    state.store.set("VM", vm, guest_metrics=NULL)
    if state.store.exists("VM_guest_metrics", guest):
        state.store.remove("VM_guest_metrics", guest)


def _speak(state: PoolState, vm: str, agent: Agent) -> None:
    store = state.store
    networks: dict[str, str] = {}
    for device, addresses in agent.addresses.items():
        fours = [one for one in addresses if ":" not in one]
        networks |= {f"{device}/ip": fours[0]} if fours else {}
        networks |= {f"{device}/ipv4/{number}": one for number, one in enumerate(fours)}
        sixes = [one for one in addresses if ":" in one]
        networks |= {f"{device}/ipv6/{number}": one for number, one in enumerate(sixes)}
    said = store.add(
        "VM_guest_metrics",
        {
            "os_version": agent.system or dict(_SYSTEM),
            "networks": networks,
            "live": agent.live,
            "PV_drivers_detected": agent.drivers,
            "PV_drivers_version": dict(agent.drivers_version),
            "last_updated": state.now(),
        },
    )
    store.set("VM", vm, guest_metrics=said)
