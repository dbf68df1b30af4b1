# SPDX-License-Identifier: Apache-2.0
"""Times, durations, rates and the source's own words, the same in every format."""

from datetime import UTC, datetime
from enum import StrEnum

from v2x.model.machine import Disk, DiskBus, Other
from v2x.model.rehearsal import Rehearsal
from v2x.model.units import show_bytes
from v2x.text import printable


def show_time(moment: datetime | None) -> str:
    """`2026-05-01 12:00 UTC`; empty for None. A time without a zone counts as UTC."""
    if moment is None:
        return ""
    aware = moment.astimezone(UTC) if moment.tzinfo is not None else moment
    return f"{aware:%Y-%m-%d %H:%M} UTC"


def show_duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 05 s`, `2 h 07 min`."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def show_span(seconds: float) -> str:
    """An estimate, as rough as it is: `2 min`, `3.5 h`, `12 days`."""
    if seconds < 5400:
        return f"{max(1, round(seconds / 60))} min"
    hours = seconds / 3600
    if hours < 48:
        return f"{hours:.1f} h" if hours < 10 else f"{round(hours)} h"
    return f"{round(hours / 24)} days"


def show_rate(count: int, seconds: float) -> str:
    """Bytes per second, or empty where nothing was timed."""
    return f"{show_bytes(round(count / seconds))}/s" if seconds > 0 and count > 0 else ""


def show_word(value: StrEnum | Other) -> str:
    """A value of the model, or the source's own word where v2x has none."""
    return value.text or "unknown" if isinstance(value, Other) else value.value


def show_place(disk: Disk) -> str:
    """`scsi 0:1`, or that it is not known."""
    return "unknown" if disk.bus is DiskBus.UNKNOWN else f"{show_word(disk.bus)} {disk.controller}:{disk.unit}"


def copy_line(test: Rehearsal) -> str:
    """A test copy in a line: what it is, until when, where, and what the pool told of it last."""
    if test.ended is not None:
        return f"tested as {printable(test.name, 200)} from {show_time(test.made)} to {show_time(test.ended)}"
    parts = [test.state or "not started", f"on {printable(test.where, 100)}" if test.where else ""]
    said = " ".join(part for part in parts if part)
    told = f", {', '.join(printable(one, 60) for one in test.addresses)}" if test.addresses else ""
    return f"test copy {printable(test.name, 200)} until {show_time(test.until)}: {said}{told}"
