# SPDX-License-Identifier: Apache-2.0
"""How long a machine is out of service for its move: foretold before it begins, with the time to go back."""

from dataclasses import dataclass

from v2x.model.machine import Machine
from v2x.model.migration import VerifyLevel
from v2x.model.units import MIB

SEAL_SECONDS = 60.0
"""Sealing, the start on the pool and a first look: calls to the pool, whatever the size."""
ROLLBACK_SECONDS = 300.0
"""Stopping the new machine, putting the source back as it was, and its start; an assumption that users may replace."""
SHUTDOWN_SECONDS = 600.0
PASS_SECONDS = 60.0
CONVERSION_SECONDS = 180.0
"""What a guest's conversion takes where nothing else is known: without KVM, on a machine in use."""
_SAMPLE_BYTES = 512 * MIB
"""What a sample of one disk reads at most: its first 256 blocks of 2 MiB."""


@dataclass(frozen=True, slots=True)
class Downtime:
    """`least_seconds` go by whatever the speed; `moved_bytes` are copied and read back meanwhile."""

    least_seconds: float
    moved_bytes: int

    def seconds(self, bytes_per_second: float) -> float:
        return self.least_seconds + self.moved_bytes / max(1.0, bytes_per_second)


def downtime_of(
    machine: Machine,
    *,
    warm: bool,
    verify: VerifyLevel,
    brings_down: bool,
    shutdown_seconds: float = SHUTDOWN_SECONDS,
    pass_seconds: float = PASS_SECONDS,
    rollback_seconds: float = ROLLBACK_SECONDS,
    converts: bool = False,
) -> Downtime:
    """A cold machine is away while all of it is copied and read back; a warm one for its shutdown and last pass, and
    what is read back. The shutdown counts at its longest.
    """
    least = SEAL_SECONDS + rollback_seconds
    least += shutdown_seconds if warm or brings_down else 0.0
    least += pass_seconds if warm else 0.0
    least += CONVERSION_SECONDS if converts else 0.0
    return Downtime(least, (0 if warm else machine.used_bytes) + _read_back(machine, verify))


def _read_back(machine: Machine, verify: VerifyLevel) -> int:
    if verify is VerifyLevel.NONE:
        return 0
    if verify is VerifyLevel.FULL:
        return machine.used_bytes
    return sum(min(disk.used_bytes, _SAMPLE_BYTES) for disk in machine.disks)


def show_downtime(seconds: float) -> str:
    """In minutes up to three hours, then in hours."""
    minutes = max(1, round(seconds / 60))
    return f"{minutes} minute{'s' * (minutes > 1)}" if minutes < 180 else f"{minutes / 60:.1f} hours"
