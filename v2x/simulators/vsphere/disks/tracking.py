# SPDX-License-Identifier: Apache-2.0
"""Changed block tracking of one disk: which 64 KiB blocks were written between two points in time.

A change id is `UUID/number`; the number grows at each snapshot. Enabling takes effect when the machine is stunned next,
which a snapshot does. Another UUID means that the history before is gone.
"""

import uuid as uuid_module
from collections.abc import Iterator

BLOCK_BYTES = 64 * 1024


def spaced_uuid() -> str:
    """A UUID as ESXi prints it: pairs of digits, with a hyphen in the middle."""
    pairs = uuid_module.uuid4().hex
    spaced = " ".join(pairs[i : i + 2] for i in range(0, 32, 2))
    return f"{spaced[:23]}-{spaced[24:]}"


class UnknownChange(Exception):
    """The change id is not of this disk's history."""


class Tracker:
    """The history of one disk; whoever calls holds the disk's lock."""

    def __init__(self) -> None:
        self.wanted = False
        self.active = False
        self.uuid = spaced_uuid()
        self.number = 1
        self._changed: dict[int, set[int]] = {1: set()}

    @property
    def change_id(self) -> str:
        """The id of now; "" when nothing is tracked."""
        return f"{self.uuid}/{self.number}" if self.active else ""

    def stun(self) -> None:
        """What was asked for takes effect."""
        if self.wanted and not self.active:
            self.reset()
            self.active = True
        elif not self.wanted:
            self.active = False

    def reset(self) -> None:
        """A new history."""
        self.uuid, self.number, self._changed = spaced_uuid(), 1, {1: set()}

    def wrote(self, offset: int, length: int) -> None:
        if self.active and length:
            self._changed[self.number].update(range(offset // BLOCK_BYTES, -(-(offset + length) // BLOCK_BYTES)))

    def mark(self) -> str:
        """Ends a span of the history, as a snapshot does; the id of the point reached."""
        point = self.change_id
        self.number += 1
        self._changed[self.number] = set()
        return point

    def since(self, change_id: str, until: str) -> Iterator[tuple[int, int]]:
        """Start and length of what changed after `change_id` and up to the point `until`, ascending.

        Raises UnknownChange where the id is malformed, of another history, or later than the point.
        """
        first, last = self._number(change_id), self._number(until)
        if first > last:
            raise UnknownChange(change_id)
        blocks: set[int] = set()
        for number in range(first + 1, last + 1):
            blocks |= self._changed.get(number, set())
        start = end = -1
        for block in sorted(blocks):
            if block != end:
                if end > start:
                    yield start * BLOCK_BYTES, (end - start) * BLOCK_BYTES
                start = block
            end = block + 1
        if end > start:
            yield start * BLOCK_BYTES, (end - start) * BLOCK_BYTES

    def _number(self, change_id: str) -> int:
        uuid, _, number = change_id.rpartition("/")
        if uuid != self.uuid or not number.isdigit() or not 0 < int(number) <= self.number:
            raise UnknownChange(change_id)
        return int(number)
