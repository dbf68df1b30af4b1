# SPDX-License-Identifier: Apache-2.0
"""How much is taken off a host of the pool or an SR that is strained, and given back when it is calm: pure.

Above its threshold each look halves the disks in flight, never under one, and the bytes per second. It takes CALM_LOOKS
looks in a row with everything measured well below its threshold (CALM_SHARE) to double them again, so that what v2x
itself causes does not swing. What lies between is left as it is, and so is a look that could measure nothing: not to
know is no reason to press on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

CPU, LATENCY, CHAINS = "cpu", "latency", "chains"
PREFIX = "strain."
THRESHOLDS: dict[str, int] = {f"{PREFIX}{CPU}": 85, f"{PREFIX}{LATENCY}": 50, f"{PREFIX}{CHAINS}": 20}
"""Percent of the control domain's CPU, milliseconds of a request to an SR, elements on an SR that wait for coalescing.

Beyond 85 % a control domain has nothing left for a burst of its guests' disks and networks; a guest feels requests of
50 ms; and 20 chains at once are more than the pool's own snapshots leave behind for long: backups are at work, or its
garbage collector does not keep up. 0 switches one off.
"""
CALM_LOOKS = 4
CALM_SHARE = 0.8
MOST_HALVINGS = 6
LEAST_RATE_BYTES = 1 << 20
_WORDS = {CPU: ("CPU of its control domain", " %"), LATENCY: ("latency", " ms"), CHAINS: ("chains to coalesce", "")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Eased:
    """What a key is brought down to: `disks` in flight and `rate_bytes` per second; 0 for as set. `why` is the last
    measurement above a threshold, `calm` counts the calm looks since."""

    halvings: int = 0
    calm: int = 0
    disks: int = 0
    rate_bytes: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InFlight:
    """What goes on under a key now: the limit of disks that was set (0 for none), those in flight, bytes per second."""

    limit: int = 0
    disks: int = 0
    rate_bytes: int = 0


def eased(before: Eased, measured: Mapping[str, float | None], thresholds: Mapping[str, float], now: InFlight) -> Eased:
    """What holds after one more look. `measured` and `thresholds` are by CPU, LATENCY and CHAINS; None not measured."""
    watched = {one: measured.get(one) for one, threshold in thresholds.items() if threshold > 0}
    above = [one for one, value in watched.items() if value is not None and value > thresholds[one]]
    if above:
        return _halved(before, now, ", ".join(said(one, watched[one], thresholds[one]) for one in above))
    if not watched or not before.halvings:
        return Eased()
    known = {one: value for one, value in watched.items() if value is not None}
    if any(value > CALM_SHARE * thresholds[one] for one, value in known.items()):
        return replace(before, calm=0)
    calm = before.calm + bool(known)
    return replace(before, calm=calm) if calm < CALM_LOOKS else _doubled(before)


def said(what: str, value: float | None, threshold: float = 0.0) -> str:
    """A measurement in words, with the threshold where it is above one."""
    name, unit = _WORDS[what]
    if value is None:
        return f"{name} not measured"
    return f"{name} {value:.0f}{unit}" + (f" above {threshold:.0f}{unit}" if threshold else "")


def _halved(before: Eased, now: InFlight, why: str) -> Eased:
    allowed = [count for count in (before.disks, now.limit, now.disks) if count > 0]
    disks = max(1, min(allowed, default=1) // 2)
    known = before.rate_bytes or now.rate_bytes
    rate = max(LEAST_RATE_BYTES, known // 2) if known else 0
    at_the_end = (disks, rate) == (before.disks, before.rate_bytes) or before.halvings == MOST_HALVINGS
    if at_the_end:
        return replace(before, calm=0, why=why)
    return Eased(halvings=before.halvings + 1, disks=disks, rate_bytes=rate, why=why)


def _doubled(before: Eased) -> Eased:
    if before.halvings == 1:
        return Eased()
    return replace(
        before, halvings=before.halvings - 1, calm=0, disks=before.disks * 2, rate_bytes=before.rate_bytes * 2
    )
