# SPDX-License-Identifier: Apache-2.0
"""What runs migrations: how many at once, in which order, and what survives a crash."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from v2x.migrate.observe import Observer
from v2x.model.downtime import ROLLBACK_SECONDS
from v2x.model.health import Aftercare
from v2x.model.limits import SourceLimits
from v2x.model.machine import Machine
from v2x.model.migration import Migration, VerifyLevel
from v2x.model.outage import DEFAULT_SECONDS
from v2x.model.plan import GuestWish, PlanRow, Running
from v2x.model.target import TargetMachine
from v2x.sources.interface import Source
from v2x.target.interface import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One machine to migrate. `source` and `target` are aliases that `Doors` can open; `id` is the migration's tag.

    Rows of a lower `wave` go first, in a wave those of a lower `turn`, among these the largest. `pool_host` is the uuid
    of the host that the disks are sent to, as far as it is known beforehand. A `warm` one is copied while it runs;
    `sync_minutes` go by between two passes once it is ready for its cutover. `after` are (id, name) of orders that must
    be through before a cold one starts and a warm one is cut over; `window` is a text for model.windows, when that may
    be; its foretold end and then `rollback_seconds` have to lie inside. `apart` are teams of which no two are ever cut
    over at once. `row` is the plan's, for reports. What the order knows of the machine is as of `listed`. With
    `convert`, its guest is put right on its way; `guest` is what its row asks for in it beyond that. Files and
    keys for that are no part of an order, which is written down: who runs it has its own. `care` is what follows its
    start.
    """

    id: str
    machine: Machine
    spec: TargetMachine
    source: str
    target: str
    verify: VerifyLevel = VerifyLevel.AUTO
    start: bool = False
    keep_off: bool = False
    read_all: bool = False
    stage: str = ""
    running: Running = Running.REFUSE
    shutdown_seconds: float = 600.0
    wave: int = 1
    turn: int = 0
    pool_host: str = ""
    hooks: tuple[str, ...] = ()
    role: str = ""
    warm: bool = False
    enable_tracking: bool = False
    outage_seconds: float = DEFAULT_SECONDS
    sync_minutes: float = 60.0
    limits: SourceLimits = field(default_factory=SourceLimits)
    after: tuple[tuple[str, str], ...] = ()
    window: str = ""
    apart: tuple[str, ...] = ()
    row: PlanRow | None = None
    listed: datetime | None = None
    convert: bool = False
    guest: tuple[GuestWish, ...] = ()
    rollback_seconds: float = ROLLBACK_SECONDS
    care: Aftercare = field(default_factory=Aftercare)

    @property
    def size_bytes(self) -> int:
        """What there is to copy, as far as the source tells."""
        return self.machine.used_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened, numbered from 1 without gaps. `kind` is phase, warning or outcome."""

    number: int
    time: datetime
    migration: str
    kind: str
    text: str


class Doors(Protocol):
    """Opens sources and targets by alias; the engine closes what it opened."""

    def source(self, alias: str) -> Source: ...

    def target(self, alias: str) -> Target: ...


class Watcher(Protocol):
    """Shows what goes on: an observer for each order, and its end."""

    def begin(self, order: Order) -> Observer: ...

    def end(self, migration: Migration) -> None: ...


class Engine(Protocol):
    """Runs orders; ids are those of the orders and stay valid over restarts."""

    def submit(self, orders: Sequence[Order]) -> None:
        """Takes orders in; an id that is known already is not taken twice."""
        ...

    def status(self, ids: Sequence[str] = ()) -> tuple[Migration, ...]:
        """The named migrations, or all, in the order of submission."""
        ...

    def events(self, since: int = 0) -> tuple[Event, ...]:
        """Events with a number above `since`."""
        ...

    def throttle(self, key: str, limit: int) -> None:
        """Sets a limit, as of `rate` in bytes per second; 0 lifts it. UsageError for an unknown key."""
        ...

    def cancel(self, ids: Sequence[str]) -> None:
        """Stops the named ones and discards what they have on the target."""
        ...

    def drain(self) -> None:
        """Starts nothing more, and stops what runs at the next block; all of it can be resumed."""
        ...

    def resume(self) -> None:
        """Runs what waits or was stopped."""
        ...
