# SPDX-License-Identifier: Apache-2.0
"""What a live view of a batch says, be it a terminal's or a browser's: the order of rows, rates, times, warnings."""

from collections.abc import Sequence

from v2x.model.batch import BatchStatus, RowStatus
from v2x.model.migration import Migration, Outcome
from v2x.model.units import show_bytes
from v2x.render.strain import held_back
from v2x.render.words import show_duration
from v2x.text import printable

THROUGH = frozenset({Outcome.MIGRATED, Outcome.ALREADY})
_RANK = {"running": 0, "waiting": 2, "ended": 3}


def state_word(status: BatchStatus) -> str:
    """`ended`, `paused`, `running`, or `not running` where no worker is there."""
    if all(row.state == "ended" for row in status.rows):
        return "ended"
    return "paused" if status.paused else "running" if status.workers else "not running"


def is_urgent(migration: Migration) -> bool:
    return migration.outcome is Outcome.FAILED or bool(migration.alarm)


def ranked(rows: Sequence[RowStatus]) -> list[RowStatus]:
    """What runs, then what needs somebody, what waits, what has ended; each in the order of the plan."""
    return sorted(rows, key=lambda row: 1 if is_urgent(row.migration) else _RANK.get(row.state, 4))


def share_of(row: RowStatus) -> float:
    """How much of a machine is copied, from 0 to 1."""
    if row.state == "ended":
        return 1.0 if row.migration.outcome in THROUGH else 0.0
    return min(1.0, row.copied_bytes / row.size_bytes) if row.size_bytes else 0.0


def doing(row: RowStatus) -> str:
    """What happens to a running machine: the disk that is worked on, or its phase."""
    if row.disk is not None and row.disk.total_bytes:
        said = f"{row.disk.activity} {printable(row.disk.label, 40)}"
        # How much is copied stands beside this for the whole machine; how much is compared does not.
        done = min(1.0, row.disk.done_bytes / row.disk.total_bytes)
        return said if row.disk.activity == "copy" else f"{said} {done:.0%}"
    return str(row.migration.phase)


def rate_of(row: RowStatus) -> str:
    """Bytes per second of the disk that is worked on; empty where nothing was measured."""
    known = row.state == "running" and row.disk is not None and row.disk.rate_bytes > 0
    return f"{show_bytes(int(row.disk.rate_bytes))}/s" if known and row.disk is not None else ""


def seconds_left(row: RowStatus) -> float | None:
    """How long the copy of a machine, or the check of its disk, takes at its present rate; None where that is open."""
    disk = row.disk
    if row.state != "running" or disk is None or disk.rate_bytes <= 0:
        return None
    if disk.activity == "copy":
        return max(0, row.size_bytes - row.copied_bytes) / disk.rate_bytes
    return max(0, disk.total_bytes - disk.done_bytes) / disk.rate_bytes


def phases(status: BatchStatus) -> list[tuple[str, int]]:
    """How many running machines are in each phase, in the order in which a machine goes through them."""
    counted: dict[str, int] = {}
    order = list(type(status.rows[0].migration.phase)) if status.rows else []
    for row in status.rows:
        if row.state == "running":
            counted[str(row.migration.phase)] = counted.get(str(row.migration.phase), 0) + 1
    return [(str(phase), counted[str(phase)]) for phase in order if str(phase) in counted]


def outcomes(status: BatchStatus) -> list[tuple[str, int]]:
    """How many machines run, wait, and ended how."""
    counted: dict[str, int] = {}
    for row in status.rows:
        word = str(row.migration.outcome) if row.state == "ended" else row.state
        counted[word] = counted.get(word, 0) + 1
    return list(counted.items())


def copied_share(status: BatchStatus) -> float:
    """How much of a batch is copied, from 0 to 1."""
    return status.copied_bytes / status.size_bytes if status.size_bytes else 1.0


def copied_words(status: BatchStatus) -> str:
    """How much of a batch is copied, how fast, and how long it will take."""
    text = f"{show_bytes(status.copied_bytes)} of {show_bytes(status.size_bytes)}"
    if status.rate_bytes > 0:
        text += f", {show_bytes(int(status.rate_bytes))}/s"
    if status.seconds_left is not None:
        text += f", {show_duration(status.seconds_left)} left"
    return text


def bar(share: float, size: int) -> str:
    """Of whole characters: it reads the same without colour."""
    full = round(min(1.0, max(0.0, share)) * size)
    return f"[{'#' * full}{'.' * (size - full)}]"


def last_warnings(status: BatchStatus, most: int) -> list[str]:
    """Alarms, what is held back for a strained pool, and the last word of machines that failed or are warned of."""
    alarms = [
        f"ALARM: {row.migration.machine_name}: {row.migration.alarm}" for row in status.rows if row.migration.alarm
    ]
    held = [text for text in map(held_back, status.strain) if text]
    failed = [
        f"{row.migration.machine_name}: {row.migration.failure.message} [{row.migration.failure.code}]"
        for row in status.rows
        if row.migration.outcome is Outcome.FAILED and row.migration.failure is not None
    ]
    warned = [
        f"{row.migration.machine_name}: {row.migration.warnings[-1]}"
        for row in status.rows
        if row.migration.warnings and row.state != "ended"
    ]
    # Alarms first; of the rest the newest, which stand last in the plan's order, and warnings of what runs now.
    rest = [*failed, *held, *warned]
    room = max(0, most - len(alarms))
    return [printable(text, 300) for text in [*alarms[:most], *(rest[-room:] if room else [])]]
