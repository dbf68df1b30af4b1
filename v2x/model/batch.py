# SPDX-License-Identifier: Apache-2.0
"""What a batch looks like from outside while it runs."""

from dataclasses import dataclass
from datetime import datetime

from v2x.model.migration import Migration, Outcome

STATUS_SCHEMA = "v2x.batch-status/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskProgress:
    """Work on one disk: `activity` is copy or verify; the rate is that since it began."""

    label: str
    activity: str
    done_bytes: int
    total_bytes: int
    rate_bytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RowStatus:
    """A machine of a batch: `state` is waiting, running or ended; `waits_for` says what keeps a waiting one."""

    migration: Migration
    state: str
    wave: int
    turn: int
    attempt: int
    size_bytes: int
    copied_bytes: int = 0
    worker: str = ""
    waits_for: str = ""
    disk: DiskProgress | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchStatus:
    """`limits` are those in force, by key; `used` is what is taken of them. A rate of 0 is not known yet."""

    id: str
    plan_id: str
    plan_path: str
    created: datetime
    taken_at: datetime
    paused: bool
    workers: tuple[str, ...]
    rows: tuple[RowStatus, ...]
    limits: dict[str, str]
    used: dict[str, int]
    schema: str = STATUS_SCHEMA

    @property
    def size_bytes(self) -> int:
        return sum(row.size_bytes for row in self.rows)

    @property
    def copied_bytes(self) -> int:
        """What is done of `size_bytes`: all of a machine that is through or ready, the copied part of the others."""
        through = {Outcome.MIGRATED, Outcome.ALREADY, Outcome.READY}
        return sum(
            row.size_bytes if row.migration.outcome in through else min(row.copied_bytes, row.size_bytes)
            for row in self.rows
        )

    @property
    def rate_bytes(self) -> float:
        """Bytes per second of all copies under way."""
        return sum(row.disk.rate_bytes for row in self.rows if row.disk is not None and row.disk.activity == "copy")

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at the rate measured now; None where nothing is being copied."""
        left = sum(row.size_bytes - min(row.copied_bytes, row.size_bytes) for row in self.rows if row.state != "ended")
        return left / self.rate_bytes if self.rate_bytes > 0 else None
