# SPDX-License-Identifier: Apache-2.0
"""Chains of disks: what a snapshot or clone puts below both of its ends, and how long that may get.

The driver refuses to branch a disk whose chain is as long as it takes, and shortens chains when branches go: a node
with one branch left is merged with it, here at once (sm vhdutil.py, cleanup.py).
"""

from v2x.simulators.xapi.failure import ApiError

MOST = 30


def joined(one: bytes, other: bytes) -> bytes:
    """The blocks (one byte each, 1 where it is there) that are in either."""
    length = max(len(one), len(other))
    both = int.from_bytes(one.ljust(length, b"\0"), "big") | int.from_bytes(other.ljust(length, b"\0"), "big")
    return both.to_bytes(length, "big")


class Chains:
    """The nodes below the disks of a pool, by the uuid of the disk or the number of the node.

    A node holds the blocks that its disk had paid for when it was branched; all branches read them from there.
    """

    def __init__(self) -> None:
        self._below: dict[str | int, int] = {}
        self._held: dict[int, bytes] = {}
        self._last = 0

    def length(self, disk: str) -> int:
        """The disk itself, and all nodes below it."""
        return 1 + len(self._nodes(disk))

    def _nodes(self, disk: str) -> list[int]:
        found, at = list[int](), self._below.get(disk)
        while at is not None:
            found.append(at)
            at = self._below.get(at)
        return found

    def check(self, disk: str) -> None:
        """SR_BACKEND_FAILURE_109 where the disk cannot be branched again."""
        if self.length(disk) >= MOST:
            raise ApiError("SR_BACKEND_FAILURE_109", "", "The snapshot chain is too long", "")

    def branch(self, disk: str, made: str, held: bytes) -> None:
        """`made` is a snapshot or clone of `disk`: the blocks that `disk` `held` are in a node below both now."""
        self._last += 1
        node, below = self._last, self._below.get(disk)
        self._below[disk] = self._below[made] = node
        self._held[node] = held
        if below is not None:
            self._below[node] = below

    def paid_by(self, disk: str) -> bytes:
        """The blocks of nodes that a record of this disk has to tell of, as the first of those that share them."""
        found = b""
        for node in self._nodes(disk):
            if disk == min(other for other in self.sharing(node)):
                found = joined(found, self._held[node])
        return found

    def sharing(self, node: int | None) -> list[str]:
        """The disks that have the node in their chain."""
        if node is None:
            return []
        return [one for one in self._below if isinstance(one, str) and node in self._nodes(one)]

    def below(self, disk: str) -> int | None:
        return self._below.get(disk)

    def remove(self, disk: str) -> tuple[bytes, str, bytes]:
        """The disk is gone; the node below it is merged with its last branch, or goes as well.

        The blocks of the node that went, and, where they are a disk's own from now on, which and what it is given.
        """
        node = self._below.pop(disk, None)
        if node is None:
            return b"", "", b""
        left = [one for one, below in self._below.items() if below == node]
        if len(left) > 1:
            return b"", "", b""
        freed, below = self._held.pop(node), self._below.pop(node, None)
        if not left:
            # A node is below two branches or more: one that loses its last is below nothing, and so is what it had.
            return freed, "", b""
        heir = left[0]
        del self._below[heir]
        if below is not None:
            self._below[heir] = below
        if isinstance(heir, str):
            return freed, heir, freed
        before = self._held[heir]
        self._held[heir] = joined(before, freed)
        # What both nodes held is held once now.
        return bytes(one & other for one, other in zip(before, freed, strict=False)), "", b""
