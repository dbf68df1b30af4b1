# SPDX-License-Identifier: Apache-2.0
"""Figures behind the charts of a report: shares of a ring, and bars."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from v2x.model.finding import Verdict
from v2x.model.machine import Guest, Machine
from v2x.model.units import GIB, TIB
from v2x.render.assessment import VERDICTS, Assessment, guest_name

_MOST_BARS = 8
_TIERS = (
    (20 * GIB, "up to 20 GiB"),
    (100 * GIB, "20 to 100 GiB"),
    (500 * GIB, "100 to 500 GiB"),
    (TIB, "500 GiB to 1 TiB"),
    (2 * TIB, "1 to 2 TiB"),
    (10 * TIB, "2 to 10 TiB"),
)
_FAMILIES = (
    ("Windows Server", r"windows.*server|server 20\d\d|windows[ _]?20\d\d|winnet|winlonghorn"),
    ("Windows client", r"windows|\bwin(?:xp|vista|\d)"),
    ("Red Hat Enterprise Linux", r"red ?hat|rhel"),
    ("CentOS", r"centos"),
    ("Rocky, Alma, Oracle Linux", r"rocky|alma|oracle|\boel"),
    ("Debian", r"debian"),
    ("Ubuntu", r"ubuntu"),
    ("SUSE", r"suse|sles"),
    ("Photon OS", r"photon"),
    ("BSD", r"bsd"),
    ("Other Linux", r"linux|coreos|gentoo|fedora|amazon"),
)
_PATTERNS = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _FAMILIES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A part of a ring: `length` and `start` in percent of the way round."""

    verdict: Verdict
    count: int
    length: float
    start: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """`width` in percent of the longest bar."""

    label: str
    count: int
    width: float


def verdict_ring(assessment: Assessment) -> list[Share]:
    """The verdicts that occur, in the order of VERDICTS, from the top clockwise."""
    shares: list[Share] = []
    start, total = 0.0, len(assessment.machines)
    for verdict in VERDICTS:
        count = assessment.count(verdict)
        if count:
            length = 100 * count / total
            shares.append(Share(verdict=verdict, count=count, length=round(length, 3), start=round(start, 3)))
            start += length
    return shares


def size_bars(machines: Iterable[Machine]) -> list[Bar]:
    """How many machines have disks of which size together; tiers that hold none at the ends are left out."""
    found = Counter(_tier(machine.capacity_bytes) for machine in machines)
    labels = [label for _, label in _TIERS] + ["over 10 TiB"]
    used = [number for number, label in enumerate(labels) if found[label]]
    return _bars([(label, found[label]) for label in labels[used[0] : used[-1] + 1]]) if used else []


def system_bars(machines: Iterable[Machine]) -> list[Bar]:
    """How many machines run what, the most common first; the rare ones together last."""
    found = Counter(system_family(machine.guest) for machine in machines).most_common()
    shown = found if len(found) <= _MOST_BARS else found[: _MOST_BARS - 1]
    rest = sum(count for _, count in found[len(shown) :])
    return _bars(shown + ([("others", rest)] if rest else []))


def system_family(guest: Guest) -> str:
    """The family that a guest's name or id speaks of, for charts and filters."""
    words = f"{guest.os_name} {guest.os_id}"
    for name, pattern in _PATTERNS:
        if pattern.search(words):
            return name
    return "unknown" if guest_name(guest) == "unknown system" else "other"


def _tier(size_bytes: int) -> str:
    return next((label for most, label in _TIERS if size_bytes <= most), "over 10 TiB")


def _bars(counted: list[tuple[str, int]]) -> list[Bar]:
    most = max((count for _, count in counted), default=0)
    return [
        Bar(label=label, count=count, width=round(100 * count / most, 2) if most else 0) for label, count in counted
    ]
