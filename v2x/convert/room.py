# SPDX-License-Identifier: Apache-2.0
"""Room in the guest's file systems for rebuilt initial RAM disks: measured before anything is changed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from v2x.convert.interface import FileCopy, GuestFiles, MeasuredGuest, Proposal, Remark
from v2x.errors import InputRefused
from v2x.model.units import MIB, show_bytes

_SPARE_BYTES = 8 * MIB
_UNPACKED = 5
"""How many times larger than the image its files are, which the guest's tool collects in /var/tmp."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """A file system of the guest with too little room."""

    mount_point: str
    needed_bytes: int
    free_bytes: int

    @property
    def remark(self) -> Remark:
        return Remark(text=f"the conversion would be refused: {self}", remedy=REMEDY)

    def __str__(self) -> str:
        needed, free = show_bytes(self.needed_bytes), show_bytes(self.free_bytes)
        return f"{self.mount_point} in the guest has {free} free, rebuilding its initial RAM disks takes {needed}"


REMEDY = "make room there in the guest, by removing old kernels for example"


def shortages(guest: GuestFiles, proposal: Proposal) -> Iterator[Shortage]:
    """The file systems that are too full; none where nothing is rebuilt, or where nothing can be measured.

    Beside each image its old one is kept, and one at a time is written anew beside the image that it replaces.
    """
    if not isinstance(guest, MeasuredGuest):
        return
    copies = [copy for command in proposal.commands for copy in command.copies]
    images = {copy.path: guest.size_bytes(copy.path) for copy in copies}
    new = [copy for copy in copies if not guest.exists(copy.to)]
    needed: dict[str, int] = {}
    free: dict[str, int] = {}
    for folder, wanted in _wanted(images, new).items():
        point, left = guest.free_bytes(folder)
        needed[point] = needed.get(point, 0) + wanted
        free[point] = left
    for point, wanted in needed.items():
        if wanted > free[point]:
            yield Shortage(mount_point=point, needed_bytes=wanted, free_bytes=free[point])


def refuse_shortage(guest: GuestFiles, proposal: Proposal) -> None:
    """InputRefused GUEST-ROOM, with the numbers."""
    for shortage in shortages(guest, proposal):
        raise InputRefused(str(shortage), hint=REMEDY, code="GUEST-ROOM")


def _wanted(images: Mapping[str, int], new: Sequence[FileCopy]) -> dict[str, int]:
    """Folder to the bytes that are written to it. `images` are those that are rebuilt, with their sizes."""
    if not images:
        return {}
    largest = max(images.values())
    wanted = {"/var/tmp": largest * _UNPACKED + _SPARE_BYTES}  # noqa: S108  # nosec B108  # the guest's
    for folder in {path.rpartition("/")[0] for path in images}:
        kept = sum(images[copy.path] for copy in new if copy.to.rpartition("/")[0] == folder)
        wanted[folder] = kept + largest + _SPARE_BYTES
    return wanted
