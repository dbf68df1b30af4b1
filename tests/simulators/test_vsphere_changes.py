# SPDX-License-Identifier: Apache-2.0
"""Changed block tracking of the stand-in for vSphere."""

from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim, vmodl

from tests.vsphere_estate import MIB, Factory, disks_in, finished, patterned, service_of
from v2x.simulators.vsphere import VsphereSimulator, events
from v2x.simulators.vsphere.disks.guest import GuestDisk
from v2x.simulators.vsphere.store import Entity
from v2x.simulators.vsphere.writer import GuestWriter

BLOCK = 64 * 1024


class Tracked:
    """A machine with one disk, and the calls a mover makes."""

    def __init__(self, simulator: VsphereSimulator, entity: Entity) -> None:
        self.simulator, self.entity = simulator, entity
        self.machine = vim.VirtualMachine(entity.moid, service_of(simulator)._stub)
        self.disk: GuestDisk = simulator.disks(entity)[2000]

    def snapshot(self) -> tuple[Any, str]:
        taken = finished(self.machine.CreateSnapshot_Task("s", "", False, False))
        return taken, disks_in(taken.config)[0].backing.changeId

    def areas(self, snapshot: Any, change_id: str) -> list[tuple[int, int]]:
        found, start, size = [], 0, self.disk.size_bytes
        while start < size:
            told = self.machine.QueryChangedDiskAreas(snapshot, 2000, start, change_id)
            assert told.startOffset == start
            assert told.length > 0
            found += [(a.start, a.length) for a in told.changedArea]
            start = told.startOffset + told.length
        return found


@pytest.fixture
def tracked(vcenter: VsphereSimulator, tmp_path: Path) -> Tracked:
    image = patterned(tmp_path / "image.raw", 4 * MIB)
    return Tracked(vcenter, vcenter.add_vm("one", image, power="poweredOn", tracking=True))


def test_everything_allocated_then_what_was_written_since(tracked: Tracked) -> None:
    first, id_one = tracked.snapshot()
    assert tracked.areas(first, "*") == [(n * BLOCK, BLOCK) for n in range(0, 64, 4)]
    tracked.disk.write(7 * BLOCK + 512, b"x" * 4096)
    tracked.disk.zero(20 * BLOCK, BLOCK)
    tracked.disk.write(31 * BLOCK, b"y" * BLOCK * 2)
    second, id_two = tracked.snapshot()
    assert tracked.areas(second, id_one) == [(7 * BLOCK, BLOCK), (20 * BLOCK, BLOCK), (31 * BLOCK, 2 * BLOCK)]
    assert tracked.areas(second, id_two) == []
    tracked.disk.write(0, b"z" * 512)
    third, _ = tracked.snapshot()
    assert tracked.areas(third, id_two) == [(0, BLOCK)]
    assert (0, BLOCK) in tracked.areas(third, id_one)
    assert (0, BLOCK) not in tracked.areas(second, id_one), "what came after the snapshot is not in it"


def test_pages_may_be_empty_and_cover_the_disk(tracked: Tracked) -> None:
    first, change_id = tracked.snapshot()
    for block in (1, 2, 40, 41, 63):
        tracked.disk.write(block * BLOCK, b"x" * 512)
    second, _ = tracked.snapshot()
    whole = tracked.areas(second, change_id)
    tracked.simulator.settings.changes_span = MIB
    told = tracked.machine.QueryChangedDiskAreas(second, 2000, MIB, change_id)
    assert (told.length, len(told.changedArea)) == (MIB, 0)
    assert tracked.areas(second, change_id) == whole
    tracked.simulator.settings.changes_span = 100_000
    tracked.simulator.settings.changes_areas = 1
    pages = tracked.areas(second, change_id)
    assert sum(length for _, length in pages) == sum(length for _, length in whole)
    assert tracked.areas(first, "*")[0][0] == 0


@pytest.mark.parametrize("seed", range(5))
def test_deltas_rebuild_the_disk(tracked: Tracked, seed: int) -> None:
    writer = GuestWriter(tracked.disk, seed=seed)
    snapshot, change_id = tracked.snapshot()
    copy = bytearray(tracked.disk.size_bytes)
    layer = tracked.simulator.state.store.find(snapshot._moId).values["_layers"][2000]
    for start, length in tracked.areas(snapshot, "*"):
        copy[start : start + length] = tracked.disk.read(start, length, layer)
    for _ in range(3):
        for _ in range(10):
            writer.step()
        following, next_id = tracked.snapshot()
        layer = tracked.simulator.state.store.find(following._moId).values["_layers"][2000]
        for start, length in tracked.areas(following, change_id):
            copy[start : start + length] = tracked.disk.read(start, length, layer)
        assert bytes(copy) == tracked.disk.read(0, len(copy), layer)
        finished(snapshot.RemoveSnapshot_Task(False))
        snapshot, change_id = following, next_id
    assert bytes(copy) == tracked.disk.read(0, len(copy))


def test_the_wrong_questions(tracked: Tracked) -> None:
    snapshot, change_id = tracked.snapshot()
    ask = tracked.machine.QueryChangedDiskAreas
    for start in (tracked.disk.size_bytes, -1):
        with pytest.raises(vmodl.fault.InvalidArgument) as refused:
            ask(snapshot, 2000, start, change_id)
        assert refused.value.invalidProperty == "startOffset"
    with pytest.raises(vmodl.fault.InvalidArgument) as refused:
        ask(snapshot, 2001, 0, change_id)
    assert refused.value.invalidProperty == "deviceKey"
    for unknown in ("", "nonsense", change_id.replace("/1", "/99"), "00 00/1"):
        with pytest.raises(vim.fault.FileFault):
            ask(snapshot, 2000, 0, unknown)
    tracked.simulator.faults.arm("changes_unknown", target="one")
    with pytest.raises(vim.fault.FileFault):
        ask(snapshot, 2000, 0, change_id)
    assert ask(snapshot, 2000, 0, change_id).changedArea == []


