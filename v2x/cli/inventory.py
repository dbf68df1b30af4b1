# SPDX-License-Identifier: Apache-2.0
"""`v2x inventory`: lists the machines of a source."""

from pathlib import Path
from typing import Annotated

import typer

from v2x.cli.options import Given, shared


@shared(source=True)
def inventory(
    given: Given,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="address, path or alias of the source")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="write the inventory as JSON")] = None,
    select: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="only machines whose name or id matches; repeatable")
    ] = None,
) -> None:
    """Lists machines."""
    from v2x.cli import show
    from v2x.cli.build import build, selection
    from v2x.model.codec import to_json
    from v2x.model.units import show_bytes
    from v2x.text import plural, printable

    app = build(given)
    found = app.inventory(app.endpoint("source", source), selection(select))
    if output is not None:
        show.save(output, to_json(found))
        show.note(f"{plural(len(found.machines), 'machine')} written to {output}", quiet=given.quiet)
    if given.json:
        show.raw(to_json(found))
    elif output is None:
        lines = []
        for machine in found.machines:
            lines.append(
                f"{printable(machine.name, 40):40} {machine.power_state:9} {machine.cpu.count:3} vCPU "
                f"{show_bytes(machine.memory.size_bytes):>9} {plural(len(machine.disks), 'disk')}, "
                f"{show_bytes(machine.capacity_bytes)}, {plural(len(machine.nics), 'NIC')}, {machine.firmware}"
            )
        show.result("\n".join(lines) or "no machines")
    for problem in found.problems:
        show.note(f"warning: {printable(problem.subject)}: {printable(problem.text, 1000)} [{problem.code}]")
    if found.problems and not found.machines:
        from v2x.errors import InputRefused

        first = found.problems[0]
        raise InputRefused(f"{first.subject}: {first.text}", code=first.code)
