# SPDX-License-Identifier: Apache-2.0
"""What a row's attempts have to remember beyond the process they run in: facts, one text each.

A fact with a value is a word and JSON; of each word the last one holds.
"""

import json
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from v2x.migrate.work import Work
from v2x.model.codec import from_json, to_plain
from v2x.model.health import GuestBefore, Health
from v2x.model.outage import Outage

T = TypeVar("T")

WAS_ON = "was on"
"""It ran at its source, and was brought down for its migration."""
BROUGHT_BACK = "brought back"
"""It was switched on again at its source after a failure; WAS_ON is forgotten then."""
TRACKED = "tracking was turned on"
FINALIZED = "finalized"
"""Its way back was given up."""
REHEARSED = "the guest's conversion was tried"
STARTED = "started on the target"
STOPPED = "stopped at the source"
"""Its source was off when its machine was sealed, and is to stay so until it is finalized."""
WAS = "was "
"""Begins the fact that holds what the source was like before it was kept off."""
LABEL = "label was "
"""Begins the fact that holds the source's name and notes before it was marked."""
BEFORE, HEALTH, OUTAGE, ALARM = "guest ", "health ", "outage ", "alarm "


class Keeps(Protocol):
    def remember(self, fact: str, instead_of: str = "") -> None: ...

    def facts(self) -> Sequence[str]: ...


def fact(word: str, value: object) -> str:
    return word + json.dumps(to_plain(value), separators=(",", ":"))


def recalled(facts: Sequence[str], word: str, kind: type[T]) -> T | None:
    """The value of the last fact that begins with `word`."""
    found = next((one for one in reversed(facts) if one.startswith(word + "{")), None)
    return None if found is None else from_json(found.removeprefix(word), kind)


def saved_of(facts: Sequence[str]) -> dict[str, str]:
    """What the source was like before anything kept it off, by the first that was kept; empty where nothing did."""
    return recalled(facts[::-1], WAS, dict[str, str]) or {}


def label_of(facts: Sequence[str]) -> dict[str, str]:
    """The source's name and notes before it was marked; empty where it was not."""
    return recalled(facts, LABEL, dict[str, str]) or {}


def alarm_of(facts: Sequence[str]) -> str:
    return next((one.removeprefix(ALARM) for one in reversed(facts) if one.startswith(ALARM)), "")


def recall(work: Work, facts: Sequence[str]) -> None:
    """Tells a new work what those before it have learned."""
    work.turned_on_tracking = TRACKED in facts
    work.rehearsed = REHEARSED in facts
    work.started = STARTED in facts
    work.before = recalled(facts, BEFORE, GuestBefore)
    work.health = recalled(facts, HEALTH, Health)
    work.outage = recalled(facts, OUTAGE, Outage)


def remember(work: Work, kept: Keeps) -> None:
    """Keeps what a step has learned, where it is new."""
    known = set(kept.facts())
    values = {BEFORE: work.before, HEALTH: work.health, OUTAGE: work.outage}
    new = [(fact(word, value), word + "{") for word, value in values.items() if value is not None]
    flags = {TRACKED: work.turned_on_tracking, REHEARSED: work.rehearsed, STARTED: work.started}
    new += [(word, "") for word, holds in flags.items() if holds]
    for text, instead_of in new:
        if text not in known:
            kept.remember(text, instead_of)


def told_of(facts: Sequence[str]) -> dict[str, Any]:
    """Fields of a migration that its facts hold."""
    return {
        "health": recalled(facts, HEALTH, Health),
        "outage": recalled(facts, OUTAGE, Outage),
        "alarm": alarm_of(facts),
    }
