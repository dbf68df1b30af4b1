# SPDX-License-Identifier: Apache-2.0
"""Marks a source whose machine is through: its name, its notes, or both. On request only; nothing is ever removed."""

from collections.abc import Callable, Mapping
from datetime import datetime

from v2x.errors import V2xError
from v2x.migrate.work import Work
from v2x.model.health import Mark, Verdict
from v2x.model.machine import Machine
from v2x.sources.interface import Marks, Source

NAME, NOTES = "name", "notes"
_LONGEST_NAME = 80
"""vSphere takes no longer name; Hyper-V takes 100 signs."""
_WORDS = " (migrated to XCP-ng "


def marked(old: Mapping[str, str], wanted: Mark, place: str, day: datetime) -> dict[str, str]:
    """What the source's name and notes become; what bears our words already stays."""
    made = {}
    if wanted in {Mark.NAME, Mark.BOTH} and _WORDS not in old.get(NAME, ""):
        suffix = f"{_WORDS}{day:%Y-%m-%d})"
        made[NAME] = old.get(NAME, "")[: _LONGEST_NAME - len(suffix)].rstrip() + suffix
    note = f"Migrated by v2x: it runs as {place} since {day:%Y-%m-%d}. Do not start it."
    if wanted in {Mark.NOTE, Mark.BOTH} and "Migrated by v2x: " not in old.get(NOTES, ""):
        made[NOTES] = "\n".join(part for part in (old.get(NOTES, "").rstrip(), note) if part)
    return made


def mark(work: Work) -> None:
    """After all is well; a source that cannot be marked is a warning, the machine is through."""
    if work.already or work.care.mark is Mark.NO:
        return
    if work.health is not None and work.health.verdict is Verdict.FAIL:
        work.observer.warning("its source is not marked, since the health check failed")
        return
    place = f"{work.spec.name} on {work.place}" if work.place else work.spec.name
    try:
        mark_source(work.source, work.machine, work.care.mark, place, work.now(), work.observer.warning)
    except V2xError as problem:
        work.observer.warning(f"{work.machine.name} is not marked at its source: {problem.message}")


def mark_source(
    source: Source, machine: Machine, wanted: Mark, place: str, day: datetime, said: Callable[[str], None]
) -> str:
    """What was changed, in words; empty where nothing was."""
    if not isinstance(source, Marks):
        said(f"{machine.name} is not marked: this source has no names and notes that could be set")
        return ""
    new = marked(source.label(machine), wanted, place, day)
    if not new:
        return ""
    what = " and ".join({NAME: f"name, now {new.get(NAME)}", NOTES: "notes"}[key] for key in new)
    said(f"{machine.name}: changed at the source: its {what}")
    source.relabel(machine, new)
    return what


def unmark(source: Source, machine: Machine, old: Mapping[str, str]) -> None:
    """Sets name and notes as they were, where they were changed."""
    if old and isinstance(source, Marks):
        now = source.label(machine)
        changed = {key: value for key, value in old.items() if now.get(key) != value}
        if changed:
            source.relabel(machine, changed)
