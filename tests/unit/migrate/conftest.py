# SPDX-License-Identifier: Apache-2.0
"""A source and a target in memory, with every effect counted."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from v2x.disks.extent import Extent, joined
from v2x.disks.stream.feed import BLOCK_BYTES
from v2x.errors import Retry, TargetError
from v2x.migrate.observe import Silent
from v2x.migrate.work import Work
from v2x.model.inventory import Inventory, SourceInfo
from v2x.model.machine import Cpu, Disk, DiskBus, DiskFormat, Firmware, Machine, Memory
from v2x.model.migration import VerifyLevel
from v2x.model.target import SecureBoot, TargetDisk, TargetFacts, TargetMachine, UsedMac
from v2x.sources.interface import Checkpoint
from v2x.target.interface import Claim, ClaimedDisk
from v2x.target.keeping import Moment, NotKept

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def is_filled(data) -> bool:
    """Whether any byte is not zero; one comparison, where `any` would take each byte by itself."""
    return bytes(data) != bytes(len(data))


class MemoryReader:
    def __init__(self, data: bytes | bytearray) -> None:
        self.data = data
        self.size = len(data)
        self.block = BLOCK_BYTES
        self.closed = 0
        self.fail_at: int | None = None

    def read_into(self, offset, buffer):
        if offset + len(buffer) > self.size:
            raise ValueError("beyond the end")
        if self.fail_at is not None and offset >= self.fail_at:
            raise OSError("broken")
        buffer[:] = self.data[offset : offset + len(buffer)]

    def extents(self, start, length):
        step = 65536
        parts = (
            Extent(at, min(step, start + length - at), is_filled(self.data[at : min(at + step, start + length)]))
            for at in range(start, start + length, step)
        )
        return joined(parts)

    def clone(self):
        return MemoryReader(self.data)

    def close(self):
        self.closed += 1


class MemorySource:
    def __init__(self, machine: Machine, content: dict[str, bytes]) -> None:
        self.machine = machine
        self.content = content
        self.points = dict.fromkeys(content, "p1")
        self.released: list[str] = []
        self.readers: list[MemoryReader] = []
        self.fail_at: int | None = None

    def inventory(self, select=None):
        return Inventory(source=SourceInfo(kind="memory", address="m"), taken_at=NOW, machines=(self.machine,))

    def checkpoint(self, machine, tag):
        return Checkpoint(tag=tag, machine_id=machine.id, points=dict(self.points))

    def reader(self, machine, disk, at):
        reader = MemoryReader(self.content[disk.id])
        reader.fail_at = self.fail_at
        self.readers.append(reader)
        return reader

    def release(self, machine, tag):
        self.released.append(tag)

    def close(self): ...


@dataclass
class Vdi:
    id: str
    data: bytearray
    mark: int = 0
    point: str = ""


@dataclass
class MemoryTarget:
    """Marks every `segment` blocks; `lose` holds block numbers at which an upload breaks, once each."""

    segment: int = 2
    lose: list[int] = field(default_factory=list)
    corrupt: list[int] = field(default_factory=list)
    sent: list[tuple[str, int]] = field(default_factory=list)
    vdis: dict[str, Vdi] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    macs: tuple[UsedMac, ...] = ()
    calls: list[str] = field(default_factory=list)
    made: int = 0

    def facts(self):
        names = (*self.names, *(claim.name for claim in self.claims.values()))
        return TargetFacts(kind="memory", address="m", taken_at=NOW, machine_names=names, macs=self.macs)

    def find(self, tag):
        claim = self.claims.get(tag)
        return self._current(claim) if claim else None

    def _current(self, claim):
        disks = tuple(
            replace(disk, mark_bytes=self.vdis[disk.id].mark, point=self.vdis[disk.id].point) for disk in claim.disks
        )
        return replace(claim, disks=disks)

    def _vdi(self, size):
        self.made += 1
        vdi = Vdi(f"vdi{self.made}", bytearray(-(-size // BLOCK_BYTES) * BLOCK_BYTES))
        self.vdis[vdi.id] = vdi
        return vdi

    def claim(self, spec, tag):
        self.calls.append("claim")
        if tag not in self.claims:
            disks = []
            for disk in spec.disks:
                vdi = self._vdi(disk.size_bytes)
                disks.append(ClaimedDisk(source_disk=disk.source_disk, id=vdi.id, size_bytes=len(vdi.data)))
            self.claims[tag] = Claim(tag=tag, id="vm", name=f"[v2x] {spec.name}", disks=tuple(disks), fresh=True)
        return self._current(self.claims[tag])

    def remake(self, claim, disk):
        self.calls.append("remake")
        del self.vdis[disk.id]
        vdi = self._vdi(disk.size_bytes)
        fresh = ClaimedDisk(source_disk=disk.source_disk, id=vdi.id, size_bytes=disk.size_bytes)
        disks = tuple(fresh if one.source_disk == disk.source_disk else one for one in claim.disks)
        self.claims[claim.tag] = replace(claim, disks=disks)
        return fresh

    def writer(self, claim, disk, blocks, point):
        return MemoryWriter(self, self.vdis[disk.id], list(blocks), point)

    def reader(self, claim, disk):
        return MemoryReader(self.vdis[disk.id].data)

    def seal(self, claim, spec):
        self.calls.append("seal")
        self.claims[claim.tag] = replace(claim, sealed=True, name=spec.name)

    def discard(self, claim):
        self.calls.append("discard")
        for disk in claim.disks:
            self.vdis.pop(disk.id, None)
        self.claims.pop(claim.tag, None)

    def start(self, claim):
        self.calls.append("start")

    def close(self):
        self.calls.append("close")


class PatchedTarget(MemoryTarget):
    """A target whose disks can be patched; `whole` are source disks on storage that cannot."""

    whole = ()

    def takes_patches(self, claim, disk):
        return disk.source_disk not in self.whole

    def patcher(self, claim, disk, blocks, areas=None):
        assert self.takes_patches(claim, disk)
        assert disk.point == self.vdis[disk.id].point, "a patch goes to a disk of the point that is known of it"
        return MemoryWriter(self, self.vdis[disk.id], list(blocks), disk.point, areas)

    def advance(self, claim, disk, point):
        self.calls.append("advance")
        vdi = self.vdis[disk.id]
        vdi.mark, vdi.point = len(vdi.data), point
        return replace(disk, point=point, mark_bytes=vdi.mark)

    def resize(self, claim, disk, size_bytes):
        raise AssertionError("nothing grows here")


@dataclass
class KeepingTarget(PatchedTarget):
    """One that keeps disks too: `kept` has (moment, point, mark, content) by source disk, the newest last."""

    kept: dict[str, list[tuple]] = field(default_factory=dict)
    thick: tuple[str, ...] = ()
    refuses: str = ""

    def remember(self, claim, disk, moment, room_bytes):
        if disk.source_disk in self.thick:
            return False
        if self.refuses:
            raise NotKept(self.refuses)
        vdi, kept = self.vdis[disk.id], self.kept.setdefault(disk.source_disk, [])
        if moment is Moment.DELTA and kept:
            return True
        if any(one[:2] == (moment, vdi.point) for one in kept):
            return True
        self.calls.append(f"remember {moment}")
        kept[:] = [one for one in kept if one[0] is not moment]
        kept.append((moment, vdi.point, vdi.mark, bytes(vdi.data)))
        return True

    def go_back(self, claim, disk, point=""):
        found = [one for one in self.kept.get(disk.source_disk, ()) if point in ("", one[1])]
        if not found:
            return None
        if self.refuses:
            raise NotKept(self.refuses)
        self.calls.append("go back")
        _, kept_point, mark, data = found[-1]
        held = self.claims[claim.tag]
        old = next(one for one in held.disks if one.source_disk == disk.source_disk)
        del self.vdis[old.id]
        vdi = self._vdi(len(data))
        vdi.data[:], vdi.mark, vdi.point = data, mark, kept_point
        made = replace(old, id=vdi.id, mark_bytes=mark, point=kept_point)
        self.claims[claim.tag] = replace(held, disks=tuple(made if one is old else one for one in held.disks))
        return made

    def remake(self, claim, disk):
        self.kept.pop(disk.source_disk, None)
        return super().remake(claim, self._current(self.claims[claim.tag]).disks[self._place(claim, disk)])

    def _place(self, claim, disk):
        return [one.source_disk for one in claim.disks].index(disk.source_disk)

    def seal(self, claim, spec):
        self.kept.clear()
        super().seal(claim, spec)


class MemoryWriter:
    def __init__(self, target, vdi, blocks, point, areas=None):
        self.target, self.vdi, self.blocks, self.point, self.areas = target, vdi, blocks, point, areas
        self.block = BLOCK_BYTES
        self.sent_bytes = 0
        self.segments = 0
        self.waiting = 0

    def write(self, number, data):
        assert number == self.blocks.pop(0), "blocks come as announced"
        if number in self.target.lose:
            self.target.lose.remove(number)
            raise TargetError("upload lost", code="SEGMENT-LOST", retry=Retry.NOW)
        data = bytes(data)
        if number in self.target.corrupt:
            self.target.corrupt.remove(number)
            data = b"\xff" + data[1:]
        parts = [(0, len(data))] if self.areas is None else self.areas.parts(number, len(data))
        for offset, length in parts:
            at = number * BLOCK_BYTES + offset
            self.vdi.data[at : at + length] = data[offset : offset + length]
        self.target.sent.append((self.vdi.id, number))
        self.sent_bytes += len(data)
        self.waiting += 1
        if self.waiting == self.target.segment:
            self._mark((number + 1) * BLOCK_BYTES)

    def _mark(self, mark):
        self.vdi.mark, self.vdi.point = mark, self.point
        self.segments += 1
        self.waiting = 0

    def commit(self):
        assert not self.blocks
        self._mark(len(self.vdi.data))
        return self.vdi.mark

    def abort(self): ...


def content(blocks: dict[int, int], size: int) -> bytes:
    data = bytearray(size)
    for number, value in blocks.items():
        end = min(size, (number + 1) * BLOCK_BYTES)
        data[number * BLOCK_BYTES : end] = bytes([value]) * (end - number * BLOCK_BYTES)
    return bytes(data)


def machine_with(contents: dict[str, bytes]) -> Machine:
    disks = tuple(
        Disk(
            id=name, label=name, position=index, bus=DiskBus.SCSI, controller=0, unit=index,
            capacity_bytes=len(data), format=DiskFormat.RAW,
        )
        for index, (name, data) in enumerate(contents.items())
    )  # fmt: skip
    return Machine(
        id="m1", name="web", cpu=Cpu(count=1), memory=Memory(size_bytes=2**30), firmware=Firmware.BIOS, disks=disks
    )


def spec_of(machine: Machine) -> TargetMachine:
    disks = tuple(
        TargetDisk(
            source_disk=disk.id, name=disk.label, description="", sr="sr", size_bytes=disk.capacity_bytes,
            device=str(disk.position),
        )
        for disk in machine.disks
    )  # fmt: skip
    return TargetMachine(
        source_id=machine.id, name=machine.name, description="", firmware=machine.firmware,
        secure_boot=SecureBoot.FALSE, vtpm=False, vcpus=1, memory_bytes=2**30, platform={}, boot_order="cd",
        template="t", disks=disks,
    )  # fmt: skip


@pytest.fixture
def world():
    """A machine of two disks, its source, a target, and a factory of works."""

    class World:
        def __init__(self):
            self.contents = {
                "a": content({0: 1, 1: 2, 3: 3, 9: 4}, 10 * BLOCK_BYTES - 512),
                "b": content({2: 5}, 5 * BLOCK_BYTES),
            }
            self.machine = machine_with(self.contents)
            self.source = MemorySource(self.machine, dict(self.contents))
            self.target = MemoryTarget()
            self.spec = spec_of(self.machine)

        def work(self, **changes):
            changes.setdefault("verify", VerifyLevel.FULL)
            return Work(
                tag="tag", machine=self.machine, spec=self.spec, source=self.source, target=self.target,
                observer=changes.pop("observer", Silent()), **changes,
            )  # fmt: skip

        def identical(self):
            for disk in self.target.find("tag").disks:
                data = self.source.content[disk.source_disk]
                held = bytes(self.target.vdis[disk.id].data)
                assert held[: len(data)] == data
                assert not any(held[len(data) :])

    return World()
