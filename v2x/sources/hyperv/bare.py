# SPDX-License-Identifier: Apache-2.0
"""Disks without a configuration: a machine of the images in a folder, whose hardware the plan has to give.

Its vCPUs and memory are 0, which no plan accepts before somebody filled them in. The firmware is told from the first
disk's partition table where that tells it.
"""

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from v2x.disks.interface import DiskReader
from v2x.errors import V2xError
from v2x.model.inventory import SourceProblem
from v2x.model.machine import Cpu, Disk, DiskBus, Firmware, Machine, Memory, PowerState
from v2x.sources.hyperv.folder_disks import format_of
from v2x.sources.hyperv.partitions import firmware_of
from v2x.sources.hyperv.tree import IMAGES, TreeListing
from v2x.sources.images import ImageFacts, describe_image, open_image, with_facts

_NAMESPACE: Final = uuid.UUID("b1cf3d58-4a1e-5d53-9a55-0a7c5f6e2d10")
_DISK_FOLDERS: Final = frozenset({"virtual hard disks", "snapshots"})
HARDWARE: Final = "vcpus, memory"
"""The attribute `unknown` of such a machine begins with this."""


def bare_machines(folder: Path, files: Sequence[str]) -> Iterator[tuple[Machine, TreeListing, list[SourceProblem]]]:
    """One machine for each folder that holds images; those that are another one's parent are no disks of their own."""
    groups: dict[str, list[str]] = {}
    for path in files:
        if path.lower().endswith(IMAGES):
            groups.setdefault(_home(path), []).append(path)
    for home, paths in sorted(groups.items()):
        listing = TreeListing(folder, paths)
        name = home.rpartition("/")[2] or folder.resolve().name or "machine"
        beside = [path for path in files if path.lower().endswith(".json") and path.rpartition("/")[0] == home]
        yield _machine(listing, name, home, beside)


def _home(path: str) -> str:
    folders = path.split("/")[:-1]
    while folders and folders[-1].lower() in _DISK_FOLDERS:
        folders.pop()
    return "/".join(folders)


def _machine(
    listing: TreeListing, name: str, home: str, lists: Sequence[str]
) -> tuple[Machine, TreeListing, list[SourceProblem]]:
    problems: list[SourceProblem] = []
    facts: dict[str, ImageFacts] = {}
    for image in listing.names():
        try:
            found = describe_image(listing, [image], format_of(image))
        except V2xError as problem:
            problems.append(_note(image, problem.code, problem.message))
            continue
        if found is not None:
            facts[image] = found
            if found.problem:
                problems.append(_note(image, "BAD-DISK", found.problem))
    parents = {below for found in facts.values() for below in found.chain[1:]}
    disks = tuple(
        with_facts(_disk(image, position), facts[image], facts[image].chain)
        for position, image in enumerate(sorted((one for one in facts if one not in parents), key=str.lower))
    )
    firmware = _firmware(listing, disks)
    id = str(uuid.uuid5(_NAMESPACE, f"{home}\n" + "\n".join(sorted(disk.files[0] for disk in disks))))
    unknown = HARDWARE + ("" if firmware else ", firmware")
    collected = f"; if {lists[0]} was collected on its host, give that file as the source" if lists else ""
    text = f"no configuration of {name} is here; give it {unknown}, and its NICs{collected}"
    problems.append(_note(home or name, "HARDWARE-UNKNOWN", text))
    machine = Machine(
        id=id,
        name=name,
        cpu=Cpu(count=0),
        memory=Memory(size_bytes=0),
        firmware=firmware or Firmware.BIOS,
        firmware_stated=firmware is not None,
        power_state=PowerState.UNKNOWN,
        disks=disks,
        folder=home,
        attributes={"unknown": unknown},
    )
    return machine, listing, problems


def _disk(name: str, position: int) -> Disk:
    return Disk(
        id=f"disk{position}",
        label=name,
        position=position,
        bus=DiskBus.UNKNOWN,
        controller=0,
        unit=position,
        capacity_bytes=0,
        format=format_of(name),
        files=(name,),
    )


def _firmware(listing: TreeListing, disks: Sequence[Disk]) -> Firmware | None:
    """What the first disk that tells one was set up for."""
    for disk in disks:
        reader: DiskReader | None = None
        try:
            reader = open_image(listing, disk.files, disk.format)
            found = firmware_of(reader)
        except V2xError:
            continue
        finally:
            if reader is not None:
                reader.close()
        if found is not None:
            return found
    return None


def _note(subject: str, code: str, text: str) -> SourceProblem:
    return SourceProblem(subject=subject, code=code, text=text)
