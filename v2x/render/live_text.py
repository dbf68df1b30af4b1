# SPDX-License-Identifier: Apache-2.0
"""A batch on one screen of a terminal, made anew at each look: totals, what runs, last warnings, a line of keys."""

from collections.abc import Iterator

from v2x.model.batch import BatchStatus, RowStatus
from v2x.model.migration import Outcome
from v2x.model.units import show_bytes
from v2x.render import live
from v2x.render.layout import columns, fit, paint
from v2x.render.words import show_duration, show_time
from v2x.text import plural, printable

LEAST_COLUMNS, LEAST_LINES = 40, 10
MOST_WARNINGS = 4
_BAR = 10
_TONES = {Outcome.MIGRATED: "good", Outcome.ALREADY: "good", Outcome.FAILED: "blocker", Outcome.BLOCKED: "blocker"}


def live_screen(
    status: BatchStatus, *, width: int, height: int, colour: bool = False, said: str = "", keys: str = ""
) -> list[str]:
    """Exactly `height` lines of at most `width` columns. `said` answers the last key, `keys` names them.

    What runs is shown first, then what failed; where rows do not fit, a line counts the rest.
    """
    page, lines = max(width, LEAST_COLUMNS), max(height, LEAST_LINES)
    head = list(_head(status, page, colour))
    warned = _warnings(status, page, min(MOST_WARNINGS, (lines - 14) // 2), colour)
    foot = [*warned, *([fit_line(said, page)] if said else [])]
    foot += [paint(fit_line(keys, page), "strong", colour)] if keys else []
    room = max(1, lines - len(head) - len(foot))
    body = list(_rows(status, page, room, colour))
    blank = [""] * max(0, room - len(body))
    return [*head, *body, *blank, *foot][:lines]


def fit_line(text: str, width: int) -> str:
    """`text` cut to `width` columns, without spaces behind it."""
    return text if columns(text) <= width else fit(text, width).rstrip()


def _head(status: BatchStatus, width: int, colour: bool) -> Iterator[str]:
    clock = show_time(status.taken_at)
    title = f"Batch {status.id}: {live.state_word(status)}"
    gap = width - columns(title) - columns(clock)
    yield paint(fit_line(title, width), "strong", colour) + (" " * gap + clock if gap > 0 else "")
    yield fit_line(", ".join(f"{count} {word}" for word, count in live.outcomes(status)), width)
    # To a screen reader the bar is the number behind it.
    share = live.copied_share(status)
    text = f"{live.bar(share, 20)} {share:.0%} {live.copied_words(status)}"
    yield fit_line(text, width)
    now = ", ".join(f"{count} {phase}" for phase, count in live.phases(status))
    limit = status.limits.get("rate", "0")
    held = f"; limited to {_rate(limit)}" if limit not in {"", "0"} else ""
    yield fit_line(f"now: {now or 'nothing'}{held}", width)
    yield ""


def _rate(limit: str) -> str:
    return f"{show_bytes(int(limit))}/s" if limit.isdecimal() else limit


def _rows(status: BatchStatus, width: int, room: int, colour: bool) -> Iterator[str]:
    rows = live.ranked(status.rows)
    shown = rows if len(rows) <= room else rows[: room - 1]
    for row in shown:
        yield _row(row, width, colour)
    rest = rows[len(shown) :]
    if rest:
        counted: dict[str, int] = {}
        for row in rest:
            counted[row.state] = counted.get(row.state, 0) + 1
        kinds = ", ".join(f"{count} {word}" for word, count in counted.items())
        yield fit_line(f"… and {plural(len(rest), 'machine')} more: {kinds}", width)


def _row(row: RowStatus, width: int, colour: bool) -> str:
    name_width = max(14, min(32, width // 4))
    name = fit(printable(row.migration.machine_name, 200) or "(no name)", name_width)
    if row.state == "running":
        left = live.seconds_left(row)
        share = live.share_of(row)
        times = " ".join(filter(None, (live.rate_of(row), f"{show_duration(left)} left" if left is not None else "")))
        said = f"{name} {live.bar(share, _BAR)} {share:4.0%} {live.doing(row)}"
        room = width - columns(said) - 2
        return fit_line(f"{said}  {times}" if times and room >= columns(times) else _tight(said, times, width), width)
    if row.state == "ended":
        word = str(row.migration.outcome)
        failure = row.migration.failure
        why = f"  {printable(failure.message, 300)} [{failure.code}]" if failure and word != Outcome.MIGRATED else ""
        line = fit_line(f"{name} {word}{why}", width)
        tone = _TONES.get(row.migration.outcome, "warning")
        return line.replace(f" {word}", f" {paint(word, tone, colour)}", 1) if colour and word in line else line
    return fit_line(f"{name} waits for {printable(row.waits_for, 200)}", width)


def _tight(said: str, times: str, width: int) -> str:
    """On a narrow screen the rate and the time left go before the end of what is done."""
    return f"{fit_line(said, max(20, width - columns(times) - 2))}  {times}" if times else said


def _warnings(status: BatchStatus, width: int, most: int, colour: bool) -> Iterator[str]:
    """The last ones, where the screen has room for any."""
    found = live.last_warnings(status, most) if most > 0 else []
    if found:
        yield ""
        for text in found:
            yield paint(fit_line(f"! {text}", width), "blocker" if text.startswith("ALARM") else "warning", colour)
        yield ""
