# SPDX-License-Identifier: Apache-2.0
"""Windows for cutovers: when, by the wall clock of a place, a machine may be away.

Written as `Sat Sun 22:00-04:00; 2026-12-05 20:00-23:30 Europe/Paris except 2026-12-24..2027-01-02`: weekdays, dates or
`daily` with times, `;` between them, one zone of the IANA database, and days on which nothing happens. Where the clocks
change, the narrower reading counts: a repeated hour opens with its second pass and closes with its first, and times
that are skipped do not exist.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(r"(?P<days>.*?)\s*(?P<start>\d{1,2}:\d{2})\s*(?:-|–|to)\s*(?P<end>\d{1,2}:\d{2})", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_LOOK_DAYS = 400
_WEEK_DAYS = 9
_DAY = timedelta(days=1)
EXAMPLE = "days, times and a zone, as Sat Sun 22:00-04:00 Europe/Paris, or 2026-12-05 20:00-23:30 Europe/Paris"


class WindowError(ValueError):
    """A text is no window; the message says why."""


@dataclass(frozen=True, slots=True)
class _Span:
    """Minutes after local midnight of each of its days; an end at or before the start is on the day after."""

    weekdays: frozenset[int]
    dates: tuple[tuple[date, date], ...]
    start: int
    end: int

    def begins_on(self, day: date) -> bool:
        return day.weekday() in self.weekdays or any(first <= day <= last for first, last in self.dates)


@dataclass(frozen=True, slots=True)
class Window:
    """`openings` and `closes` are what schedulers ask."""

    zone: ZoneInfo
    spans: tuple[_Span, ...]
    blacked_out: tuple[tuple[date, date], ...]

    def openings(self, since: datetime, days: int = _LOOK_DAYS) -> Iterator[tuple[datetime, datetime]]:
        """The times (UTC) at which it is open, from the one that holds `since` on; those of a good year ahead."""
        day = since.astimezone(self.zone).date() - _DAY
        pending: tuple[datetime, datetime] | None = None
        for number in range(days):
            for start, end in sorted(self._of_day(day + number * _DAY)):
                if pending is not None and start <= pending[1]:
                    pending = (pending[0], max(pending[1], end))
                    continue
                if pending is not None and pending[1] > since:
                    yield pending
                pending = (start, end)
        if pending is not None and pending[1] > since:
            yield pending

    def closes(self, moment: datetime) -> datetime | None:
        """When it closes, if it is open at `moment`, a week later at most; None while it is closed."""
        start, end = next(self.openings(moment, _WEEK_DAYS), (None, None))
        return end if start is not None and start <= moment else None

    def fits(self, moment: datetime, seconds: float) -> bool:
        """Whether what begins at `moment` and takes that long ends before it closes."""
        end = self.closes(moment)
        return end is not None and moment + timedelta(seconds=seconds) <= end

    def _of_day(self, day: date) -> Iterator[tuple[datetime, datetime]]:
        """What begins on a local day, without the days that are blacked out."""
        for span in self.spans:
            if span.begins_on(day):
                after = span.end + (0 if span.end > span.start else 24 * 60)
                yield from self._without_blackouts(_local(day, span.start), _local(day, after))

    def _without_blackouts(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The parts of a local time span that lie on other days, in UTC."""
        at = start
        while at < end:
            midnight = datetime.combine(at.date() + _DAY, time())
            if not any(first <= at.date() <= last for first, last in self.blacked_out):
                found = self._utc(at, min(end, midnight))
                if found is not None:
                    yield found
            at = midnight

    def _utc(self, start: datetime, end: datetime) -> tuple[datetime, datetime] | None:
        begin = max(self._readings(start))
        readings = self._readings(end)
        exists = self._exists(end)
        finish = min(readings)
        if finish <= begin and exists:
            finish = max(readings)  # all of it in the repeated hour: the second pass counts
        if not self._exists(start):
            begin = self._gap_end(start)
        if not exists:
            finish = self._gap_end(end)
        return (begin, finish) if begin < finish else None

    def _readings(self, local: datetime) -> tuple[datetime, datetime]:
        first, second = (local.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        return first, second

    def _exists(self, local: datetime) -> bool:
        there = local.replace(tzinfo=self.zone).astimezone(UTC).astimezone(self.zone)
        return there.replace(tzinfo=None) == local

    def _gap_end(self, local: datetime) -> datetime:
        """The moment at which clocks jump over `local`."""
        low, high = sorted(self._readings(local))
        offset = low.astimezone(self.zone).utcoffset()
        while high - low > timedelta(seconds=1):
            middle = low + (high - low) / 2
            if middle.astimezone(self.zone).utcoffset() == offset:
                low = middle
            else:
                high = middle
        return high.replace(microsecond=0)


def _local(day: date, minutes: int) -> datetime:
    return datetime.combine(day, time()) + timedelta(minutes=minutes)


def parse_window(text: str) -> Window:
    """WindowError says what is wrong with a text."""
    what, _, without = _split(" ".join(text.split()))
    body, _, zone = what.rpartition(" ")
    if not body or not zone or not re.match(r"[A-Za-z]", zone) or zone.casefold() in _DAYS:
        raise WindowError("names no time zone")
    spans = tuple(_span(part.strip()) for part in body.split(";") if part.strip())
    if not spans:
        raise WindowError("names no time")
    return Window(_zone(zone), spans, tuple(_dates(word) for word in re.split(r"[,\s]+", without) if word))


def _split(text: str) -> tuple[str, str, str]:
    found = re.search(r"\s(except|without|not)\s", text, re.IGNORECASE)
    return (text[: found.start()], found[1], text[found.end() :]) if found else (text, "", "")


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise WindowError(f"names the unknown time zone {name!r}") from None


def _span(text: str) -> _Span:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise WindowError(f"has {text!r}, which is no time span")
    weekdays: set[int] = set()
    dates: list[tuple[date, date]] = []
    for word in re.split(r"[,\s]+", found["days"].strip() or "daily"):
        if _DATE.match(word):
            dates.append(_dates(word))
        elif word.casefold() == "daily":
            weekdays.update(range(7))
        else:
            weekdays.update(_weekdays(word))
    return _Span(frozenset(weekdays), tuple(dates), _minutes(found["start"]), _minutes(found["end"]))


def _weekdays(word: str) -> Iterator[int]:
    first, dash, last = word.casefold().partition("-")
    if first[:3] not in _DAYS or (dash and last[:3] not in _DAYS):
        raise WindowError(f"has {word!r}, which is neither a day (Mon … Sun), daily, nor a date (2026-12-05)")
    at, until = _DAYS.index(first[:3]), _DAYS.index((last or first)[:3])
    yield from (at + step for step in range(until - at + 1)) if at <= until else (*range(at, 7), *range(until + 1))


def _minutes(text: str) -> int:
    hour, minute = (int(part) for part in text.split(":"))
    if hour > 24 or minute > 59 or (hour == 24 and minute):
        raise WindowError(f"has {text!r}, which is no time of day")
    return hour * 60 + minute


def _dates(word: str) -> tuple[date, date]:
    first, _, last = word.partition("..")
    try:
        found = date.fromisoformat(first), date.fromisoformat(last or first)
    except ValueError:
        raise WindowError(f"has {word!r}, which is no date as 2026-12-05 or 2026-12-24..2027-01-02") from None
    if found[1] < found[0]:
        raise WindowError(f"has {word!r}, which ends before it begins")
    return found
