# SPDX-License-Identifier: Apache-2.0
"""What one simulated pool is made of, and the context a call runs in."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from v2x.simulators.faults import Faults
from v2x.simulators.xapi.datamodel import NULL, Datamodel, DateTime, utc_now
from v2x.simulators.xapi.faults import Settings
from v2x.simulators.xapi.ledger import Ledger
from v2x.simulators.xapi.machines import Machines
from v2x.simulators.xapi.profiles import Profile
from v2x.simulators.xapi.sessions import Session, Sessions
from v2x.simulators.xapi.store import Store
from v2x.simulators.xapi.strain import Strain
from v2x.simulators.xapi.volumes import Volume, Volumes


@dataclass
class PoolState:
    """The parts of a pool that calls and transfers work on."""

    profile: Profile
    model: Datamodel
    store: Store
    settings: Settings
    faults: Faults
    ledger: Ledger
    sessions: Sessions
    volumes: Volumes
    folder: Path
    certificates: dict[str, str] = field(default_factory=dict)
    """PEM of the certificate each host serves, by host reference."""
    stopping: threading.Event = field(default_factory=threading.Event)
    now: Callable[[], DateTime] = utc_now
    machines: Machines | None = None
    """The guests of a pool that boots its VMs; None where starting a VM is a matter of records."""
    nbd_ports: dict[str, int] = field(default_factory=dict)
    """Where the NBD server of each host listens."""
    nics: dict[str, dict[str, str]] = field(default_factory=dict)
    """The interfaces that each host has, with a PIF or without: host → device → MAC address."""
    agents: dict[str, Any] = field(default_factory=dict)
    """What the agents of guests say (guest_agent.Agent), by name of the VM."""
    kernel_vlans: tuple[int, ...] = ()
    """VLAN tags that the kernel of every host uses for itself."""
    strain: Strain = field(default_factory=Strain)
    """What control domains and storage are measured at."""

    @property
    def pool_ref(self) -> str:
        return self.store.refs("pool")[0]

    @property
    def master(self) -> str:
        ref: str = self.store.get("pool", self.pool_ref, "master")
        return ref

    def volume(self, vdi: str) -> Volume:
        """The file behind a VDI record."""
        return self.volumes.get(self.store.get("VDI", vdi, "uuid"))

    def wait(self, seconds: float) -> None:
        """Passes time, unless the pool is being stopped."""
        if seconds > 0:
            self.stopping.wait(seconds)


@dataclass(frozen=True, slots=True)
class Context:
    """One call: on which host, by whom, as which task (NULL when it is none)."""

    state: PoolState
    host: str
    session: Session | None = None
    task: str = NULL

    @property
    def store(self) -> Store:
        return self.state.store

    @property
    def session_ref(self) -> str:
        return self.session.ref if self.session is not None else NULL


Handler = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Call:
    """How a call is carried out. `unlocked`: it takes its time, so it locks the store by itself."""

    handler: Handler
    unlocked: bool


CALLS: dict[str, Call] = {}


def call(*names: str, unlocked: bool = False) -> Callable[[Handler], Handler]:
    """Registers a function `(context, *parameters) -> value` as the carrying out of the named calls."""

    def register(handler: Handler) -> Handler:
        for name in names:
            CALLS[name] = Call(handler, unlocked)
        return handler

    return register
