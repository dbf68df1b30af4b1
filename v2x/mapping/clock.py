# SPDX-License-Identifier: Apache-2.0
"""The hardware clock at the first start: platform.timeoffset, in seconds ahead of UTC.

Windows keeps local time in the clock, other systems UTC (xapi: vm_platform.ml gives the domain this offset). The guest
corrects the clock as soon as it reaches a time server; until then a wrong offset makes logins and jobs fail.
"""

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from v2x.errors import PlanError
from v2x.mapping.ledger import Case
from v2x.mapping.rows import Family

RTC_ATTRIBUTE = "vmx.rtc.diffFromUTC"
"""What a .vmx may say of its clock: seconds ahead of UTC, whatever the guest."""

_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?(\d{2}))?", re.IGNORECASE)
_SECONDS = re.compile(r"[+-]?\d{1,5}")
_MOST_SECONDS = 14 * 3600


def time_offset(case: Case, family: Family) -> int | None:
    """Seconds ahead of UTC; None leaves the clock at UTC without a word. PlanError for a zone that is none.

    A zone with summer time counts as it is when the target was last looked at.
    """
    told = case.row.timezone.strip()
    seconds = zone_offset(told, case.facts.taken_at) if told else None
    stated = case.machine.attributes.get(RTC_ATTRIBUTE, "").strip()
    if _SECONDS.fullmatch(stated) and abs(int(stated)) <= _MOST_SECONDS and seconds is None:
        case.ledger.note(f"Clock: it starts {_shown(int(stated))}, as the source's own clock is set.")
        return int(stated)
    if family is not Family.WINDOWS:
        return None
    if seconds is None:
        case.ledger.note(
            "Clock: Windows keeps local time in it and the time zone is not known, so it starts at UTC; "
            "name the zone (timezone) or let the guest fetch the time."
        )
        return 0
    case.ledger.note(f"Clock: Windows keeps local time in it; it starts {_shown(seconds)} ({told}).")
    return seconds


def zone_offset(zone: str, at: datetime) -> int:
    """Seconds that `zone` is ahead of UTC at the time `at`. PlanError for what is neither zone nor offset."""
    if zone.casefold() in ("utc", "gmt", "z"):
        return 0
    match = _OFFSET.fullmatch(zone)
    if match:
        seconds = int(match[2]) * 3600 + int(match[3] or 0) * 60
        if seconds <= _MOST_SECONDS and int(match[3] or 0) < 60:
            return -seconds if match[1] == "-" else seconds
    else:
        try:
            offset = at.astimezone(ZoneInfo(zone)).utcoffset()
        except (KeyError, ValueError, OSError):
            offset = None
        if offset is not None:
            return int(offset / timedelta(seconds=1))
    raise PlanError(
        f"no time zone is named {zone!r}",
        hint="give a name as Europe/Paris or America/New_York, or an offset as +02:00",
    )


def _shown(seconds: int) -> str:
    if not seconds:
        return "at UTC"
    minutes = abs(seconds) // 60
    return f"at UTC{'-' if seconds < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}"
