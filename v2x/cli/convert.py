# SPDX-License-Identifier: Apache-2.0
"""`v2x convert`: a disk or appliance file, offline."""

from pathlib import Path
from typing import Annotated

import typer

from v2x.cli.options import Given, shared


@shared()
def convert(
    given: Given,
    source: Annotated[Path, typer.Argument(metavar="IN", help=".vmdk, .vhd, .vhdx, .qcow2, .raw, .img or .ova")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help=".vhd, .qcow2, .raw or, from an appliance, .xva")],
    source_format: Annotated[
        str | None, typer.Option("--from", metavar="FORMAT", help="format of IN where its extension does not say")
    ] = None,
    disk: Annotated[str | None, typer.Option(help="which disk of an appliance: id, label or number")] = None,
    compare: Annotated[bool, typer.Option("--compare", help="read both again with qemu-img and compare")] = False,
    force: Annotated[bool, typer.Option(help="overwrite OUT")] = False,
) -> None:
    """Converts a disk, or an appliance, from file to file; the format is given, never guessed."""
    from v2x.cli import show
    from v2x.cli.converting import convert_appliance, convert_disk
    from v2x.errors import UsageError

    if output.exists() and not force:
        raise UsageError(f"{output} exists", hint="choose another name, or --force to overwrite it")
    done = (
        convert_appliance(given, source, output)
        if output.suffix.lower() == ".xva"
        else convert_disk(given, source, output, source_format, disk, compare=compare)
    )
    if given.json:
        show.document("v2x.convert/1", done)
    else:
        show.result(" ".join(f"{name}={value}" for name, value in done.items()))
