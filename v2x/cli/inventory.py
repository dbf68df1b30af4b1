# SPDX-License-Identifier: Apache-2.0
"""`v2x inventory`: lists the machines of a source, or writes the script that lists those of a Hyper-V host."""

from pathlib import Path
from typing import Annotated

import typer

from v2x.cli.options import Given, shared


@shared(source=True)
def inventory(
    given: Given,
    source: Annotated[str | None, typer.Argument(metavar="SOURCE", help="address, path or alias of the source")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="write the inventory as JSON")] = None,
    select: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="only machines whose name or id matches; repeatable")
    ] = None,
    collector: Annotated[
        bool, typer.Option("--collector", help="write the script to run on a Hyper-V host instead (-o collect.ps1)")
    ] = False,
    jea: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="write the files of a JEA endpoint for Hyper-V hosts into this folder instead"
        ),
    ] = None,
    jea_power: Annotated[
        bool, typer.Option("--jea-power", help="let that endpoint shut machines down and start them, too")
    ] = False,
) -> None:
    """Lists the machines of a source and what is known of them; reads only."""
    from v2x.errors import UsageError

    if collector or jea is not None:
        if source is not None:
            raise UsageError("--collector and --jea take no SOURCE", hint="the files are the same for every host")
        _write_scripts(given, output, jea, power=jea_power)
        return
    if source is None:
        raise UsageError("no source", hint="give a path, hyperv://USER@HOST, or an alias of v2x.toml")
    _list(given, source, output, select)


def _write_scripts(given: Given, output: Path | None, jea: Path | None, *, power: bool) -> None:
    """The collector goes to stdout without a file; a JEA endpoint is several files."""
    from v2x.cli import show
    from v2x.sources.hyperv.scripts import COLLECT, endpoint_files

    if jea is None:
        if output is None:
            show.raw(COLLECT.text.encode())
            return
        # Windows PowerShell takes a file without a byte order mark for one of the host's code page.
        show.save(output, b"\xef\xbb\xbf" + COLLECT.text.replace("\n", "\r\n").encode())
        show.note(f"run it there: .\\{output.name} -OutFile inventory.json", quiet=given.quiet)
        return
    jea.mkdir(parents=True, exist_ok=True)
    for name, text in endpoint_files(power=power).items():
        show.save(jea / name, b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    show.note(f"written to {jea}; v2x.pssc says how to register the endpoint", quiet=given.quiet)


def _list(given: Given, source: str, output: Path | None, select: list[str] | None) -> None:
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
