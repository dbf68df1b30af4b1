# SPDX-License-Identifier: Apache-2.0
"""A batch on a wall screen: the page that stays, and the words that go to it again and again."""

from typing import Any

from v2x.model.batch import BatchStatus, RowStatus
from v2x.model.migration import Outcome
from v2x.model.units import show_bytes
from v2x.render import live
from v2x.render.aftercare import health_line
from v2x.render.page import live_page
from v2x.render.words import show_duration
from v2x.text import printable

MOST_ROWS = 200
MOST_WARNINGS = 8
_TONES = {Outcome.MIGRATED: "good", Outcome.ALREADY: "good", Outcome.FAILED: "blocker"}


def wall_page() -> bytes:
    """The page, without any data in it: its script asks for that where the page came from."""
    return live_page("wall.html.j2", "wall.js")


def wall_words(status: BatchStatus) -> dict[str, Any]:
    """What the page shows of a status, as words and shares of 1, safe to show; small enough to send each second."""
    rows = live.ranked(status.rows)
    limit = status.limits.get("rate", "0")
    through = sum(row.migration.outcome in live.THROUGH for row in status.rows)
    return {
        "batch": status.id,
        "plan": printable(status.plan_path, 200),
        "state": live.state_word(status),
        "at": status.taken_at.isoformat(),
        "counts": _counts(status),
        "share": live.copied_share(status),
        "done": f"{show_bytes(status.copied_bytes)} of {show_bytes(status.size_bytes)}",
        "through": f"{through:,} of {len(status.rows):,}",
        "bytes_per_second": max(0, int(status.rate_bytes)),
        "rate": f"{show_bytes(int(status.rate_bytes))}/s" if status.rate_bytes > 0 else "",
        "limit": f"limited to {show_bytes(int(limit))}/s" if limit.isdecimal() and limit != "0" else "",
        "left": show_duration(status.seconds_left) if status.seconds_left is not None else "",
        "phases": [{"word": word, "count": count} for word, count in live.phases(status)],
        "rows": [_row(row) for row in rows[:MOST_ROWS]],
        "more": max(0, len(rows) - MOST_ROWS),
        "warnings": live.last_warnings(status, MOST_WARNINGS),
    }


def _counts(status: BatchStatus) -> list[dict[str, object]]:
    counted: dict[tuple[str, str], int] = {}
    for row in status.rows:
        word = str(row.migration.outcome) if row.state == "ended" else row.state
        tone = _TONES.get(row.migration.outcome, "warning") if row.state == "ended" else "info"
        counted[word, tone] = counted.get((word, tone), 0) + 1
    return [{"word": word, "tone": tone, "count": count} for (word, tone), count in counted.items()]


def _row(row: RowStatus) -> dict[str, object]:
    migration, left = row.migration, live.seconds_left(row)
    word, tone, detail = row.state, "info", row.waits_for and f"waits for {row.waits_for}"
    if row.state == "ended":
        word, tone = str(migration.outcome), _TONES.get(migration.outcome, "warning")
        detail = f"{migration.failure.message} [{migration.failure.code}]" if migration.failure is not None else ""
        if migration.health is not None and migration.health.failed:
            tone, detail = "warning", f"health: {health_line(migration.health)}"
        if migration.alarm:
            tone, detail = "blocker", f"ALARM: {migration.alarm}"
    elif row.state == "running":
        word, detail = str(migration.phase), live.doing(row)
    return {
        "id": migration.id,
        "name": printable(migration.machine_name, 100) or "(no name)",
        "word": printable(word, 100),
        "tone": tone,
        "share": live.share_of(row),
        "percent": f"{live.share_of(row):.0%}" if row.state == "running" else "",
        "detail": printable(detail, 300),
        "rate": live.rate_of(row),
        "left": show_duration(left) if left is not None else "",
        "wave": row.wave,
    }
