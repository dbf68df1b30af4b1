# SPDX-License-Identifier: Apache-2.0
"""What a move would come to: how long, how much, in which order, and what each machine would be."""

from dataclasses import dataclass, field

from v2x.model.migration import Report
from v2x.model.target import TargetMachine
from v2x.model.units import MIB

DEFAULT_BYTES_PER_SECOND = 75 * MIB
"""What a link of 1 Gbit/s and ordinary storage give with the overheads of both: some 630 Mbit/s."""

_MOST_BYTES_PER_SECOND = 1 << 40
_MOST_SECONDS = 1e12


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast disks travel; `origin` says in words where the figure comes from."""

    bytes_per_second: int
    origin: str
    measured: bool = False


DEFAULT_PACE = Pace(
    bytes_per_second=DEFAULT_BYTES_PER_SECOND,
    origin="an assumption for a network of 1 Gbit/s; not measured here",
)


def measured_pace(report: Report) -> Pace | None:
    """The pace of a run: the bytes of all its disks by the seconds that they took; None where nothing was sent."""
    disks = [disk for one in report.migrations for disk in one.disks if disk.seconds > 0 and disk.sent_bytes > 0]
    seconds = sum(disk.seconds for disk in disks)
    sent = sum(disk.sent_bytes for disk in disks)
    # Beyond these a report was made up, and the quotient may be no number.
    if not disks or seconds > _MOST_SECONDS or not seconds <= sent <= seconds * _MOST_BYTES_PER_SECOND:
        return None
    origin = f"measured in run {report.id} of {report.created:%Y-%m-%d}"
    return Pace(bytes_per_second=round(sent / seconds), origin=origin, measured=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a disk or network card would go: `subject` is the disk's id or the card's position.

    `target` is the name there, empty where nothing is certain; `reason` says why it is the one, or what it could be.
    """

    subject: str
    target: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """One machine: what it would be on the target, and what its copy takes.

    `made` is None where it cannot be built, and `problem` says why. `sized` is False where the data of some disk is not
    known, so that its whole size counts.
    """

    machine_id: str
    made: TargetMachine | None = None
    problem: str = ""
    storage: tuple[Place, ...] = ()
    networks: tuple[Place, ...] = ()
    data_bytes: int = 0
    sized: bool = True
    seconds: int = 0
    wave: int = 0
    wave_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Machines to move one after the other, in one go; `number` counts from 1."""

    number: int
    reason: str
    machines: tuple[str, ...]
    data_bytes: int
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """`outlooks` by machine id. Sums leave out what is blocked; `left_out` are those machines' ids."""

    pace: Pace
    outlooks: dict[str, Outlook] = field(default_factory=dict)
    waves: tuple[Wave, ...] = ()
    left_out: tuple[str, ...] = ()
    data_bytes: int = 0
    capacity_bytes: int = 0
    seconds: int = 0
    unsized: int = 0
