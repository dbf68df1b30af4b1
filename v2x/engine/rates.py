# SPDX-License-Identifier: Apache-2.0
"""The limit `rate`: bytes per second, which may depend on the time of day.

`50M@08:00-18:00,200M` is 50 MiB/s from 8 to 18 and 200 MiB/s otherwise; the first part whose window holds the moment
wins, and without any that does there is no limit. A window may go over midnight. The time is that of the wall clock
where the worker runs, so it follows summer time.
"""

import re
from collections.abc import Callable
from datetime import datetime, time

from v2x.errors import UsageError

_PART = re.compile(r"(?P<size>[^@]+?)(?:@(?P<begin>\d{1,2}:\d{2})-(?P<end>\d{1,2}:\d{2}))?")


def parse_rate(text: str, size: Callable[[str], int]) -> str:
    """`text` with plain numbers of bytes, as it is stored; `size` reads a number with its unit. UsageError else."""
    parts = []
    for part in text.split(","):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise _wrong(text)
        number = "0" if match["size"].strip() == "0" else str(size(match["size"].strip()))
        if match["begin"] is None:
            parts.append(number)
        else:
            begin, end = _clock(text, match["begin"]), _clock(text, match["end"])
            parts.append(f"{number}@{begin:%H:%M}-{end:%H:%M}")
    return ",".join(parts)


def rate_at(stored: str, moment: datetime) -> int:
    """Bytes per second at `moment` (its own zone counts), 0 for no limit. `stored` comes from parse_rate."""
    now = moment.time()
    for part in stored.split(","):
        number, _, window = part.partition("@")
        if not window:
            return int(number)
        begin, end = (time.fromisoformat(text) for text in window.split("-"))
        inside = begin <= now < end if begin < end else now >= begin or now < end
        if inside:
            return int(number)
    return 0


def _clock(text: str, clock: str) -> time:
    hours, minutes = clock.split(":")
    try:
        return time(int(hours), int(minutes))
    except ValueError:
        raise _wrong(text) from None


def _wrong(text: str) -> UsageError:
    return UsageError(f"{text} is no rate", hint="for example 200M, or 50M@08:00-18:00,200M")