def test_enabling_takes_effect_at_the_next_stun(vcenter: VsphereSimulator, tmp_path: Path) -> None:
    image = patterned(tmp_path / "image.raw", MIB)
    tracked = Tracked(vcenter, vcenter.add_vm("late", image, power="poweredOn"))
    before, none = tracked.snapshot()
    assert none is None
    with pytest.raises(vim.fault.FileFault):
        tracked.machine.QueryChangedDiskAreas(before, 2000, 0, "*")
    enable = vim.vm.ConfigSpec(changeTrackingEnabled=True)
    with pytest.raises(vim.fault.InvalidState, match="snapshots"):
        tracked.machine.ReconfigVM_Task(enable)
    finished(before.RemoveSnapshot_Task(False))
    finished(tracked.machine.ReconfigVM_Task(enable))
    assert tracked.machine.config.changeTrackingEnabled
    assert disks_in(tracked.machine.config)[0].backing.changeId is None, "nothing was stunned yet"
    taken, change_id = tracked.snapshot()
    assert change_id.endswith("/1")
    assert tracked.areas(taken, "*")
    finished(taken.RemoveSnapshot_Task(False))
    finished(tracked.machine.ReconfigVM_Task(vim.vm.ConfigSpec(changeTrackingEnabled=False)))
    _, none = tracked.snapshot()
    assert none is None


def test_old_hardware_cannot_track(vcenter: VsphereSimulator) -> None:
    tracked = Tracked(vcenter, vcenter.add_vm("old", hardware="vmx-04"))
    with pytest.raises(vmodl.fault.NotSupported):
        tracked.machine.ReconfigVM_Task(vim.vm.ConfigSpec(changeTrackingEnabled=True))


def test_a_reset_begins_another_history(tracked: Tracked) -> None:
    _, change_id = tracked.snapshot()
    events.reset_tracking(tracked.simulator.state, tracked.entity)
    later, other = tracked.snapshot()
    assert other.partition("/")[0] != change_id.partition("/")[0]
    with pytest.raises(vim.fault.FileFault):
        tracked.machine.QueryChangedDiskAreas(later, 2000, 0, change_id)


def test_a_host_reboot_resets_tracking_of_what_ran(tracked: Tracked) -> None:
    _, change_id = tracked.snapshot()
    state = tracked.simulator.state
    host = state.store.get(tracked.entity.values["runtime"].host)
    events.host_down(state, host)
    with pytest.raises(vmodl.fault.HostNotReachable):
        tracked.machine.QueryChangedDiskAreas(None, 2000, 0, change_id)
    events.host_up(state, host)
    assert tracked.machine.runtime.powerState == "poweredOff"
    later, other = tracked.snapshot()
    assert other.partition("/")[0] != change_id.partition("/")[0]
    assert tracked.areas(later, "*")


def test_allocated_areas_can_lie(tracked: Tracked) -> None:
    snapshot, _ = tracked.snapshot()
    honest = tracked.areas(snapshot, "*")
    tracked.simulator.faults.arm("changes_lie", target="one", times=-1)
    assert len(tracked.areas(snapshot, "*")) == len(honest) // 2


def test_growth_is_a_change(tracked: Tracked) -> None:
    snapshot, change_id = tracked.snapshot()
    finished(snapshot.RemoveSnapshot_Task(False))
    size = tracked.disk.size_bytes
    device = disks_in(tracked.machine.config)[0]
    device.capacityInBytes = size + 2 * MIB
    device.capacityInKB = device.capacityInBytes // 1024
    change = vim.vm.device.VirtualDeviceSpec(operation="edit", device=device)
    finished(tracked.machine.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[change])))
    assert disks_in(tracked.machine.config)[0].capacityInBytes == size + 2 * MIB
    later, _ = tracked.snapshot()
    assert tracked.areas(later, change_id) == [(size, 2 * MIB)]
    with pytest.raises(vim.fault.InvalidDeviceOperation):
        device.capacityInBytes += MIB
        tracked.machine.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[change]))


def test_a_writer_grows_its_disk_between_snapshots(tracked: Tracked) -> None:
    size = tracked.disk.size_bytes
    [writer] = tracked.simulator.start_writing(tracked.entity, seed=2, per_second=0, grow_to=size + 3 * MIB)
    while tracked.disk.size_bytes < size + 3 * MIB:
        writer.step()
    assert disks_in(tracked.machine.config)[0].capacityInBytes == size + 3 * MIB
    snapshot, _ = tracked.snapshot()
    assert disks_in(snapshot.config)[0].capacityInBytes == size + 3 * MIB
    with pytest.raises(ValueError, match="snapshot"):
        events.grow(tracked.simulator.state, tracked.entity, 2000, size + 4 * MIB)


def test_a_writer_keeps_writing(simulated_vsphere: Factory, tmp_path: Path) -> None:
    simulator = simulated_vsphere(estate="empty")
    machine = simulator.add_vm("busy", patterned(tmp_path / "image.raw", MIB), power="poweredOn", tracking=True)
    [writer] = simulator.start_writing(machine, seed=4, per_second=500)
    while writer.steps < 50:
        pass
    simulator.stop_writing(machine)
    assert simulator.disks(machine)[2000].guest_writes == writer.steps
    assert simulator.untouched() == []
