# SPDX-License-Identifier: Apache-2.0
"""What `v2x convert` does: opens a disk by its given format and writes it natively."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from v2x.cli.options import Given
from v2x.disks.bytesource import FileSource
from v2x.disks.export import copy_to_file
from v2x.disks.interface import DiskReader
from v2x.disks.listing import FolderListing
from v2x.errors import UsageError
from v2x.model.machine import DiskFormat, Machine

_EXTENSIONS = {
    ".vmdk": DiskFormat.VMDK,
    ".vhd": DiskFormat.VHD,
    ".vpc": DiskFormat.VHD,
    ".vhdx": DiskFormat.VHDX,
    ".avhdx": DiskFormat.VHDX,
    ".qcow2": DiskFormat.QCOW2,
    ".raw": DiskFormat.RAW,
    ".img": DiskFormat.RAW,
    ".bin": DiskFormat.RAW,
}
_APPLIANCES = (".ova", ".ovf", ".vmx")
_OUTPUTS = {".vhd": DiskFormat.VHD, ".qcow2": DiskFormat.QCOW2, ".raw": DiskFormat.RAW, ".img": DiskFormat.RAW}


def convert_disk(
    given: Given, source: Path, output: Path, source_format: str | None, disk: str | None, *, compare: bool
) -> dict[str, Any]:
    """Writes one disk; returns what was done."""
    target = _OUTPUTS.get(output.suffix.lower())
    if target is None:
        raise UsageError(f"cannot write {output.suffix or output.name}", hint="OUT ends in .vhd, .qcow2, .raw or .xva")
    begun = time.monotonic()
    with _opened(source, source_format, disk) as (reader, kind):
        with _bar(given, reader.size, output.name) as progress:
            copy_to_file(reader, output, target, progress=progress)
        size = reader.size
    if compare:
        _compare(source, kind, output, target)
    return {
        "input": str(source),
        "format": kind,
        "output": str(output),
        "output_format": target.value,
        "size_bytes": size,
        "file_bytes": output.stat().st_blocks * 512,
        "seconds": round(time.monotonic() - begun, 2),
        "compared": compare,
    }


def convert_appliance(given: Given, source: Path, output: Path) -> dict[str, Any]:
    """Writes an XVA from an appliance through the same steps as a migration."""
    from v2x.cli.build import build
    from v2x.cli.running import run_plan
    from v2x.cli.single import Choices, single_plan
    from v2x.errors import V2xError
    from v2x.target.archive import file_name

    folder = output.parent
    app = build(given)
    plan, findings = single_plan(app, Choices(source=str(source), target=f"xva:{folder}", name=output.stem))
    begun = time.monotonic()
    finished = run_plan(app, given, plan, findings)
    (migration,) = finished.report.migrations
    if migration.failure is not None:
        error = V2xError(migration.failure.message, code=migration.failure.code, hint=migration.failure.hint)
        error.exit_code = migration.failure.exit_code
        raise error
    made = folder / f"{file_name(migration.target_name)}.xva"
    if made != output:
        made.replace(output)
    return {
        "input": str(source),
        "output": str(output),
        "machine": migration.machine_name,
        "disks": len(migration.disks),
        "file_bytes": output.stat().st_size,
        "seconds": round(time.monotonic() - begun, 2),
    }


@contextmanager
def _opened(source: Path, source_format: str | None, disk: str | None) -> Iterator[tuple[DiskReader, str]]:
    if source_format is None and source.suffix.lower() in _APPLIANCES:
        with _from_appliance(source, disk) as reader:
            yield reader, source.suffix.lower().lstrip(".")
        return
    kind = _format(source, source_format)
    reader = open_disk(source, kind)
    try:
        yield reader, kind.value
    finally:
        reader.close()


def open_disk(path: Path, kind: DiskFormat) -> DiskReader:
    """Opens a disk file of a given format; natively where v2x has a reader, else through qemu-nbd."""
    if not path.is_file():
        raise UsageError(f"{path} is not a file", hint="give a disk image")
    if kind is DiskFormat.RAW:
        from v2x.disks.raw import RawReader

        return RawReader(FileSource.open(path))
    if kind is DiskFormat.VMDK:
        from v2x.disks.vmdk import open_vmdk

        return open_vmdk(FolderListing(path.parent), path.name)
    from v2x.disks.nbd import open_through_qemu

    return open_through_qemu(path, kind)


@contextmanager
def _from_appliance(source: Path, wanted: str | None) -> Iterator[DiskReader]:
    from v2x.sources import open_source

    opened = open_source(str(source.resolve()))
    try:
        inventory = opened.inventory()
        if len(inventory.machines) != 1:
            raise UsageError(f"{source.name} holds {len(inventory.machines)} machines", hint="give it as .xva instead")
        machine = inventory.machines[0]
        disk = _disk(machine, wanted)
        reader = opened.reader(machine, disk, opened.checkpoint(machine, "v2x-convert"))
        try:
            yield reader
        finally:
            reader.close()
    finally:
        opened.close()


def _disk(machine: Machine, wanted: str | None) -> Any:
    found = [one for one in machine.disks if wanted in {None, one.id, one.label, str(one.position)}]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"{one.position} ({one.label})" for one in machine.disks)
    raise UsageError(f"{machine.name} has {len(machine.disks)} disks", hint=f"choose one with --disk: {names}")


def _format(source: Path, given: str | None) -> DiskFormat:
    if given is not None:
        try:
            return DiskFormat(given.lower())
        except ValueError:
            known = ", ".join(DiskFormat)
            raise UsageError(f"unknown format {given}", hint=f"formats are {known}") from None
    kind = _EXTENSIONS.get(source.suffix.lower())
    if kind is None:
        raise UsageError(f"the extension of {source.name} does not tell its format", hint="add --from FORMAT")
    return kind


def _compare(source: Path, kind: str, output: Path, target: DiskFormat) -> None:
    from v2x.disks import qemu_img
    from v2x.errors import BadImage

    if kind not in set(DiskFormat):
        raise UsageError("--compare works for a disk file, not for an appliance", hint="convert its disk file")
    differs = qemu_img.compare(source, DiskFormat(kind), output, target)
    if differs is not None:
        raise BadImage(f"{output} differs from {source} at byte {differs:,}", hint="please report this")


@contextmanager
def _bar(given: Given, size_bytes: int, name: str) -> Iterator[Any]:
    import sys

    from tqdm import tqdm

    silent = given.quiet or not sys.stderr.isatty()
    with tqdm(total=size_bytes, unit="B", unit_scale=True, unit_divisor=1024, desc=name, disable=silent) as bar:
        yield bar.update
