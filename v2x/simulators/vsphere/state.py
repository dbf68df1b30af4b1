# SPDX-License-Identifier: Apache-2.0
"""The parts of a running stand-in, handed to every call."""

import threading
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from v2x.simulators.faults import Faults
from v2x.simulators.vsphere.faults import Settings
from v2x.simulators.vsphere.ledger import Ledger
from v2x.simulators.vsphere.profiles import Profile
from v2x.simulators.vsphere.sessions import Session, Sessions
from v2x.simulators.vsphere.store import Store
from v2x.simulators.vsphere.tags import Tags

if TYPE_CHECKING:
    from v2x.simulators.vsphere.disks.guest import GuestDisk
    from v2x.simulators.vsphere.estate.places import Places
    from v2x.simulators.vsphere.leases import Lease


@dataclass(slots=True)
class State:
    """`disks` are the disks with real bytes: machine id → device key → disk. `leases` are those not yet ended."""

    profile: Profile
    store: Store
    settings: Settings
    faults: Faults
    ledger: Ledger
    sessions: Sessions
    folder: Path
    places: "Places"
    instance_uuid: str
    stopping: threading.Event = field(default_factory=threading.Event)
    disks: dict[str, dict[int, "GuestDisk"]] = field(default_factory=dict)
    leases: dict[str, "Lease"] = field(default_factory=dict)
    thumbprints: dict[str, str] = field(default_factory=dict)
    """SHA-1 thumbprints, AA:BB:…, by host id; "" is the address of the API itself."""
    ports: dict[str, int] = field(default_factory=dict)
    """Ports of 127.0.0.1 by host id; "" is the API's."""
    closed_hosts: set[str] = field(default_factory=set)
    pages: dict[str, Any] = field(default_factory=dict)
    """What the next page of a listing holds, by token."""
    tags: Tags = field(default_factory=Tags)


asking: ContextVar["Context | None"] = ContextVar("asking", default=None)
"""The call that is being answered, for properties that differ from caller to caller."""


@dataclass(slots=True)
class Context:
    """One call: who asks, in which version of the API."""

    state: State
    session: Session
    version: str

    @property
    def store(self) -> Store:
        return self.state.store
