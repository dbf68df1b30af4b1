# SPDX-License-Identifier: Apache-2.0
"""The status of a batch for a terminal: totals first, then a line or two for each machine."""

from collections.abc import Iterator, Sequence

from v2x.model.batch import BatchStatus, RowStatus, Strain
from v2x.model.migration import Migration, Outcome
from v2x.model.units import show_bytes
from v2x.render import live
from v2x.render.aftercare import TONES, check_line, health_line
from v2x.render.layout import NARROWEST, fit, paint, wrap
from v2x.render.strain import held_back, not_measured
from v2x.render.words import copy_line, show_duration, show_time
from v2x.text import plural, printable

_COLOURS = {Outcome.MIGRATED: "good", Outcome.ALREADY: "good", Outcome.FAILED: "blocker", Outcome.STOPPED: "warning"}
_COLOURS |= {Outcome.BLOCKED: "blocker", Outcome.MISSED_WINDOW: "warning"}
_BAR = 20


def batch_text(status: BatchStatus, *, width: int = 80, colour: bool = False, most_rows: int | None = None) -> bytes:
    """The status in lines of at most `width` columns, UTF-8. With `most_rows`, what runs and what failed goes first."""
    page = max(width, NARROWEST)
    rows, left = _chosen(status.rows, most_rows)
    lines = list(_head(status, page, colour))
    for row in rows:
        lines += _row(row, page, colour)
    if left:
        lines.append(f"… and {plural(left, 'machine')} more")
    return ("\n".join(lines) + "\n").encode()


def _chosen(rows: Sequence[RowStatus], most: int | None) -> tuple[Sequence[RowStatus], int]:
    if most is None or len(rows) <= most:
        return rows, 0
    ranked = live.ranked(rows)
    return ranked[: max(1, most)], len(rows) - max(1, most)


def _head(status: BatchStatus, width: int, colour: bool) -> Iterator[str]:
    yield paint(f"Batch {status.id}: {live.state_word(status)}", "strong", colour)
    yield from wrap(f"{printable(status.plan_path, 200)}, begun {show_time(status.created)}", width)
    yield from wrap(", ".join(f"{count} {word}" for word, count in live.outcomes(status)), width)
    yield from _trouble(status, width, colour)
    yield from wrap(f"{live.bar(live.copied_share(status), _BAR)} {live.copied_words(status)}", width)
    yield from _held_back(status.strain, width, colour)
    yield ""


def _held_back(strain: Sequence[Strain], width: int, colour: bool) -> Iterator[str]:
    """What goes slower than was set, and why; and what could not be measured."""
    for one in strain:
        for line in wrap(held_back(one), width, rest="  ") if one.halvings else ():
            yield paint(line, "warning", colour)
        yield from wrap(not_measured(one), width, rest="  ") if one.missing else ()


def _trouble(status: BatchStatus, width: int, colour: bool) -> Iterator[str]:
    """What must not be overlooked in a long list."""
    alarms = sum(bool(row.migration.alarm) for row in status.rows)
    ill = sum(row.migration.health is not None and bool(row.migration.health.failed) for row in status.rows)
    for count, what in ((alarms, "whose source runs again"), (ill, "that failed the health check")):
        if count:
            for line in wrap(f"ALARM: {plural(count, 'migrated machine')} {what}", width):
                yield paint(line, "blocker", colour)


def _row(row: RowStatus, width: int, colour: bool) -> Iterator[str]:
    migration = row.migration
    name = fit(printable(migration.machine_name, 200) or "(no name)", max(16, width // 3))
    if row.state == "ended":
        word = paint(str(migration.outcome), _COLOURS.get(migration.outcome, "info"), colour)
        yield f"{name} {word}"
        if migration.failure is not None and migration.outcome is not Outcome.MIGRATED:
            failure = f"{printable(migration.failure.message, 1000)} [{migration.failure.code}]"
            yield from wrap(failure, width, first="  ")
        yield from _afterwards(migration, width, colour)
    elif row.state == "running":
        said = f"{name} {migration.phase}"
        if row.disk is not None and row.disk.total_bytes:
            share = row.disk.done_bytes / row.disk.total_bytes
            said = f"{name} {row.disk.activity} {printable(row.disk.label, 40)} {share:.0%}"
            if row.disk.rate_bytes:
                said += f", {show_bytes(int(row.disk.rate_bytes))}/s"
        yield from wrap(said, width, rest="  ")
    else:
        foretold = _foretold(migration)
        yield from wrap(f"{name} waits for {row.waits_for}{foretold}", width, rest="  ")
    for test in migration.tests:
        if test.ended is None:
            yield from wrap(copy_line(test), width, first="  ", rest="    ")


def _foretold(migration: Migration) -> str:
    if migration.outage is None or migration.outage.predicted is None:
        return ""
    return f"; its outage is predicted to last {show_duration(migration.outage.predicted)}"


def _afterwards(migration: Migration, width: int, colour: bool) -> Iterator[str]:
    """What its health check found, and what is wrong with its source since."""
    if migration.alarm:
        for line in wrap(f"ALARM: {printable(migration.alarm, 1000)}", width, first="  "):
            yield paint(line, "blocker", colour)
    if migration.health is not None:
        for line in wrap(f"health: {health_line(migration.health)}", width, first="  "):
            yield paint(line, TONES[migration.health.verdict], colour)
        for check in migration.health.failed:
            yield from wrap(printable(check_line(check), 1000), width, first="  - ")
