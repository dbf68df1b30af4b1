# SPDX-License-Identifier: Apache-2.0
"""Chains of disks: what a snapshot or clone puts below both of its ends, and how long that may get.

The driver refuses to branch a disk whose chain is as long as it takes, and shortens chains when branches go: a node
with one branch left is merged with it, here at once (sm vhdutil.py, cleanup.py).
"""

from v2x.simulators.xapi.failure import ApiError

MOST = 30


class Chains:
    """The nodes below the disks of a pool, by the uuid of the disk or the number of the node."""

    def __init__(self) -> None:
        self._below: dict[str | int, int] = {}
        self._last = 0

    def length(self, disk: str) -> int:
        """The disk itself, and all nodes below it."""
        found, at = 1, self._below.get(disk)
        while at is not None:
            found, at = found + 1, self._below.get(at)
        return found

    def check(self, disk: str) -> None:
        """SR_BACKEND_FAILURE_109 where the disk cannot be branched again."""
        if self.length(disk) >= MOST:
            raise ApiError("SR_BACKEND_FAILURE_109", "", "The snapshot chain is too long", "")

    def branch(self, disk: str, made: str) -> None:
        """`made` is a snapshot or clone of `disk`: what `disk` held is a node below both now."""
        self._last += 1
        node, below = self._last, self._below.get(disk)
        self._below[disk] = self._below[made] = node
        if below is not None:
            self._below[node] = below

    def remove(self, disk: str) -> None:
        """The disk is gone; the node below it is merged with its last branch, or goes as well."""
        node = self._below.pop(disk, None)
        if node is None:
            return
        left = [one for one, below in self._below.items() if below == node]
        if not left:
            self._below.pop(node, None)
        elif len(left) == 1:
            below = self._below.pop(node, None)
            del self._below[left[0]]
            if below is not None:
                self._below[left[0]] = below
