# SPDX-License-Identifier: Apache-2.0
"""The disks that a stored configuration names, found by name below its folder or on the host's shares."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from v2x.errors import InputRefused
from v2x.model.inventory import SourceProblem
from v2x.model.machine import Disk, DiskBacking, DiskFormat, Other
from v2x.sources.hyperv.config_machine import Drive
from v2x.sources.hyperv.tree import TreeListing
from v2x.sources.images import describe_image, with_facts

if TYPE_CHECKING:
    from v2x.sources.hyperv.shares import ShareDisks


_FORMATS: Final[dict[str, DiskFormat | Other]] = {
    "vhdx": DiskFormat.VHDX,
    "avhdx": DiskFormat.VHDX,
    "vhd": DiskFormat.VHD,
    "avhd": DiskFormat.VHD,
    "vhds": Other("vhds"),
}
_NO_DISKS: Final = frozenset({"NONE", "ISO", "VFD"})


class DiskFinder:
    """Finds disks below one folder; `problems` tells what is missing or not readable."""

    def __init__(self, listing: TreeListing, subject: str, shares: "ShareDisks | None") -> None:
        self.listing = listing
        self.problems: list[SourceProblem] = []
        self._subject = subject
        self._shares = shares

    def disks(self, drives: Iterable[Drive]) -> Iterator[Disk]:
        """In the order of the drives, which is the order that generation 1 boots in."""
        wanted = [one for one in drives if one.kind not in _NO_DISKS]
        for position, drive in enumerate(wanted):
            yield self._disk(drive, position)

    def _disk(self, drive: Drive, position: int) -> Disk:
        kind = format_of(drive.path)
        disk = Disk(
            id=drive.id,
            label=drive.id,
            position=position,
            bus=drive.bus,
            controller=drive.controller,
            unit=drive.unit,
            capacity_bytes=0,
            format=kind,
            files=(drive.path,) if drive.path else (),
            datastore=volume_of(drive.path),
            shared=drive.shared or isinstance(kind, Other),
        )
        if drive.kind != "VHD":
            # A disk of the host itself: its path describes it, and is no file.
            return replace(disk, backing=DiskBacking.RAW_DEVICE, format=DiskFormat.RAW, files=(), datastore="")
        if not drive.path:
            return replace(disk, backing=DiskBacking.MISSING)
        name = drive.path.replace("\\", "/").rpartition("/")[2]
        found = self.listing.named(name)
        if len(found) == 1:
            return self._local(disk, found[0])
        if found:
            self._note(disk, "AMBIGUOUS-DISK", f"{len(found)} files are named {name}: keep the machine's own one")
            return replace(disk, backing=DiskBacking.MISSING)
        if self._shares is not None and self._shares.reaches(drive.path):
            disk, problem = self._shares.described(disk)
            if problem:
                self._note(disk, "BAD-DISK", problem)
            return disk
        self._note(disk, "MISSING-DISK", f"{name} is not below the folder; copy it there, or give --share")
        return replace(disk, backing=DiskBacking.MISSING)

    def _local(self, disk: Disk, name: str) -> Disk:
        disk = replace(disk, files=(name,))
        try:
            facts = describe_image(self.listing, [name], disk.format)
        except InputRefused as problem:
            self._note(disk, problem.code, problem.message)
            return disk
        if facts is None:
            return disk
        if facts.problem:
            self._note(disk, "BAD-DISK", facts.problem)
        return with_facts(disk, facts, facts.chain)

    def _note(self, disk: Disk, code: str, text: str) -> None:
        self.problems.append(SourceProblem(subject=self._subject, code=code, text=f"disk {disk.label}: {text}"))


def format_of(path: str) -> DiskFormat | Other:
    """The format by the name's extension, which Hyper-V itself goes by."""
    suffix = path.rpartition(".")[2].lower()
    return _FORMATS.get(suffix) or Other(suffix[:40])


def volume_of(path: str) -> str:
    r"""The volume that a Windows path is on: `D:`, `C:\ClusterStorage\Volume1` or `\\server\share`."""
    parts = path.replace("/", "\\").split("\\")
    if path.startswith("\\\\"):
        return "\\\\" + "\\".join(parts[2:4])
    if len(parts) > 3 and parts[1].lower() == "clusterstorage":
        return "\\".join(parts[:3])
    return parts[0].upper() if len(parts[0]) == 2 and parts[0].endswith(":") else ""
