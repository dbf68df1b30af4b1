# SPDX-License-Identifier: Apache-2.0
"""Warm migration from Hyper-V: passes over files that checkpoints froze, and at last over a machine that is off.

A point of a disk is `CHECKPOINT+DIGEST`: the id of the newest checkpoint of ours below it, and what its files say of
their writes. What changed since a point is what the files above that checkpoint's hold, which may be a little more: a
point of a machine that was off, and ran again, is older than it says, never newer.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from v2x.disks.extent import Extent
from v2x.errors import SourceError
from v2x.model.machine import Disk, DiskBacking, Machine, PowerState
from v2x.model.units import show_bytes
from v2x.sources.hyperv.checkpoints import Checkpoints, HostCheckpoint
from v2x.sources.hyperv.shares import ShareDisks
from v2x.sources.interface import Checkpoint, TrackingLost

MOST_CHECKPOINTS = 3
"""More of ours a machine never has, however often passes break off: the newest is read again then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What one freeze stands on: the disks with the files that are read, and their stamps."""

    disks: dict[str, Disk]
    at: Checkpoint


class Passes:
    """Freezes machines and tells what changed. `points` stamps disks, waiting for files that are being let go of."""

    def __init__(
        self,
        checkpoints: Checkpoints,
        now: Callable[[Machine], Machine],
        shares_of: Callable[[Machine], ShareDisks],
        near: Callable[[Machine], tuple[str, ...]],
        points: Callable[[Machine], dict[str, str]],
    ) -> None:
        self._checkpoints = checkpoints
        self._now = now
        self._shares_of = shares_of
        self._near = near
        self._points = points
        self._held: dict[str, Held] = {}

    def freeze(self, machine: Machine, tag: str) -> Checkpoint:
        """A new checkpoint of a machine that runs; none of one that is off, whose files are looked at."""
        ours = self._checkpoints.of(machine, tag)
        now = self._now(machine)
        if now.power_state is not PowerState.OFF:
            if len(ours) < MOST_CHECKPOINTS:
                ours.append(self._checkpoints.make(machine, tag, ours[-1].number + 1 if ours else 1))
                now = self._now(machine)
            now = _frozen(now, ours[-1])
        stamps = self._points(now)
        self._held[machine.id] = Held(
            disks={disk.id: disk for disk in now.disks},
            at=Checkpoint(tag=tag, machine_id=machine.id, points=stamps),
        )
        base = ours[-1].id if ours else ""
        points = {disk: f"{base}+{hashlib.sha256(stamp.encode()).hexdigest()[:32]}" for disk, stamp in stamps.items()}
        left = ours[-1].name if ours else ""
        return Checkpoint(tag=tag, machine_id=machine.id, points=points, left=left)

    def held(self, machine: Machine, disk: Disk, at: Checkpoint) -> tuple[Disk, Checkpoint]:
        """The disk as `at` froze it, and its stamps; the arguments where `at` is no pass of ours."""
        known = self._held.get(machine.id)
        if known is None or known.at.tag != at.tag or disk.id not in known.disks:
            return disk, at
        return known.disks[disk.id], known.at

    def frozen(self, machine: Machine, at: Checkpoint) -> bool:
        """Whether `at` is the pass that is under way."""
        known = self._held.get(machine.id)
        return known is not None and known.at.tag == at.tag

    def changed(self, machine: Machine, disk: Disk, since: str, at: Checkpoint) -> Iterator[Extent]:
        """What the files above the one that `since` froze hold. TrackingLost where that checkpoint is gone."""
        frozen, stamps = self.held(machine, disk, at)
        wanted = since.partition("+")[0]
        before = next((one for one in self._checkpoints.of(machine, at.tag) if one.id == wanted), None)
        path = before.frozen.get(disk.id, "").casefold() if before else ""
        paths = [one.casefold() for one in frozen.files]
        if path not in paths:
            raise TrackingLost(
                f"{disk.label} of {machine.name}: the checkpoint of its last pass is gone",
                hint="leave checkpoints whose names begin with v2x to v2x",
            )
        above = paths.index(path)
        if above == 0:
            return iter(())
        with self._shares_of(machine).chain(machine, frozen, stamps, self._near(machine)) as chain:
            return iter(chain.held_above(above))

    def thaw(self, machine: Machine, tag: str) -> None:
        """After a pass that is through: the checkpoints of those before it are not needed any more."""
        self._checkpoints.drop(machine, self._checkpoints.of(machine, tag)[:-1])

    def release(self, machine: Machine, tag: str) -> None:
        self._held.pop(machine.id, None)
        self._checkpoints.drop(machine, self._checkpoints.of(machine, tag))


def _frozen(machine: Machine, checkpoint: HostCheckpoint) -> Machine:
    """The machine with the files that the checkpoint froze, without those above it."""
    return replace(machine, disks=tuple(_below(machine, disk, checkpoint) for disk in machine.disks))


def _below(machine: Machine, disk: Disk, checkpoint: HostCheckpoint) -> Disk:
    if disk.backing is DiskBacking.EMPTY:
        return disk
    path = checkpoint.frozen.get(disk.id, "").casefold()
    paths = [one.casefold() for one in disk.files]
    if path not in paths:
        raise SourceError(
            f"disk {disk.label} of {machine.name} ({show_bytes(disk.capacity_bytes)}) is not in the checkpoint "
            f"{checkpoint.name}",
            code="SOURCE-CHANGED",
            hint="disks that are in no checkpoint (pass-through, shared) are migrated cold",
        )
    return replace(disk, files=disk.files[paths.index(path) :])
