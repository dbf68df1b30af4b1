# SPDX-License-Identifier: Apache-2.0
"""`v2x convert`: a disk or appliance file, offline."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from v2x.cli.options import Given, shared

if TYPE_CHECKING:
    from v2x.cli.converting import Wish


class Tool(StrEnum):
    NATIVE = "native"
    QEMU_IMG = "qemu-img"


@shared(guest=True)
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
    convert_guest: Annotated[
        bool,
        typer.Option("--convert-guest", help="put the guest in IN right for Xen on the way; IN is only read"),
    ] = False,
    guest_plan: Annotated[
        bool, typer.Option("--guest-plan", help="say what the guest in IN needs changed for Xen, change nothing")
    ] = False,
    serve: Annotated[
        Path | None, typer.Option(metavar="SOCKET", help="offer IN read-only by NBD on this unix socket until Ctrl-C")
    ] = None,
) -> None:
    """Converts a disk, or an appliance, from file to file; the format is given, never guessed."""
    from v2x.cli import show
    from v2x.cli.converting import Wish, convert_appliance, convert_disk, describe_disk
    from v2x.cli.guest_wishes import guest_wishes
    from v2x.config import GuestTable, load_config
    from v2x.errors import UsageError

    if native_4k and tool is Tool.QEMU_IMG:
        raise UsageError("qemu-img reads no disks with 4096-byte sectors", hint="leave out --tool")
    looks_inside = convert_guest or guest_plan
    table = load_config(given.config).guest if looks_inside else GuestTable()
    wish = Wish(
        source=source,
        source_format=source_format,
        disk=disk,
        force=force,
        compare=compare,
        native_4k=native_4k,
        guest=guest_wishes(given, table, converts=looks_inside, how="--convert-guest or --guest-plan"),
    )
    if serve is not None or guest_plan:
        if info or output is not None or convert_guest or compare or tool is Tool.QEMU_IMG or (serve and guest_plan):
            what = "--serve" if serve is not None else "--guest-plan"
            raise UsageError(
                f"{what} writes nothing", hint="leave out OUT and the other options beside --from and --disk"
            )
        _look(given, wish, serve)
        return
    if info:
        done = describe_disk(wish)
    elif output is None:
        raise UsageError("OUT is missing", hint="name the file to write, or add --info")
    elif output.exists() and not force:
        raise UsageError(f"{output} exists", hint="choose another name, or --force to overwrite it")
    elif convert_guest and output.suffix.lower() != ".xva":
        from v2x.cli.guest_conversion import convert_with_guest

        done = convert_with_guest(given, wish, output, qemu=tool is Tool.QEMU_IMG)
    elif output.suffix.lower() == ".xva":
        done = convert_appliance(given, wish, output, convert_guest=convert_guest)
    else:
        done = convert_disk(given, wish, output, qemu=tool is Tool.QEMU_IMG)
    if given.json:
        show.document("v2x.convert/1", done)
    else:
        show.result("\n".join(f"{name:14} {value}" for name, value in done.items()))


def _look(given: Given, wish: "Wish", serve: Path | None) -> None:
    if serve is not None:
        from v2x.cli.converting import serve_disk

        serve_disk(given, wish, serve)
    else:
        from v2x.cli.guest_conversion import show_guest_plan

        show_guest_plan(given, wish)
