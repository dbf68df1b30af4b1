# SPDX-License-Identifier: Apache-2.0
"""How long the outage of a warm machine will be, part by part, and how long each part was. Pure.

The final delta is taken to be as large as the last one: what is written until the shutdown is what another pass as long
as the last would find. Its rate is that of the last pass that sent anything, slowed down by those that are cut over
with it. Everything else is what machines of the same run needed, or a stated guess while there are none.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import median

from v2x.disks.stream.feed import BLOCK_BYTES
from v2x.migrate.sample import SAMPLE_BLOCKS
from v2x.model.health import Aftercare
from v2x.model.migration import DiskResult, Pass, Phase, VerifyLevel
from v2x.model.outage import History, Outage, Part, Span

MOST_PASSES = 20
SETTLED_SHARE = 0.8
"""A pass that sends more than this share of the one before will not get smaller by another."""
SMALL_SHARE = 0.05
"""A final delta of this share of the outage is not worth another pass."""
GUESSED = {Part.SHUTDOWN: 30.0, Part.START: 10.0, Part.HEALTH: 60.0}
"""Seconds for what no machine of the run has shown yet."""
PARTS = {
    Phase.SHUTDOWN: Part.SHUTDOWN,
    Phase.LAST_SYNC: Part.DELTA,
    Phase.CONVERT: Part.CONVERSION,
    Phase.VERIFY: Part.VERIFICATION,
    Phase.SEAL: Part.START,
    Phase.START: Part.START,
    # The guest boots while the source is let go of.
    Phase.RELEASE: Part.HEALTH,
    Phase.HEALTH: Part.HEALTH,
}


def predicted(
    passes: Sequence[Pass],
    results: Sequence[DiskResult],
    verify: VerifyLevel,
    care: Aftercare,
    *,
    wanted_seconds: float,
    starts: bool,
    converts: bool = False,
    history: History | None = None,
    contention: float = 1.0,
) -> Outage:
    """The outage as it is to be expected after these passes."""
    known = history or History()
    rate = _rate(passes)
    reads = read_back_bytes(results, verify)
    spans = (
        _usual(Part.SHUTDOWN, known),
        _delta(passes, rate, contention),
        _usual(Part.CONVERSION, known) if converts else Span(part=Part.CONVERSION, predicted=0.0, why="none"),
        _verification(reads, known.read_back_rate, rate),
        _usual(Part.START, known),
        _usual(Part.REBOOTS, known) if starts else Span(part=Part.REBOOTS, predicted=0.0, why="not started"),
        _usual(Part.HEALTH, known)
        if starts and care.health_seconds > 0
        else Span(part=Part.HEALTH, predicted=0.0, why="not started" if not starts else "none"),
    )
    return Outage(spans=spans, wanted_seconds=wanted_seconds, read_back_bytes=reads)


def _rate(passes: Sequence[Pass]) -> float:
    """Bytes per second of the last pass that sent something; 0 where none did."""
    told = [one for one in passes if one.sent_bytes and (one.copy_seconds or one.seconds)]
    return told[-1].sent_bytes / (told[-1].copy_seconds or told[-1].seconds) if told else 0.0


def _usual(part: Part, history: History) -> Span:
    if part in history.seconds:
        return Span(part=part, predicted=history.seconds[part], why="as other machines of this run needed")
    if part not in GUESSED:
        return Span(part=part, predicted=0.0, why="none was seen in this run yet")
    return Span(part=part, predicted=GUESSED[part], why="a guess, until a machine of this run was cut over")


def _delta(passes: Sequence[Pass], rate: float, contention: float) -> Span:
    if not passes:
        return Span(part=Part.DELTA)
    last = passes[-1]
    fixed = max(0.0, last.seconds - last.copy_seconds)
    copying = last.sent_bytes / rate * max(1.0, contention) if rate else 0.0
    why = f"{last.sent_bytes:,} bytes of the last pass at {rate:,.0f} bytes/s, {fixed:.1f} s for its snapshot"
    slower = f", {contention:.1f} times as slow with the others" if contention > 1 else ""
    return Span(part=Part.DELTA, predicted=fixed + copying, why=why + slower)


def _verification(reads: int, measured: float, copied: float) -> Span:
    rate = measured or copied
    if not reads or not rate:
        return Span(part=Part.VERIFICATION, predicted=0.0, why="nothing is read back")
    whose = "as other machines of this run were read" if measured else "as this one was copied"
    why = f"{reads:,} bytes at {rate:,.0f} bytes/s, {whose}"
    return Span(part=Part.VERIFICATION, predicted=reads / rate, why=why)


def read_back_bytes(results: Sequence[DiskResult], verify: VerifyLevel) -> int:
    """What a verification reads of the disks."""
    if verify is VerifyLevel.NONE:
        return 0
    return sum(min(one.data_bytes, _most(one, verify)) for one in results)


def _most(one: DiskResult, verify: VerifyLevel) -> int:
    """Of a disk whose base was verified before, only what was written since is read back."""
    if verify is VerifyLevel.SAMPLE:
        return SAMPLE_BLOCKS * BLOCK_BYTES
    if one.unverified is None:
        return one.data_bytes
    return sum(count for _, count in one.unverified) * BLOCK_BYTES


def is_settled(passes: Sequence[Pass], outage: Outage) -> bool:
    """Whether the outage is predicted to be as short as wanted, or another pass would hardly make it shorter."""
    if len(passes) < 2:
        return False
    last, before = passes[-1], passes[-2]
    whole, delta = outage.predicted or 0.0, outage.of(Part.DELTA).predicted or 0.0
    if whole <= outage.wanted_seconds or len(passes) >= MOST_PASSES:
        return True
    return last.sent_bytes >= SETTLED_SHARE * before.sent_bytes or delta <= SMALL_SHARE * whole


def passed(outage: Outage, phase: Phase, seconds: float, reboot_seconds: float = 0.0) -> Outage:
    """With the time that a step took; parts of several steps are summed."""
    part = PARTS.get(phase)
    if part is None:
        return outage
    more = _added(outage, part, max(0.0, seconds - reboot_seconds))
    return _added(more, Part.REBOOTS, reboot_seconds) if phase is Phase.HEALTH else more


def _added(outage: Outage, part: Part, seconds: float) -> Outage:
    span = outage.of(part)
    new = replace(span, real=(span.real or 0.0) + seconds)
    spans = {one.part: one for one in (*outage.spans, new)}
    return replace(outage, spans=tuple(spans[one] for one in Part if one in spans))


def history_of(outages: Iterable[Outage]) -> History:
    """The median of each part; of the verification its rate, since that depends on the size of the disks."""
    seconds: dict[Part, list[float]] = {}
    rates = []
    for outage in outages:
        for span in outage.spans:
            if span.real is None:
                continue
            if span.part is Part.VERIFICATION:
                rates += [outage.read_back_bytes / span.real] if outage.read_back_bytes and span.real else []
            elif span.part is not Part.DELTA:
                seconds.setdefault(span.part, []).append(span.real)
    known = {part: median(values) for part, values in seconds.items()}
    return History(seconds=known, read_back_rate=median(rates) if rates else 0.0)
