# SPDX-License-Identifier: Apache-2.0
"""A migration under way or ended, and the report of a run."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from v2x.model.approval import Approval
from v2x.model.finding import Finding
from v2x.model.health import Health
from v2x.model.outage import Outage
from v2x.model.rehearsal import Rehearsal
from v2x.model.target import TargetMachine

REPORT_SCHEMA = "v2x.report/1"


class Phase(StrEnum):
    WAITING = "waiting"
    PREFLIGHT = "preflight"
    CHECKPOINT = "checkpoint"
    CLAIM = "claim"
    TRACK = "track changes"
    SYNC = "sync"
    READY = "ready"
    RECORD = "record the guest"
    SHUTDOWN = "shut down"
    LAST_SYNC = "last sync"
    INTEGRITY = "integrity"
    CONVERT = "convert"
    COPY = "copy"
    VERIFY = "verify"
    SEAL = "seal"
    START = "start"
    RELEASE = "release"
    HEALTH = "health check"
    MARK = "mark the source"
    DONE = "done"


class Outcome(StrEnum):
    PENDING = "pending"
    MIGRATED = "migrated"
    ALREADY = "already migrated"
    FAILED = "failed"
    STOPPED = "stopped"
    READY = "ready for cutover"
    CANCELLED = "cancelled"
    ROLLED_BACK = "rolled back"
    SKIPPED = "skipped"
    MISSED_WINDOW = "missed-window"
    BLOCKED = "blocked"
    DRY_RUN = "dry run"


class VerifyLevel(StrEnum):
    """How much of a disk is compared. AUTO is only ever asked for: a sample where the pool offers NBD, else nothing."""

    AUTO = "auto"
    NONE = "none"
    SAMPLE = "sample"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockDigests:
    """Digests of a disk as it was read: one XXH3-128 per block of `block_bytes` that holds data.

    `runs` are pairs (first block, count), ascending; `digests` holds 16 bytes for each block of the runs in turn
    (base64 in JSON). A block in no run is all zeros. The last block of a disk is digested at its real length.
    """

    algorithm: str
    block_bytes: int
    size_bytes: int
    runs: tuple[tuple[int, int], ...] = ()
    digests: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One pass of a warm migration: what it sent, how long it took with its snapshot, and for the copy alone."""

    sent_bytes: int
    seconds: float
    copy_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskResult:
    """`sent_bytes` counts disk content sent by this run; `resumed_at_bytes` is the mark it started from.

    `verified_over` says by which way the target was read for `verified`: NBD, VHD export, raw export; empty for a file.

    `unverified` are runs (first block, count) of the blocks whose digests are of later than the disk's verification as
    a base; None where it was not verified so.
    """

    source_disk: str
    label: str
    vdi: str = ""
    capacity_bytes: int = 0
    target_bytes: int = 0
    data_bytes: int = 0
    sent_bytes: int = 0
    resumed_at_bytes: int = 0
    segments: int = 0
    seconds: float = 0.0
    verified: VerifyLevel = VerifyLevel.NONE
    verified_over: str = ""
    digests: BlockDigests | None = None
    unverified: tuple[tuple[int, int], ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestChange:
    """Something that was changed inside a guest on its way. `kind` is edit, link, copy, registry, file (put into it),
    removal or command, `what` a file, a value of the registry or the command; of a copy and of a file, `after` is where
    it went. None: there is no such file or value."""

    kind: str
    what: str
    before: str | None = None
    after: str | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    code: str
    message: str
    hint: str = ""
    exit_code: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseTime:
    """One phase of a machine over all attempts: when it first began, how long it took in all, how often it began."""

    phase: Phase
    began: datetime
    seconds: float
    times: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One machine's way. `id` is the tag that its objects on the target carry.

    `change`, `approved_by` and `checks` are the plan's, for whoever reads the report; `approved_by` is filled in by an
    approval where the plan says nothing. `phases` are in the order in which they first began. `tests` are its test
    copies, the oldest first. `health` is what was found after its start, `alarm`
    what is wrong with its source since.
    """

    id: str
    machine_id: str
    machine_name: str
    target_name: str
    source: str
    target: str
    phase: Phase = Phase.WAITING
    outcome: Outcome = Outcome.PENDING
    started: datetime | None = None
    finished: datetime | None = None
    vm_uuid: str = ""
    disks: tuple[DiskResult, ...] = ()
    failure: Failure | None = None
    warnings: tuple[str, ...] = ()
    changes: tuple[GuestChange, ...] = ()
    machine: TargetMachine | None = None
    change: str = ""
    approved_by: str = ""
    checks: str = ""
    tests: tuple[Rehearsal, ...] = ()
    phases: tuple[PhaseTime, ...] = ()
    health: Health | None = None
    outage: Outage | None = None
    alarm: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one run did; `findings` are those that were known before it began, `approvals` what was said of its plan."""

    id: str
    created: datetime
    version: str
    plan_id: str = ""
    migrations: tuple[Migration, ...] = ()
    findings: tuple[Finding, ...] = ()
    approvals: tuple[Approval, ...] = ()
    mapping_tables: dict[str, str] = field(default_factory=dict)
    schema: str = REPORT_SCHEMA
