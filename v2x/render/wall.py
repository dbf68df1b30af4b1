# SPDX-License-Identifier: Apache-2.0
"""A batch on a wall screen: the page that stays, and the words that go to it again and again."""

from typing import Any

from v2x.model.batch import BatchStatus, RowStatus
from v2x.model.migration import Outcome
from v2x.model.units import show_bytes
from v2x.render.page import live_page
from v2x.render.words import show_duration
from v2x.text import printable

MOST_ROWS = 200
_RANK = {"running": 0, "waiting": 2, "ended": 3}
_TONES = {Outcome.MIGRATED: "good", Outcome.ALREADY: "good", Outcome.FAILED: "blocker"}


def wall_page() -> bytes:
    """The page, without any data in it: its script asks for that where the page came from."""
    return live_page("wall.html.j2", "wall.js")


def wall_words(status: BatchStatus) -> dict[str, Any]:
    """What the page shows of a status, as words and shares of 1, safe to show; small enough to send each second."""
    ended = all(row.state == "ended" for row in status.rows)
    state = "ended" if ended else "paused" if status.paused else "running" if status.workers else "not running"
    size, done = status.size_bytes, status.copied_bytes
    rows = sorted(status.rows, key=_rank)
    return {
        "batch": status.id,
        "plan": printable(status.plan_path, 200),
        "state": state,
        "at": status.taken_at.isoformat(),
        "counts": _counts(status),
        "share": done / size if size else 1.0,
        "done": f"{show_bytes(done)} of {show_bytes(size)}",
        "rate": f"{show_bytes(int(status.rate_bytes))}/s" if status.rate_bytes > 0 else "",
        "left": f"{show_duration(status.seconds_left)} left" if status.seconds_left is not None else "",
        "rows": [_row(row) for row in rows[:MOST_ROWS]],
        "more": max(0, len(rows) - MOST_ROWS),
        "warnings": _warnings(status),
    }


def _rank(row: RowStatus) -> int:
    return 1 if row.migration.outcome is Outcome.FAILED else _RANK.get(row.state, 4)


def _counts(status: BatchStatus) -> list[dict[str, object]]:
    counted: dict[tuple[str, str], int] = {}
    for row in status.rows:
        word = str(row.migration.outcome) if row.state == "ended" else row.state
        tone = _TONES.get(row.migration.outcome, "warning") if row.state == "ended" else "info"
        counted[word, tone] = counted.get((word, tone), 0) + 1
    return [{"word": word, "tone": tone, "count": count} for (word, tone), count in counted.items()]


def _row(row: RowStatus) -> dict[str, object]:
    migration, share = row.migration, 0.0
    word, tone, detail = row.state, "info", row.waits_for and f"waits for {row.waits_for}"
    if row.state == "ended":
        word, tone = str(migration.outcome), _TONES.get(migration.outcome, "warning")
        share = 1.0 if tone == "good" else 0.0
        detail = f"{migration.failure.message} [{migration.failure.code}]" if migration.failure is not None else ""
    elif row.state == "running":
        word = str(migration.phase)
        if row.size_bytes:
            share = min(1.0, row.copied_bytes / row.size_bytes)
        if row.disk is not None and row.disk.total_bytes:
            word = f"{row.disk.activity} {row.disk.label}"
            detail = f"{row.disk.done_bytes / row.disk.total_bytes:.0%}"
            detail += f", {show_bytes(int(row.disk.rate_bytes))}/s" if row.disk.rate_bytes else ""
    return {
        "id": migration.id,
        "name": printable(migration.machine_name, 100) or "(no name)",
        "word": printable(word, 100),
        "tone": tone,
        "share": share,
        "detail": printable(detail, 300),
        "wave": row.wave,
    }


def _warnings(status: BatchStatus) -> list[str]:
    """The last word of those machines that are warned of and not through."""
    found = [
        f"{row.migration.machine_name}: {row.migration.warnings[-1]}"
        for row in status.rows
        if row.migration.warnings and row.state != "ended"
    ]
    return [printable(text, 300) for text in found[-5:]]
