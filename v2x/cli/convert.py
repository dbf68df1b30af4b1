# SPDX-License-Identifier: Apache-2.0
"""`v2x convert`: a disk or appliance file, offline."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from v2x.cli.options import Given, shared


class Tool(StrEnum):
    NATIVE = "native"
    QEMU_IMG = "qemu-img"


@shared()
def convert(
    given: Given,
    source: Annotated[
        Path, typer.Argument(metavar="IN", help=".vmdk, .vhd, .vhdx, .qcow2, .raw, .img or an appliance")
    ],
    output: Annotated[
        Path | None, typer.Argument(metavar="OUT", help=".vhd, .qcow2, .raw or, from an appliance, .xva")
    ] = None,
    source_format: Annotated[
        str | None, typer.Option("--from", metavar="FORMAT", help="format of IN where its extension does not say")
    ] = None,
    disk: Annotated[str | None, typer.Option(help="which disk of an appliance: id, label or number")] = None,
    info: Annotated[bool, typer.Option("--info", help="say what IN is, convert nothing")] = False,
    tool: Annotated[Tool, typer.Option(help="v2x's own readers and writers, or qemu-img for both")] = Tool.NATIVE,
    compare: Annotated[bool, typer.Option("--compare", help="read both again with qemu-img and compare")] = False,
    native_4k: Annotated[
        bool, typer.Option("--large-sectors", help="copy the bytes of a VHDX with 4096-byte sectors; it boots nowhere")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="overwrite OUT")] = False,
    guest_plan: Annotated[
        bool, typer.Option("--guest-plan", help="say what the guest in IN needs changed for Xen, change nothing")
    ] = False,
    serve: Annotated[
        Path | None, typer.Option(metavar="SOCKET", help="offer IN read-only by NBD on this unix socket until Ctrl-C")
    ] = None,
) -> None:
    """Converts a disk, or an appliance, from file to file; the format is given, never guessed."""
    from v2x.cli import show
    from v2x.cli.converting import Wish, convert_appliance, convert_disk, describe_disk, serve_disk, show_guest_plan
    from v2x.errors import UsageError

    if native_4k and tool is Tool.QEMU_IMG:
        raise UsageError("qemu-img reads no disks with 4096-byte sectors", hint="leave out --tool")
    wish = Wish(
        source=source, source_format=source_format, disk=disk, force=force, compare=compare, native_4k=native_4k
    )
    if serve is not None or guest_plan:
        if info or output is not None or compare or tool is Tool.QEMU_IMG or (guest_plan and serve is not None):
            what = "--serve" if serve is not None else "--guest-plan"
            raise UsageError(f"{what} writes nothing", hint="leave out OUT, --info, --tool and --compare, or the other")
        if serve is not None:
            serve_disk(given, wish, serve)
        else:
            show_guest_plan(given, wish)
        return
    if info:
        done = describe_disk(wish)
    elif output is None:
        raise UsageError("OUT is missing", hint="name the file to write, or add --info")
    elif output.exists() and not force:
        raise UsageError(f"{output} exists", hint="choose another name, or --force to overwrite it")
    elif output.suffix.lower() == ".xva":
        done = convert_appliance(given, wish, output)
    else:
        done = convert_disk(given, wish, output, qemu=tool is Tool.QEMU_IMG)
    if given.json:
        show.document("v2x.convert/1", done)
    else:
        show.result("\n".join(f"{name:14} {value}" for name, value in done.items()))
