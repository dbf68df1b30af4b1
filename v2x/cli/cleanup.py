# SPDX-License-Identifier: Apache-2.0
"""`v2x cleanup`: what earlier runs left, by tag."""

from typing import TYPE_CHECKING, Annotated

import typer

from v2x.cli.options import Given, shared

if TYPE_CHECKING:
    from datetime import datetime

    from v2x.app import App
    from v2x.target.interface import Target


@shared(source=True, target=True)
def cleanup(
    given: Given,
    source: Annotated[str | None, typer.Option(metavar="SOURCE", help="look for leftovers at this source")] = None,
    target: Annotated[str | None, typer.Option(metavar="TARGET", help="look for leftovers on this target")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="remove what is listed")] = False,
) -> None:
    """Lists what unfinished runs left, and with --yes removes it. Finished machines are never touched."""
    from v2x.cli import show
    from v2x.cli.build import build
    from v2x.errors import UsageError
    from v2x.scratch import sweep
    from v2x.target.interface import Leftovers
    from v2x.text import plural, printable

    if source is None and target is None:
        raise UsageError("neither a source nor a target is named", hint="add --target or --source")
    app = build(given)
    rows: list[dict[str, object]] = []
    if source is not None:
        rows += _at_source(app, source, remove=yes)
    if target is not None:
        opened = app.open_target(app.endpoint("target", target))
        try:
            rows += _test_copies(opened, app.now(), remove=yes)
            for claim in opened.leftovers() if isinstance(opened, Leftovers) else ():
                if yes:
                    opened.discard(claim)
                what = plural(len(claim.disks), "disk")
                if not claim.id and not claim.disks:
                    what = "snapshots of disks that are gone"
                rows.append(
                    {
                        "where": "target",
                        "name": claim.name,
                        "tag": claim.tag,
                        "what": what,
                        "disks": len(claim.disks),
                        "removed": yes,
                    }
                )
        finally:
            opened.close()
    if yes and (swept := sweep()):
        show.note(f"{plural(swept, 'temporary folder')} of runs that were killed here went too")
    if given.json:
        show.document("v2x.cleanup/1", {"leftovers": rows})
        return
    for row in rows:
        done = "removed" if yes else "left over"
        show.result(f"{done}: {printable(str(row['name']))} ({row['tag']}, {printable(str(row['what']))})")
    if not rows:
        show.result("nothing is left over")
    elif not yes:
        show.result("add --yes to remove them; v2x migrate would continue them instead")


def _test_copies(target: "Target", now: "datetime", *, remove: bool) -> list[dict[str, object]]:
    """Test copies whose time is over, or whose making was cut off. One that its operator may still want is left."""
    from v2x.cli import show
    from v2x.target.interface import Rehearses
    from v2x.text import plural

    if not isinstance(target, Rehearses):
        return []
    rows: list[dict[str, object]] = []
    tests = set()
    for one in target.rehearsals():
        if one.whole and one.until is not None and one.until > now:
            continue
        tests.add(one.id)
        if remove:
            target.end_rehearsal(one)
        why = f"test copy, its time was over at {one.until:%Y-%m-%d %H:%M} UTC" if one.whole and one.until else ""
        what = why or f"part of a test copy, {plural(len(one.disks), 'disk')}"
        rows.append({"where": "target", "name": one.name, "tag": one.tag, "what": what, "removed": remove})
    for test in sorted(tests) if remove else ():
        for said in target.strike(test):
            show.note(f"warning: {said}")
    return rows


def _at_source(app: "App", source: str, *, remove: bool) -> list[dict[str, object]]:
    """What runs left at the source. A file source keeps nothing; opening it still says if the address is wrong."""
    from v2x.cli import show
    from v2x.sources.interface import SourceLeftovers

    rows: list[dict[str, object]] = []
    opened = app.open_source(app.endpoint("source", source))
    try:
        for found in opened.leftovers() if isinstance(opened, SourceLeftovers) else ():
            for said in opened.remove(found) if remove and isinstance(opened, SourceLeftovers) else ():
                show.note(f"warning: {said}")
            what = f"{found.what} of {found.created}" if found.created else found.what
            row = {"where": "source", "name": found.machine, "tag": found.tag, "what": what, "removed": remove}
            rows.append(row)
    finally:
        opened.close()
    return rows
