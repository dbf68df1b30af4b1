# SPDX-License-Identifier: Apache-2.0
"""What a target may offer beside: disks kept as they were at a moment, on the target itself."""

from enum import StrEnum
from typing import Protocol, runtime_checkable

from v2x.errors import TargetError
from v2x.target.interface import Claim, ClaimedDisk


class Moment(StrEnum):
    """What a disk is kept for."""

    DELTA = "delta"
    """The first copy, before anything is changed in it."""
    VERIFIED = "verified"
    GUEST = "guest"
    """The source's disk, before its guest's conversion is written over it."""


class NotKept(TargetError):
    """The target refuses to keep a disk, or to put it back. Nothing was changed."""

    code = "NOT-KEPT"


@runtime_checkable
class GoesBack(Protocol):
    """Targets that can keep a disk as it is, and put it back to that later without its source."""

    def remember(self, claim: Claim, disk: ClaimedDisk, moment: Moment, room_bytes: int) -> bool:
        """Keeps the disk before `moment`. What holds its point already is left; so is any, before the first delta.

        False where that would cost more than what is written after it. NotKept where it is refused, or less than
        `room_bytes` are free.
        """
        ...

    def go_back(self, claim: Claim, disk: ClaimedDisk, point: str = "") -> ClaimedDisk | None:
        """The disk as it was kept last, or last at `point`, in its place; its id is another one then.

        What was kept stays, until `seal`, `remake`, `resize`, `drop` or `discard`. None, and nothing changed, where
        there is none or somebody else has the disk. NotKept as above.
        """
        ...
