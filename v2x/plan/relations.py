# SPDX-License-Identifier: Apache-2.0
"""What the rows of a plan have to do with each other: who waits for whom, who goes together, who never at once."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import combinations

from v2x.model.finding import Finding
from v2x.model.health import OnFail
from v2x.model.inventory import Inventory, Together
from v2x.model.plan import PlanRow
from v2x.model.windows import WindowError, parse_window
from v2x.plan import rules as plan_rules

Key = tuple[str, str]
_APART = (Together.ANTI_AFFINITY, Together.FAILOVER_CLUSTER)
CONTROLLER = "dc"
_SHOWN = 8


def key_of(row: PlanRow) -> Key:
    return row.source, row.machine_id


def named(text: str, row: PlanRow, rows: Sequence[PlanRow]) -> tuple[PlanRow, ...]:
    """The rows that `text` in the column `after` of `row` may mean: by id, else by name, in any case, its own source
    first; one if it is clear.
    """
    for of in (lambda one: (one.machine_id,), lambda one: (one.machine_name, one.target_name)):
        found = [one for one in rows if text in of(one)]
        found = found or [one for one in rows if text.casefold() in map(str.casefold, of(one))]
        near = [one for one in found if one.source == row.source]
        if found:
            return tuple(near if len(near) == 1 else found)
    return ()


def waits_for(rows: Sequence[PlanRow]) -> dict[Key, tuple[PlanRow, ...]]:
    """The rows that each row comes after; names that are none, or not clear, are left out: `check_relations` tells."""
    return {
        key_of(row): tuple(found[0] for found in (named(text, row, rows) for text in row.after) if len(found) == 1)
        for row in rows
        if row.after
    }


def check_relations(rows: Sequence[PlanRow], now: datetime | None = None) -> Iterator[Finding]:
    """Findings over all rows of a plan, those that are left out among them."""
    going = [row for row in rows if not row.exclude]
    yield from _after(going, rows)
    yield from _cycles(going, waits_for(rows))
    yield from _groups(going, rows)
    yield from _controllers(going)
    yield from _windows(going, now)
    yield from _on_fail(going)


def _on_fail(going: Iterable[PlanRow]) -> Iterator[Finding]:
    for row in going:
        if row.on_fail is not OnFail.ROLLBACK:
            continue
        if not row.start:
            yield plan_rules.ON_FAIL.finding("v2x does not start it, so nothing is looked at", row)
        elif row.role.casefold() == "dc":
            yield plan_rules.ON_FAIL.finding("a domain controller that has run does not go back by itself", row)


def _after(going: Iterable[PlanRow], rows: Sequence[PlanRow]) -> Iterator[Finding]:
    for row in going:
        for text in row.after:
            found = named(text, row, rows)
            if not found:
                yield plan_rules.AFTER_UNKNOWN.finding(f"{text!r} is no id or name of the plan", row)
            elif len(found) > 1:
                ids = ", ".join(one.machine_id for one in found[:_SHOWN])
                yield plan_rules.AFTER_UNKNOWN.finding(f"{text!r} may be any of {ids}", row)
            elif found[0].exclude:
                yield plan_rules.AFTER_LEFT_OUT.finding(f"{text!r} is left out", row)
            elif (found[0].wave, found[0].order) > (row.wave, row.order):
                place = f"wave {found[0].wave}, order {found[0].order}"
                yield plan_rules.AFTER_LATER.finding(f"{text!r} is in {place}, this one before it", row)


def _cycles(going: Iterable[PlanRow], before: Mapping[Key, tuple[PlanRow, ...]]) -> Iterator[Finding]:
    """One finding for each circle, at its first row."""
    done: set[Key] = set()
    for row in going:
        path: list[PlanRow] = []
        stack: list[tuple[PlanRow, bool]] = [(row, True)]
        while stack:
            one, enters = stack.pop()
            if not enters:
                path.pop()
                done.add(key_of(one))
                continue
            if key_of(one) in done:
                continue
            if any(key_of(one) == key_of(other) for other in path):
                names = [other.machine_name for other in path]
                start = next(at for at, other in enumerate(path) if key_of(other) == key_of(one))
                circle = " → ".join([*names[start:], one.machine_name])
                yield plan_rules.AFTER_CIRCLE.finding(f"each waits for the next: {circle}", one)
                continue
            path.append(one)
            stack.append((one, False))
            stack += [(other, True) for other in before.get(key_of(one), ())]


def kind_of(group: str) -> Together | None:
    """What the source says of a group, by the word before its colon; None for a group of one's own."""
    word = group.partition(":")[0].strip().casefold().replace("-", "_")
    return Together(word) if ":" in group and word in set(Together) else None


def teams(row: PlanRow) -> tuple[str, ...]:
    """What keeps a service up between them: groups of partners, told apart by source, and domain controllers."""
    groups = tuple(f"{row.source}/{group.casefold()}" for group in row.groups if kind_of(group) in _APART)
    return (*groups, f"role/{CONTROLLER}") if row.role.casefold() == CONTROLLER else groups


