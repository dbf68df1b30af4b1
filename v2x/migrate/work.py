# SPDX-License-Identifier: Apache-2.0
"""One machine on its way: what the steps of a migration work on and leave to one another."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from v2x.disks.interface import DiskReader
from v2x.errors import SourceError, TargetError
from v2x.migrate.integrity import IntegrityCheck
from v2x.migrate.observe import Observer
from v2x.migrate.pace import Pace
from v2x.migrate.room import Reservations
from v2x.model.limits import SourceLimits
from v2x.model.machine import Disk, Machine
from v2x.model.migration import DiskResult, Pass, VerifyLevel
from v2x.model.plan import Running
from v2x.model.target import TargetMachine
from v2x.sources.interface import Checkpoint, Source
from v2x.target.interface import Claim, Target


@dataclass(kw_only=True)
class Work:
    """One machine on its way: what it is, where it goes, and what the steps have learned so far.

    `look_again` says that the machine was listed long ago: it is compared with its source first.
    `read_all` finds zeros by reading instead of believing the source's tables; `stage` is a folder for VHD files that
    are made first and sent then. `reservations` are those of the whole run, `place` is the target's name in them.
    `running` says what may be done with a machine that runs; `brought_down` that this run did it. `keep_off` turns its
    automatic start at the source off once it is migrated. Of a `warm` one, tracking of changes may be turned on where
    `enable_tracking`; `passes` are those of this attempt, the outage begins when `cut_over` says so, or by itself once
    a pass takes no longer than `outage_seconds`; `based` are its disks that were verified before that, `baseless` those
    that cannot be, `differed` those that were made anew because of it. `limits` are what the source may be asked for,
    looked at every `look_seconds` by `clock`. With `convert`, the guest is put right for Xen on its way; no two
    conversions write the same bytes, so that each attempt is a point of its own, named by `conversion_id`.
    """

    tag: str
    machine: Machine
    spec: TargetMachine
    source: Source
    target: Target
    observer: Observer
    verify: VerifyLevel = VerifyLevel.FULL
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
    warm: bool = False
    enable_tracking: bool = False
    turned_on_tracking: bool = False
    outage_seconds: float = 60.0
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
    convert: bool = False
    converted: dict[str, DiskReader] = field(default_factory=dict)
    conversion_id: str = field(default_factory=lambda: secrets.token_hex(8))

    def held_claim(self) -> Claim:
        if self.claim is None:
            raise TargetError("nothing is claimed on the target yet")
        return self.claim

    def held_checkpoint(self) -> Checkpoint:
        if self.checkpoint is None:
            raise SourceError("the source has no checkpoint yet")
        return self.checkpoint

    def point_of(self, disk_id: str) -> str:
        """The point in time, and of conversion, that the disk's bytes are of."""
        point = self.held_checkpoint().points.get(disk_id, "")
        return f"{point}+{self.conversion_id}" if self.convert else point

    def source_disk(self, disk_id: str) -> Disk:
        return next(disk for disk in self.machine.disks if disk.id == disk_id)


class Next(Enum):
    """What follows a step that may be repeated."""

    AGAIN = "again"
    GO_ON = "go on"
    WAIT = "wait"
