# SPDX-License-Identifier: Apache-2.0
"""Judges by the event log of a state alone whether what was held back for strain was held to."""

from collections.abc import Iterable
from dataclasses import dataclass

from v2x.engine.journal import Entry


@dataclass
class Judged:
    """`least` is the lowest limit that was told, `reductions` and `recoveries` how often it fell and rose; `at_fall`
    were in flight when it fell first, `begun_after` machines began after that."""

    reductions: int = 0
    recoveries: int = 0
    least: int = 0
    lifted: bool = False
    at_fall: int = 0
    begun_after: int = 0


def judge(entries: Iterable[Entry], key: str) -> Judged:
    """Goes through the log once; AssertionError where a machine began although its limit did not allow it.

    All machines of the log go under `key`. A machine is in flight from its first phase to its outcome. What was in
    flight when the limit fell may end in peace: until then the count may be that of the fall, less what ended since.
    """
    found, running, limit, bound = Judged(), set[str](), 0, 0
    for entry in entries:
        kind = entry.fields["kind"]
        if kind == "strain" and entry.fields["key"] == key:
            fell = "above" in entry.fields["text"]
            found.reductions += fell
            found.recoveries += not fell
            found.lifted = "as set" in entry.fields["text"]
            limit, bound = int(entry.fields["disks"]), int(entry.fields["in_flight"])
            found.least = min(found.least or limit, limit)
            found.at_fall = found.at_fall or bound
        elif kind == "phase" and entry.row not in running:
            running.add(entry.row)
            if limit:
                found.begun_after += 1
                assert len(running) <= max(limit, bound), f"{len(running)} in flight at event {entry.number}"
        elif kind == "outcome" and entry.row in running:
            running.discard(entry.row)
            bound -= 1
    return found
