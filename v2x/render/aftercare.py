# SPDX-License-Identifier: Apache-2.0
"""What came after a machine's start, and how long its outage was, in words that all formats show."""

from dataclasses import dataclass

from v2x.model.health import Check, Health, Verdict
from v2x.model.outage import Outage
from v2x.render.words import show_duration
from v2x.text import plural

TONES = {Verdict.PASS: "good", Verdict.FAIL: "blocker", Verdict.NOT_CHECKED: "unknown"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PartLine:
    """One part of an outage; empty where it was not predicted, or has not been."""

    part: str
    predicted: str
    real: str
    why: str


def health_line(health: Health) -> str:
    """`failed: 1 of 9 checks; 5 passed, 3 not checked`."""
    counts = {verdict: sum(one.verdict is verdict for one in health.checks) for verdict in Verdict}
    rest = f"{counts[Verdict.PASS]} passed, {counts[Verdict.NOT_CHECKED]} not checked"
    reboots = f"; it rebooted {plural(health.reboots, 'time')} by itself" if health.reboots else ""
    after = f", after {show_duration(health.seconds)}"
    if counts[Verdict.FAIL]:
        return f"FAILED: {counts[Verdict.FAIL]} of {plural(len(health.checks), 'check')}; {rest}{after}{reboots}"
    word = "passed" if health.verdict is Verdict.PASS else "nothing could be checked"
    return f"{word}: {rest}{after}{reboots}"


def check_line(check: Check) -> str:
    return f"{check.verdict.value}: {check.label}: {check.text}"


def recorded_line(health: Health) -> str:
    """What was known of the guest before; empty where nothing was."""
    before = health.before
    if before is None:
        return ""
    addresses = [address.partition("/")[0] for one in before.addresses for address in one.addresses]
    gateways = sorted({gateway for one in before.addresses for gateway in one.gateways})
    resolvers = sorted({server for one in before.addresses for server in one.dns})
    ports = [f"{port.word} {'answered' if port.answered else 'did not answer'}" for port in before.ports]
    parts = [
        f"{name} {', '.join(values)}"
        for name, values in (
            ("addresses", addresses),
            ("gateway", gateways),
            ("name servers", resolvers),
            ("mount points", [one.path for one in before.volumes]),
            ("tools", [before.tools_version] if before.tools_version else []),
            ("ports", ports if before.running else []),
        )
        if values
    ]
    return "; ".join(parts)


def outage_line(outage: Outage) -> str:
    """`predicted 48 s, was 45 s`."""
    predicted, real = outage.predicted, outage.real
    parts = [f"predicted {show_duration(predicted)}"] if predicted is not None else []
    parts += [f"was {show_duration(real)}"] if real is not None else []
    return ", ".join(parts)


def part_lines(outage: Outage) -> list[PartLine]:
    return [
        PartLine(
            part=span.part.value,
            predicted=show_duration(span.predicted) if span.predicted is not None else "",
            real=show_duration(span.real) if span.real is not None else "",
            why=span.why,
        )
        for span in outage.spans
    ]
