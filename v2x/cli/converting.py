# SPDX-License-Identifier: Apache-2.0
"""What `v2x convert` does: opens a disk by its given format and writes it natively."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from v2x.cli.options import Given
from v2x.convert.interface import GuestWishes
from v2x.disks.bytesource import FileSource
from v2x.disks.export import copy_to_file
from v2x.disks.interface import DiskReader
from v2x.disks.listing import FolderListing
from v2x.errors import UsageError
from v2x.model.codec import to_plain
from v2x.model.machine import Disk, DiskFormat, Machine
from v2x.model.plan import GuestConversion
from v2x.text import printable

if TYPE_CHECKING:
    from v2x.sources.interface import Source

_EXTENSIONS = {
    ".vmdk": DiskFormat.VMDK,
    ".vhd": DiskFormat.VHD,
    ".avhd": DiskFormat.VHD,
    ".vpc": DiskFormat.VHD,
    ".vhdx": DiskFormat.VHDX,
    ".avhdx": DiskFormat.VHDX,
    ".qcow2": DiskFormat.QCOW2,
    ".raw": DiskFormat.RAW,
    ".img": DiskFormat.RAW,
    ".bin": DiskFormat.RAW,
}
_APPLIANCES = (".ova", ".ovf", ".vmx")
OUTPUTS = {".vhd": DiskFormat.VHD, ".qcow2": DiskFormat.QCOW2, ".raw": DiskFormat.RAW, ".img": DiskFormat.RAW}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be converted, as it was asked for."""

    source: Path
    source_format: str | None = None
    disk: str | None = None
    force: bool = False
    compare: bool = False
    native_4k: bool = False
    guest: GuestWishes = field(default_factory=GuestWishes)

    @property
    def is_appliance(self) -> bool:
        return self.source_format is None and self.source.suffix.lower() in _APPLIANCES


def convert_disk(given: Given, wish: Wish, output: Path, *, qemu: bool) -> dict[str, Any]:
    """Writes one disk; returns what was done."""
    target = OUTPUTS.get(output.suffix.lower())
    if target is None:
        raise UsageError(f"cannot write {output.suffix or output.name}", hint="OUT ends in .vhd, .qcow2, .raw or .xva")
    if wish.is_appliance and (qemu or wish.compare):
        raise UsageError("qemu-img reads disk files, not appliances", hint="leave out --tool and --compare")
    begun = time.monotonic()
    if qemu:
        size = _with_qemu(given, wish, output, target)
    else:
        with opened_disk(wish) as reader:
            size = reader.size
            with progress_bar(given, size, output.name) as progress:
                copy_to_file(reader, output, target, progress=progress, replace=wish.force)
    if wish.compare:
        _compare(wish, output, target)
    return {
        "input": str(wish.source),
        "output": str(output),
        "format": target.value,
        "size_bytes": size,
        "file_bytes": output.stat().st_blocks * 512,
        "seconds": round(time.monotonic() - begun, 2),
        "compared": wish.compare,
    }


def _with_qemu(given: Given, wish: Wish, output: Path, target: DiskFormat) -> int:
    from v2x.disks import qemu_img

    kind = _format(wish)
    size = qemu_img.inspect(wish.source, kind).virtual_size_bytes
    done = 0
    with progress_bar(given, size, output.name) as progress:

        def advance(fraction: float) -> None:
            nonlocal done
            progress(int(fraction * size) - done)
            done = int(fraction * size)

        qemu_img.convert(wish.source, kind, output, target, progress=advance, replace=wish.force)
    return size


def describe_disk(wish: Wish) -> dict[str, Any]:
    """What a disk, or the chosen disk of an appliance, is: its size, and how much of it holds data."""
    with opened_disk(wish) as reader:
        data = sum(extent.length for extent in reader.extents(0, reader.size) if extent.data)
        return {"input": str(wish.source), "size_bytes": reader.size, "data_bytes": data}


def serve_disk(given: Given, wish: Wish, path: Path) -> None:
    """Offers one disk by NBD until Ctrl-C or SIGTERM; a read that fails is told at once.

    Raises the first problem at the end, so that the exit code tells of it.
    """
    import json
    import signal
    import threading

    from v2x.cli import show
    from v2x.disks.serve import DiskExport

    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    with (
        opened_disk(wish) as reader,
        DiskExport(reader, path=path, on_problem=lambda problem: show.note(printable(problem.message, 1000))) as export,
    ):
        if given.json:
            show.result(json.dumps({"uri": export.uri, "socket": str(export.path), "size_bytes": reader.size}))
        else:
            show.result(f"uri   {export.uri}\nsize  {reader.size}\n\ntry: nbdinfo '{export.uri}'\n\nCtrl-C ends it.")
        done.wait()
        if export.problem is not None:
            raise export.problem


