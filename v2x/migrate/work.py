# SPDX-License-Identifier: Apache-2.0
"""One machine on its way: what the steps of a migration work on and leave to one another."""

import secrets
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from v2x.convert.interface import GuestWishes
from v2x.errors import SourceError, TargetError
from v2x.migrate.integrity import IntegrityCheck
from v2x.migrate.listings import Listings
from v2x.migrate.observe import Observer
from v2x.migrate.pace import Pace
from v2x.migrate.reach import answers
from v2x.migrate.room import Reservations
from v2x.model.health import Aftercare, GuestBefore, Health
from v2x.model.limits import SourceLimits
from v2x.model.machine import Disk, Machine
from v2x.model.migration import DiskResult, Pass, VerifyLevel
from v2x.model.outage import DEFAULT_SECONDS, History, Outage
from v2x.model.plan import Running
from v2x.model.target import TargetMachine
from v2x.sources.interface import Checkpoint, Source
from v2x.target.interface import Claim, Target
from v2x.target.keeping import Moment

if TYPE_CHECKING:
    from v2x.migrate.guest import GuestDisk


@dataclass(kw_only=True)
class Work:
    """One machine on its way: what it is, where it goes, and what the steps have learned so far.

    `look_again` says that the machine was listed long ago: it is compared with its source first, which the `listings`
    of the run know as `source_name`.
    `levels` are what `verify` came to for each disk, where that depends on the target.
    `read_all` finds zeros by reading instead of believing the source's tables; `stage` is a folder for VHD files that
    are made first and sent then. `reservations` are those of the whole run, `place` is the target's name in them.
    `running` says what may be done with a machine that runs; `brought_down` that this run did it. `keep_off` turns its
    automatic start at the source off once it is migrated. Of a `warm` one, tracking of changes may be turned on where
    `enable_tracking`; `passes` are those of this attempt, the outage begins when `cut_over` says so, or by itself once
    it is predicted to take no longer than `outage_seconds`. With `convert`, the guest is put right for Xen on its way;
    `rehearsed` says that this was tried on a snapshot before, `appliance` lets one wait for the virtual machine that
    does it. No two conversions write the same bytes: disks that are `patchable` hold their source's point and name the
    blocks that differ, any other is of a point of its own, named by `conversion_id`. `wishes` are what is asked for in
    the guest beyond that.
    `care` is what follows the start: `before` is the guest before its outage, `health` what was found after it;
    `started` that the machine was started on the target. `outage` is its outage in parts, `history` those of other
    machines of the run, `contention` how much slower the last pass will be for those that are cut over with it.
    `reach` asks a TCP port. `based` are disks that were verified before the outage, `baseless` those that cannot be,
    `differed` those that were made anew because of it; `unkept` are those that are not kept before a moment.
    `limits` are what the source may be asked for, looked at every `look_seconds` by `clock`.
    """

    tag: str
    machine: Machine
    spec: TargetMachine
    source: Source
    target: Target
    observer: Observer
    verify: VerifyLevel = VerifyLevel.AUTO
    levels: dict[str, VerifyLevel] = field(default_factory=dict)
    start: bool = False
    read_all: bool = False
    stage: Path | None = None
    running: Running = Running.REFUSE
    shutdown_seconds: float = 600.0
    brought_down: bool = False
    keep_off: bool = False
    place: str = ""
    reservations: Reservations = field(default_factory=Reservations)
    stopping: Callable[[], bool] = lambda: False
    pace: Pace | None = None
    checkpoint: Checkpoint | None = None
    claim: Claim | None = None
    already: bool = False
    integrity: IntegrityCheck | None = None
    results: list[DiskResult] = field(default_factory=list)
    thick: frozenset[str] = frozenset()
    look_again: bool = False
    source_name: str = ""
    listings: Listings = field(default_factory=Listings)
    warm: bool = False
    enable_tracking: bool = False
    turned_on_tracking: bool = False
    outage_seconds: float = DEFAULT_SECONDS
    limits: SourceLimits = field(default_factory=SourceLimits)
    look_seconds: float = 15.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    waits_for_cutover: bool = False
    cut_over: Callable[[], bool] = lambda: False
    passes: list[Pass] = field(default_factory=list)
    baseless: set[str] = field(default_factory=set)
    based: set[str] = field(default_factory=set)
    differed: set[str] = field(default_factory=set)
    unkept: set[tuple[str, Moment]] = field(default_factory=set)
    convert: bool = False
    wishes: GuestWishes = field(default_factory=GuestWishes)
    rehearsed: bool = False
    appliance: Callable[[Callable[[], bool]], AbstractContextManager[object]] = nullcontext
    converted: "dict[str, GuestDisk]" = field(default_factory=dict)
    patchable: frozenset[str] = frozenset()
    conversion_id: str = field(default_factory=lambda: secrets.token_hex(8))
    care: Aftercare = field(default_factory=Aftercare)
    role: str = ""
    before: GuestBefore | None = None
    health: Health | None = None
    started: bool = False
    outage: Outage | None = None
    history: Callable[[], History] = History
    contention: Callable[[], float] = lambda: 1.0
    reach: Callable[[str, int], str | None] = answers
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def held_claim(self) -> Claim:
        if self.claim is None:
            raise TargetError("nothing is claimed on the target yet")
        return self.claim

    def held_checkpoint(self) -> Checkpoint:
        if self.checkpoint is None:
            raise SourceError("the source has no checkpoint yet")
        return self.checkpoint

    def point_of(self, disk_id: str) -> str:
        """The point in time, and where a conversion is part of it, of conversion, that the disk's bytes are of."""
        point = self.held_checkpoint().points.get(disk_id, "")
        return f"{point}+{self.conversion_id}" if self.convert and disk_id not in self.patchable else point

    def source_disk(self, disk_id: str) -> Disk:
        return next(disk for disk in self.machine.disks if disk.id == disk_id)


class Next(Enum):
    """What follows a step that may be repeated."""

    AGAIN = "again"
    GO_ON = "go on"
    WAIT = "wait"
