# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of a described host: each disk goes on in a new differencing file, and is merged back afterwards.

And the guest in it: what it writes lands in the file in use, sector by sector, as a host would keep it.
"""

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from v2x.simulators.hyperv.described import Checkpoint, Estate, Image, VirtualMachine
from v2x.simulators.hyperv.image import Stored, parent_entries, read_stored, write_vhdx

SECTOR = 512
Place = Callable[[str], Path]


class Checkpoints:
    """Makes and removes checkpoints of one estate's machines, as Checkpoint-VM and Remove-VMSnapshot do."""

    def __init__(self, estate: Estate, place: Place) -> None:
        self._estate = estate
        self._place = place

    def make(self, vm: VirtualMachine, name: str) -> Checkpoint:
        """Every disk gets a new file over the one that it had."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
        made = Checkpoint(id=str(uuid.uuid4()), name=name, parent=vm.current_checkpoint, created=now)
        for disk in vm.disks:
            made.disks.append(replace(disk))
            disk.path = self._over(disk.path)
        vm.checkpoints.append(made)
        vm.current_checkpoint = made.id
        return made

    def _over(self, parent: str) -> str:
        below = read_stored(self._place(parent))
        stem = parent.rpartition("\\")[2].rpartition(".")[0].partition("_")[0]
        path = f"{parent.rpartition(chr(92))[0]}\\{stem}_{str(uuid.uuid4()).upper()}.avhdx"
        write_vhdx(
            self._place(path),
            below.size,
            {},
            data_write=uuid.uuid4(),
            disk_id=below.disk_id,
            block=below.block,
            parent=parent_entries(parent, below.data_write),
        )
        known = self._estate.images[parent.lower()]
        self._estate.images[path.lower()] = Image(
            path=path, type="Differencing", size=below.size, parent=parent, identifier=known.identifier
        )
        return path

    def drop(self, vm: VirtualMachine, checkpoint: Checkpoint) -> None:
        """Takes the checkpoint away. What was written since goes into its files, which those above stand on then."""
        vm.checkpoints.remove(checkpoint)
        for later in vm.checkpoints:
            if later.parent == checkpoint.id:
                later.parent = checkpoint.parent
        if vm.current_checkpoint == checkpoint.id:
            vm.current_checkpoint = checkpoint.parent
        for frozen in checkpoint.disks:
            child = next(one for one in self._estate.images.values() if one.parent == frozen.path)
            self._merge(child.path, frozen.path)
            for disk in (*vm.disks, *(disk for held in vm.checkpoints for disk in held.disks)):
                if disk.path == child.path:
                    disk.path = frozen.path

    def _merge(self, upper: str, lower: str) -> None:
        child, parent = read_stored(self._place(upper)), read_stored(self._place(lower))
        for number in child.zeros:
            _forget(parent, number)
            parent.zeros.add(number)
        for number, data in child.blocks.items():
            _put(parent, number, data, child.sectors.get(number))
        parent.data_write = uuid.uuid4()
        parent.size = child.size
        parent.write(self._place(lower))
        self._estate.images[lower.lower()].size = child.size
        for image in self._estate.images.values():
            if image.parent == upper:
                image.parent = lower
                above = read_stored(self._place(image.path))
                above.parent = parent_entries(lower, parent.data_write)
                above.write(self._place(image.path))
        del self._estate.images[upper.lower()]
        self._place(upper).unlink()

    def write(self, path: str, offset: int, data: bytes) -> None:
        """The guest writes whole sectors to the disk whose file in use is `path`."""
        if offset % SECTOR or len(data) % SECTOR:
            raise ValueError("a guest writes whole sectors")
        found = read_stored(self._place(path))
        while data:
            number, inside = divmod(offset, found.block)
            piece = data[: found.block - inside]
            block = bytearray(found.block)
            block[inside : inside + len(piece)] = piece
            _put(found, number, block, _bits(found.block, inside // SECTOR, len(piece) // SECTOR))
            offset, data = offset + len(piece), data[len(piece) :]
        found.write(self._place(path))

    def trim(self, path: str, number: int) -> None:
        """The guest gives a whole block back, which reads as zeros from then on."""
        found = read_stored(self._place(path))
        _forget(found, number)
        found.zeros.add(number)
        found.write(self._place(path))

    def grow(self, vm: VirtualMachine, path: str, size: int) -> None:
        """Resize-VHD. A disk with checkpoints cannot be resized."""
        if (
            any(one.path == path for held in vm.checkpoints for one in held.disks)
            or self._estate.images[path.lower()].parent
        ):
            raise ValueError("a disk with checkpoints is not resized")
        found = read_stored(self._place(path))
        found.size = size
        found.write(self._place(path))
        self._estate.images[path.lower()].size = size


def _bits(block: int, first: int, count: int) -> bytearray:
    """A bitmap of one block: lowest bit first."""
    bits = bytearray(block // SECTOR // 8)
    for sector in range(first, first + count):
        bits[sector // 8] |= 1 << sector % 8
    return bits


def _forget(held: Stored, number: int) -> None:
    held.blocks.pop(number, None)
    held.sectors.pop(number, None)
    held.zeros.discard(number)


def _put(held: Stored, number: int, data: bytearray, some: bytearray | None) -> None:
    """Lays the sectors of `some`, or all, of a block over what is held of it."""
    full = bytearray(b"\xff" * (held.block // SECTOR // 8))
    wanted, was = some or full, number in held.blocks
    block = held.blocks.setdefault(number, bytearray(held.block))
    for sector in range(held.block // SECTOR):
        if wanted[sector // 8] >> sector % 8 & 1:
            block[sector * SECTOR : (sector + 1) * SECTOR] = data[sector * SECTOR : (sector + 1) * SECTOR]
    if not held.parent or number in held.zeros:
        before = full  # the rest of it are zeros of its own
    else:
        before = held.sectors.get(number, full) if was else bytearray(len(full))
    held.zeros.discard(number)
    together = bytearray(one | other for one, other in zip(before, wanted, strict=True))
    if together == full:
        held.sectors.pop(number, None)
    else:
        held.sectors[number] = together
