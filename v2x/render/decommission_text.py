# SPDX-License-Identifier: Apache-2.0
"""What may be retired at the sources, for a terminal or a ticket."""

from collections.abc import Iterator

from v2x.model.decommission import Decommission, Emptied, Retired
from v2x.model.units import show_bytes
from v2x.render.layout import NARROWEST, wrap
from v2x.render.words import show_time
from v2x.text import plural, printable

_HEAD = (
    "v2x never deletes a source. What is listed here is for people to look at and to retire by the source's own means; "
    "keep a backup of a machine for as long as your rules say."
)

_PLACES = ("host", "cluster", "folder")


def decommission_text(found: Decommission, *, width: int = 80) -> bytes:
    """Lines of at most `width` columns (no less than 40), UTF-8, with a trailing newline."""
    page = max(width, NARROWEST)
    lines = [f"What may be retired after batch {found.batch}"]
    lines += wrap(f"plan {found.plan_id}, made {show_time(found.made)}", page)
    lines += ["", *wrap(_HEAD, page)]
    for machine in found.machines:
        lines += _machine(machine, page)
    if not found.machines:
        lines += ["", *wrap("No machine is finalized yet: v2x batch finalize gives up the way back.", page)]
    if found.machines:
        lines += _datastores(found, page)
    if found.not_yet:
        lines += ["", f"Not yet ({plural(len(found.not_yet), 'machine')})"]
        for one in found.not_yet:
            lines += wrap(printable(f"{one.name}: {one.why}", 1000), page, first="  - ", rest="    ")
    return ("\n".join(lines) + "\n").encode()


def _machine(one: Retired, width: int) -> Iterator[str]:
    yield ""
    yield from wrap(printable(f"{one.name}: finalized, now {one.target_name}", 400), width)
    where = [one.source, one.machine_id, one.reference]
    where += [f"{word} {getattr(one, word)}" for word in _PLACES if getattr(one, word)]
    facts = [("Source", ", ".join(filter(None, where))), ("Change", one.change), ("Note", one.note)]
    for label, text in facts:
        if text:
            yield from wrap(f"{label}: {printable(text, 1000)}", width, first="  ", rest=" " * 6)
    for label, texts in (
        ("delete", one.files),
        ("snapshot", one.snapshots),
        ("backup", one.backups),
        ("DNS name", one.names),
        ("address", one.addresses),
        ("at the source", one.others),
        ("retire", one.todos),
        ("check", (one.checks,) if one.checks else ()),
    ):
        for text in texts:
            yield from wrap(f"{label}: {printable(text, 1000)}", width, first="  [ ] ", rest=" " * 8)


def _datastores(found: Decommission, width: int) -> Iterator[str]:
    yield ""
    yield "Datastores"
    if not found.datastores:
        gone = "not known: the plan's other half (plan.json) is not where the batch found it"
        yield from wrap("none that the source tells of" if found.listed else gone, width, first="  ")
        return
    for one in found.datastores:
        yield from wrap(printable(_datastore(one), 1000), width, first="  - ", rest="    ")
    for source, moment in found.listed.items():
        text = f"by the inventory of {source} of {show_time(moment)}: what it does not list (files of others, images, "
        yield from wrap(printable(f"{text}machines registered since) may lie there too", 1000), width, first="  ")


def _datastore(one: Emptied) -> str:
    if one.holders:
        names = ", ".join(one.holders[:8]) + (f" and {len(one.holders) - 8} more" if len(one.holders) > 8 else "")
        return f"{one.name}: keep; it holds {names}"
    text = f"{one.name}: nothing else of the inventory; empty once {', '.join(one.machines[:8])} "
    text += f"{'is' if len(one.machines) == 1 else 'are'} gone"
    if one.used_bytes is not None and one.used_bytes > one.known_bytes:
        rest = one.used_bytes - one.known_bytes
        text += f"; look first: {show_bytes(rest)} of the {show_bytes(one.used_bytes)} used are not these disks"
    return text
