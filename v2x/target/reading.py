# SPDX-License-Identifier: Apache-2.0
"""What a target may offer beside ReadBack for disks to be compared."""

from typing import Protocol, runtime_checkable

from v2x.disks.interface import DiskReader
from v2x.target.interface import Claim, ClaimedDisk


@runtime_checkable
class Samples(Protocol):
    """Targets of whose disks single blocks can be read wherever they lie, at the cost of these blocks alone."""

    def samples(self, claim: Claim, disk: ClaimedDisk) -> bool:
        """Whether `sampler` would have a way; nothing is opened for it."""
        ...

    def sampler(self, claim: Claim, disk: ClaimedDisk) -> DiskReader | None:
        """None where the target offers no such way: nothing is changed there to have one.

        AccessError and SourceError where it offers one that does not work. TrustError where whoever answers there is
        not the target.
        """
        ...


@runtime_checkable
class TellsWay(Protocol):
    """Readers of a target's disks that tell by which way they read, once they have."""

    @property
    def over(self) -> str:
        """In words for a report: NBD, VHD export."""
        ...
