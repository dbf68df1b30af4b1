# SPDX-License-Identifier: Apache-2.0
"""`v2x cleanup`: what earlier runs left, by tag."""

from typing import Annotated

import typer

from v2x.cli.options import Given, shared


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
    from v2x.target.interface import Leftovers
    from v2x.text import plural, printable

    if source is None and target is None:
        raise UsageError("nothing to look at", hint="add --target or --source")
    app = build(given)
    rows: list[dict[str, object]] = []
    if source is not None:
        # A file source keeps nothing of ours; opening it still says when the address is wrong.
        app.inventory(app.endpoint("source", source))
    if target is not None:
        opened = app.open_target(app.endpoint("target", target))
        try:
            for claim in opened.leftovers() if isinstance(opened, Leftovers) else ():
                if yes:
                    opened.discard(claim)
                rows.append({"name": claim.name, "tag": claim.tag, "disks": len(claim.disks), "removed": yes})
        finally:
            opened.close()
    if given.json:
        show.document("v2x.cleanup/1", {"leftovers": rows})
        return
    for row in rows:
        done = "removed" if yes else "left over"
        show.result(f"{done}: {printable(str(row['name']))} ({row['tag']}, {plural(int(str(row['disks'])), 'disk')})")
    if not rows:
        show.result("nothing is left over")
    elif not yes:
        show.result("add --yes to remove them; v2x migrate would continue them instead")