def convert_appliance(given: Given, wish: Wish, output: Path, *, convert_guest: bool) -> dict[str, Any]:
    """Writes an XVA from an appliance through the same steps as a migration, its guest put right where that is wished.

    What was changed in it is part of the answer for --json.
    """
    from v2x.cli.build import build
    from v2x.cli.running import failure_of, run_plan
    from v2x.cli.single import Choices, single_plan
    from v2x.target.archive import file_name

    if not wish.is_appliance:
        raise UsageError("an XVA is made from an appliance", hint="give an .ova, .ovf or .vmx")
    app = build(given)
    app.wishes = wish.guest
    choices = Choices(
        source=str(wish.source),
        target=f"xva:{output.parent}",
        name=output.stem,
        convert=GuestConversion.AUTO if convert_guest else GuestConversion.OFF,
    )
    plan, findings = single_plan(app, choices)
    begun = time.monotonic()
    finished = run_plan(app, given, plan, findings)
    (migration,) = finished.report.migrations
    if migration.failure is not None:
        raise failure_of(migration)
    made = output.parent / f"{file_name(migration.target_name)}.xva"
    if made != output:
        made.replace(output)
    return {
        "input": str(wish.source),
        "output": str(output),
        "machine": migration.machine_name,
        "disks": len(migration.disks),
        **({"changes": to_plain(migration.changes) if given.json else len(migration.changes)} if convert_guest else {}),
        "file_bytes": output.stat().st_size,
        "seconds": round(time.monotonic() - begun, 2),
    }


@contextmanager
def opened_disk(wish: Wish) -> Iterator[DiskReader]:
    if wish.is_appliance:
        with _from_appliance(wish.source, wish.disk) as reader:
            yield reader
        return
    reader = open_disk(wish.source, _format(wish), native_4k=wish.native_4k)
    try:
        yield reader
    finally:
        reader.close()


def open_disk(path: Path, kind: DiskFormat, *, native_4k: bool = False) -> DiskReader:
    """Opens a disk file of a given format; natively where v2x has a reader, else through qemu-nbd.

    `native_4k` reads a VHDX with sectors of 4096 bytes too, for who wants its bytes only.
    """
    if not path.is_file():
        raise UsageError(f"{path} is not a file", hint="give a disk image")
    if kind is DiskFormat.RAW:
        from v2x.disks.raw import RawReader

        return RawReader(FileSource.open(path))
    if kind is DiskFormat.VMDK:
        from v2x.disks.vmdk import open_vmdk

        return open_vmdk(FolderListing(path.parent), path.name)
    if kind is DiskFormat.VHD:
        from v2x.disks.vhd import open_vhd

        with closing(FolderListing(path.parent)) as listing:
            return open_vhd(listing, path.name)
    if kind is DiskFormat.VHDX:
        from v2x.disks.vhdx import open_vhdx

        with closing(FolderListing(path.parent)) as listing:
            return open_vhdx(listing, path.name, native_4k=native_4k)
    from v2x.sources.images import open_image

    with closing(FolderListing(path.parent)) as listing:
        return open_image(listing, [path.name], kind)


@contextmanager
def _from_appliance(source: Path, wanted: str | None) -> Iterator[DiskReader]:
    with only_machine(source) as (opened, machine):
        disk = chosen_disk(machine, wanted)
        with closing(opened.reader(machine, disk, opened.checkpoint(machine, "v2x-convert"))) as reader:
            yield reader


@contextmanager
def only_machine(source: Path) -> Iterator[tuple["Source", Machine]]:
    from v2x.sources import open_source

    with closing(open_source(str(source.resolve()))) as opened:
        inventory = opened.inventory()
        if len(inventory.machines) != 1:
            raise UsageError(f"{source.name} holds {len(inventory.machines)} machines", hint="give it as .xva instead")
        yield opened, inventory.machines[0]


def chosen_disk(machine: Machine, wanted: str | None) -> Disk:
    found = [one for one in machine.disks if wanted in {None, one.id, one.label, str(one.position)}]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"{one.position} ({one.label})" for one in machine.disks)
    raise UsageError(f"{machine.name} has {len(machine.disks)} disks", hint=f"choose one with --disk: {names}")


def _format(wish: Wish) -> DiskFormat:
    if wish.source_format is not None:
        try:
            return DiskFormat(wish.source_format.lower())
        except ValueError:
            raise UsageError(
                f"unknown format {wish.source_format}", hint=f"formats are {', '.join(DiskFormat)}"
            ) from None
    kind = _EXTENSIONS.get(wish.source.suffix.lower())
    if kind is None:
        raise UsageError(f"the extension of {wish.source.name} does not tell its format", hint="add --from FORMAT")
    return kind


def _compare(wish: Wish, output: Path, target: DiskFormat) -> None:
    from v2x.disks import qemu_img
    from v2x.errors import BadImage

    differs = qemu_img.compare(wish.source, _format(wish), output, target)
    if differs is not None:
        raise BadImage(f"{output} differs from {wish.source} at byte {differs:,}", hint="please report this")


@contextmanager
def progress_bar(given: Given, size_bytes: int, name: str) -> Iterator[Any]:
    import sys

    from tqdm import tqdm

    silent = given.quiet or not sys.stderr.isatty()
    with tqdm(total=size_bytes, unit="B", unit_scale=True, unit_divisor=1024, desc=name, disable=silent) as bar:
        yield bar.update
