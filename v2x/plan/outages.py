# SPDX-License-Identifier: Apache-2.0
"""Whether the windows of a plan's rows are long enough for what their outages are foretold to take."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from v2x.model.downtime import ROLLBACK_SECONDS, downtime_of, show_downtime
from v2x.model.finding import Finding
from v2x.model.forecast import Pace
from v2x.model.machine import Machine
from v2x.model.plan import GuestConversion, PlanRow, Running, Transfer
from v2x.model.units import show_bytes
from v2x.model.windows import WindowError, parse_window
from v2x.plan import rules as plan_rules


def short_windows(
    rows: Iterable[PlanRow],
    machines: Mapping[tuple[str, str], Machine],
    pace: Pace,
    now: datetime,
    rollback_seconds: float = ROLLBACK_SECONDS,
) -> Iterator[Finding]:
    """A finding for each row that no time of its window is long enough for; one that never comes is another finding."""
    longest: dict[str, float] = {}
    for row in rows:
        machine = machines.get((row.source, row.machine_id))
        if not row.window or machine is None:
            continue
        if row.window not in longest:
            longest[row.window] = _longest(row.window, now)
        outage = downtime_of(
            machine,
            warm=row.transfer is Transfer.WARM,
            verify=row.verify,
            brings_down=row.running in {Running.SHUTDOWN, Running.POWER_OFF},
            rollback_seconds=rollback_seconds,
            converts=row.convert is GuestConversion.AUTO,
        )
        need = outage.seconds(pace.bytes_per_second)
        if 0 < longest[row.window] < need:
            moved = f", {show_bytes(outage.moved_bytes)} to copy or read back" if outage.moved_bytes else ""
            yield plan_rules.WINDOW_SHORT.finding(
                f"{row.window!r} is open for {show_downtime(longest[row.window])} at most; {show_downtime(need)} are "
                f"foretold with the time to roll back{moved} at {show_bytes(pace.bytes_per_second)}/s, {pace.origin}",
                row,
            )


def _longest(text: str, now: datetime) -> float:
    """Seconds of the longest time that a window is open from `now` on; 0 where it never is, or is none."""
    try:
        openings = parse_window(text).openings(now)
    except WindowError:
        return 0.0
    return max(((end - max(start, now)).total_seconds() for start, end in openings), default=0.0)