def group_cells(inventory: Inventory) -> dict[str, tuple[str, ...]]:
    """The groups of each machine (by id) that has any, as they stand in the column."""
    found: dict[str, list[str]] = defaultdict(list)
    for group in inventory.groups:
        # A comma would end the name in its cell.
        name = f"{group.kind.value.replace('_', '-')}:{' '.join(group.name.replace(',', ' ').split())}"
        for machine in group.machines:
            if name not in found[machine]:
                found[machine].append(name)
    return {machine: tuple(names) for machine, names in found.items()}


def _members(rows: Iterable[PlanRow]) -> dict[str, list[PlanRow]]:
    members: dict[str, list[PlanRow]] = defaultdict(list)
    for row in rows:
        for group in dict.fromkeys(one.casefold() for one in row.groups):
            # Two sources may have groups of one name; one's own words join machines of all.
            members[group if kind_of(group) is None else f"{row.source}\0{group}"].append(row)
    return members


def _groups(going: Iterable[PlanRow], rows: Iterable[PlanRow]) -> Iterator[Finding]:
    whole = _members(rows)
    for key, members in _members(going).items():
        group = key.rpartition("\0")[2]
        kind = kind_of(group)
        if kind in _APART:
            yield from _partners(members, group)
        elif kind is Together.SHARED_DISK:
            left = [row for row in whole[key] if row.exclude]
            if left or len({row.wave for row in members}) > 1:
                text = f"{group}: {_places(members)}" + (f"; left out: {_names(left)}" if left else "")
                yield plan_rules.SHARED_SPLIT.finding(text, members[0], group)
        elif kind is not Together.HOST_AFFINITY and len({row.wave for row in members}) > 1:
            yield plan_rules.GROUP_SPLIT.finding(f"{group}: {_places(members)}", members[0], group)


def _partners(members: Iterable[PlanRow], group: str) -> Iterator[Finding]:
    slots: dict[tuple[int, int], list[PlanRow]] = defaultdict(list)
    for row in members:
        slots[row.wave, row.order].append(row)
    for (wave, order), at_once in slots.items():
        if len(at_once) > 1:
            text = f"{group}: {_names(at_once)} all in wave {wave}, order {order}"
            yield plan_rules.PARTNERS.finding(text, at_once[0], group)


def _controllers(going: Iterable[PlanRow]) -> Iterator[Finding]:
    """Domain controllers of one group, or without any, in one slot; groups that keep them apart anyway are told."""
    found: dict[tuple[int, int], list[PlanRow]] = defaultdict(list)
    for row in going:
        if row.role.casefold() == CONTROLLER:
            found[row.wave, row.order].append(row)
    for (wave, order), rows in found.items():
        pair = next((pair for pair in combinations(rows, 2) if _are_partners(*pair)), None)
        if pair is not None:
            text = f"domain controllers {_names(pair)} both in wave {wave}, order {order}"
            yield plan_rules.PARTNERS.finding(text, pair[0])


def _are_partners(one: PlanRow, other: PlanRow) -> bool:
    mine, theirs = ({group.casefold() for group in row.groups} for row in (one, other))
    shared = mine & theirs
    told = any(kind_of(group) in _APART for group in shared)
    return not told and (bool(shared) or not (mine and theirs))


def _windows(going: Iterable[PlanRow], now: datetime | None) -> Iterator[Finding]:
    known: dict[str, bool] = {}
    for row in going:
        if not row.window:
            continue
        try:
            if row.window not in known:
                window = parse_window(row.window)
                known[row.window] = now is None or next(window.openings(now), None) is not None
        except WindowError as problem:
            yield plan_rules.WINDOW.finding(f"{row.window!r} {problem}", row)
            continue
        if not known[row.window]:
            yield plan_rules.WINDOW.finding(f"{row.window!r} does not come again", row)


def apart(rows: Sequence[PlanRow]) -> list[PlanRow]:
    """The rows with an `order` that lets no two partners of a group go at once; the first of them keep theirs."""
    taken: dict[str, set[tuple[int, int]]] = defaultdict(set)
    made = []
    for row in rows:
        keys = teams(row)
        order = row.order
        if not row.exclude:
            while any((row.wave, order) in taken[key] for key in keys):
                order += 1
            for key in keys:
                taken[key].add((row.wave, order))
        made.append(row if order == row.order else _moved(row, order))
    return made


def _moved(row: PlanRow, order: int) -> PlanRow:
    why = f"order: {order}, never at once with its partners"
    return replace(row, order=order, comment=" | ".join(part for part in (row.comment, why) if part))


def _places(rows: Iterable[PlanRow]) -> str:
    waves: dict[int, list[PlanRow]] = defaultdict(list)
    for row in rows:
        waves[row.wave].append(row)
    return "; ".join(f"wave {wave}: {_names(waves[wave])}" for wave in sorted(waves))


def _names(rows: Iterable[PlanRow]) -> str:
    names = [row.machine_name or row.machine_id for row in rows]
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
