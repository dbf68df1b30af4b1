# SPDX-License-Identifier: Apache-2.0
"""The disks of the stand-in for vSphere: chains of real files, which qemu-img reads too."""

import random
import subprocess
from pathlib import Path

import pytest
from pyVmomi import vim

from tests.vsphere_estate import MIB, Factory, disks_in, finished, patterned, service_of
from v2x.simulators.vsphere import DiskSpec, VsphereSimulator
from v2x.simulators.vsphere.disks.guest import GuestDisk
from v2x.simulators.vsphere.disks.stream import stream_optimized
from v2x.simulators.vsphere.writer import GuestWriter

SIZE = 6 * MIB + 512


class Model:
    """The disk as bytes in memory, changed alike."""

    def __init__(self, disk: GuestDisk, seed: int) -> None:
        self.disk, self.bytes, self.random = disk, bytearray(disk.size_bytes), random.Random(seed)

    def step(self, times: int = 1) -> None:
        for _ in range(times):
            start = self.random.randrange(len(self.bytes) // 512) * 512
            length = min(self.random.randrange(1, 200) * 512, len(self.bytes) - start)
            if self.random.random() < 0.3:
                self.disk.zero(start, length)
                self.bytes[start : start + length] = bytes(length)
            else:
                data = self.random.randbytes(length)
                self.disk.write(start, data)
                self.bytes[start : start + length] = data

    def check(self) -> None:
        assert self.disk.read(0, len(self.bytes)) == bytes(self.bytes)


def made(folder: Path, *, sparse: bool, thin: bool = True) -> GuestDisk:
    return GuestDisk(folder / "vm" / "vm.vmdk", folder, SIZE, thin=thin, sparse=sparse, adapter="lsilogic")


def through_qemu(path: Path, folder: Path) -> bytes:
    out = folder / "out.raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(path), str(out)], check=True)
    return out.read_bytes()


@pytest.mark.parametrize("sparse", [False, True], ids=["cowd", "sesparse"])
@pytest.mark.parametrize("seed", range(3))
def test_chains_read_alike_here_and_in_qemu(tmp_path: Path, sparse: bool, seed: int) -> None:
    disk = made(tmp_path, sparse=sparse)
    model = Model(disk, seed)
    kept = []
    for _ in range(3):
        model.step(15)
        kept.append((disk.freeze(), bytes(model.bytes)))
    model.step(15)
    model.check()
    assert through_qemu(disk.top.path, tmp_path) == bytes(model.bytes)
    for layer, was in kept:
        assert disk.read(0, SIZE, layer) == was
        assert through_qemu(layer.path, tmp_path) == was
    exported = tmp_path / "exported.vmdk"
    exported.write_bytes(b"".join(stream_optimized(SIZE, disk.pieces(kept[1][0], 64 * 1024), "x.vmdk")))
    assert through_qemu(exported, tmp_path)[:SIZE] == kept[1][1]
    disk.close()


@pytest.mark.parametrize("sparse", [False, True], ids=["cowd", "sesparse"])
def test_merging_in_any_order_keeps_what_is_seen(tmp_path: Path, sparse: bool) -> None:
    for seed in range(4):
        folder = tmp_path / str(seed)
        disk = made(folder, sparse=sparse, thin=bool(seed % 2))
        model = Model(disk, seed)
        for _ in range(4):
            model.step(10)
            disk.freeze()
        order = random.Random(seed)
        while len(disk.layers) > 1:
            disk.merge(order.choice(disk.layers[1:]))
            model.check()
            model.step(2)
        assert [p.name for p in sorted((folder / "vm").iterdir())] == ["vm-flat.vmdk", "vm.vmdk"]
        assert (folder / "vm" / "vm-flat.vmdk").read_bytes() == bytes(model.bytes)
        disk.close()


def test_a_delta_is_read_back_from_its_file(tmp_path: Path) -> None:
    for sparse in (False, True):
        disk = made(tmp_path / str(sparse), sparse=sparse)
        model = Model(disk, 5)
        disk.freeze()
        model.step(30)
        delta = disk.top
        again = type(delta)(delta.path, delta.extent, disk.layers[0], delta.cid)
        assert again.read(0, SIZE) == bytes(model.bytes)
        again.write(0, b"y" * 4096)
        assert again.read(0, 4096) == b"y" * 4096
        assert again.read(4096, SIZE - 4096) == bytes(model.bytes[4096:])
        again.close()
        disk.close()


def test_the_descriptor_tells_the_chain(tmp_path: Path) -> None:
    disk = made(tmp_path, sparse=False)
    base = disk.freeze()
    lines = dict(
        line.split("=", 1) for line in disk.top.path.read_text().splitlines() if "=" in line and "ddb" not in line
    )
    assert lines["createType"] == '"vmfsSparse"'
    assert lines["parentFileNameHint"] == '"vm.vmdk"'
    assert lines["parentCID"] == base.cid
    assert lines["CID"] == base.cid, "until the first write a delta has its parent's"
    disk.write(0, bytes(512))
    assert disk.top.cid != base.cid
    assert f'RW {SIZE // 512} VMFSSPARSE "vm-000001-delta.vmdk"' in disk.top.path.read_text()
    disk.close()


def test_holes_are_not_allocated_and_thick_disks_are(tmp_path: Path) -> None:
    thin, thick = made(tmp_path / "a", sparse=False), made(tmp_path / "b", sparse=False, thin=False)
    for disk in (thin, thick):
        disk.write(MIB, b"x" * 512)
    assert thin.allocated() == [(MIB, 65536)]
    assert thick.allocated() == [(0, SIZE)]
    assert thin.digest() == thick.digest()
    thin.trim(MIB, 4096)
    assert thin.digest() != thick.digest()
    assert thin.allocated() == []
    for disk in (thin, thick):
        disk.close()


def test_only_sectors_are_written(tmp_path: Path) -> None:
    disk = made(tmp_path, sparse=False)
    for offset, length in ((1, 512), (0, 100), (-512, 512), (SIZE, 512)):
        with pytest.raises(ValueError, match="no sectors"):
            disk.write(offset, bytes(length))
    with pytest.raises(ValueError, match="cannot grow"):
        disk.grow(SIZE - 512)
    disk.freeze()
    with pytest.raises(ValueError, match="snapshot"):
        disk.grow(SIZE + 512)
    disk.close()


# snapshots over the API


def names(config: object) -> list[str]:
    return [d.backing.fileName.partition("/")[2] for d in disks_in(config)]


def test_snapshots_keep_and_release_files(vcenter: VsphereSimulator, tmp_path: Path) -> None:
    image = patterned(tmp_path / "image.raw", 4 * MIB)
    machine = vcenter.add_vm("one", image, power="poweredOn")
    found = vim.VirtualMachine(machine.moid, service_of(vcenter)._stub)
    disk = vcenter.disks(machine)[2000]
    contents = []
    taken = []
    writer = GuestWriter(disk, seed=3)
    for number in range(3):
        for _ in range(5):
            writer.step()
        contents.append(disk.digest())
        taken.append(finished(found.CreateSnapshot_Task(f"s{number}", "", False, False)))
    for _ in range(5):
        writer.step()
    now = disk.digest()
    assert names(found.config) == ["one-000003.vmdk"]
    assert [names(s.config) for s in taken] == [["one.vmdk"], ["one-000001.vmdk"], ["one-000002.vmdk"]]
    backing = disks_in(found.config)[0].backing
    assert backing.parent.parent.parent.fileName == "[vmfs6-ssd] one/one.vmdk"
    assert backing.deltaDiskFormat == "seSparseFormat"
    assert [n.name for n in found.snapshot.rootSnapshotList[0].childSnapshotList] == ["s1"]
    finished(taken[1].RemoveSnapshot_Task(False))
    assert names(taken[2].config) == ["one-000001.vmdk"], "what s2 keeps went into the file that s1 kept"
    layers = [vcenter.state.store.find(s._moId).values["_layers"][2000] for s in (taken[0], taken[2])]
    assert [disk.digest(layer) for layer in layers] == [contents[0], contents[2]]
    finished(found.RemoveAllSnapshots_Task())
    assert found.snapshot is None
    assert names(found.config) == ["one.vmdk"]
    assert disk.digest() == now
    assert vcenter.untouched() == []


def test_reverting_brings_back_the_bytes(vcenter: VsphereSimulator, tmp_path: Path) -> None:
    machine = vcenter.add_vm("one", patterned(tmp_path / "image.raw", 2 * MIB))
    found = vim.VirtualMachine(machine.moid, service_of(vcenter)._stub)
    disk = vcenter.disks(machine)[2000]
    before = disk.digest()
    snapshot = finished(found.CreateSnapshot_Task("s", "", False, False))
    disk.write(0, b"z" * 65536)
    finished(snapshot.RevertToSnapshot_Task())
    assert disk.digest() == before
    finished(snapshot.RemoveSnapshot_Task(False))
    assert disk.digest() == before
    assert len(disk.layers) == 1


def test_independent_disks_are_left_out_and_shared_ones_refuse(simulated_vsphere: Factory) -> None:
    simulator = simulated_vsphere()
    service = service_of(simulator)
    modes = vim.VirtualMachine(simulator.machine("disk-modes").moid, service._stub)
    finished(modes.CreateSnapshot_Task("s", "", False, False))
    assert [n.endswith("-000001.vmdk") for n in names(modes.config)] == [True, False, False]
    node = vim.VirtualMachine(simulator.machine("cluster-node-1").moid, service._stub)
    with pytest.raises(vim.fault.SnapshotIncompatibleDeviceInVm):
        node.CreateSnapshot_Task("s", "", False, False)


def test_a_borrowed_disk_stays_its_lenders(simulated_vsphere: Factory) -> None:
    simulator = simulated_vsphere()
    service = service_of(simulator)
    proxy = vim.VirtualMachine(simulator.machine("backup-proxy").moid, service._stub)
    assert names(proxy.config) == ["backup-proxy.vmdk", "web01.vmdk"]
    lender = vim.VirtualMachine(simulator.machine("web01").moid, service._stub)
    finished(lender.CreateSnapshot_Task("s", "", False, False))
    finished(proxy.CreateSnapshot_Task("s", "", False, False))
    assert names(proxy.config) == ["backup-proxy-000001.vmdk", "web01.vmdk"]
    finished(proxy.RemoveAllSnapshots_Task())
    finished(proxy.PowerOffVM_Task())
    assert names(lender.config) == ["web01-000001.vmdk", "web01_1-000001.vmdk"], "what it borrowed is not its to merge"
    disk = simulator.disks(simulator.machine("web01"))[2000]
    assert simulator.state.places.locked(disk.top.extent), "the lender still runs"


def test_vsan_has_objects_and_no_files_with_bytes(simulated_vsphere: Factory) -> None:
    simulator = simulated_vsphere(estate="empty")
    machine = simulator.add_vm("one", datastore="vsanDatastore")
    disk = simulator.disks(machine)[2000]
    disk.write(0, b"x" * 512)
    found = vim.VirtualMachine(machine.moid, service_of(simulator)._stub)
    finished(found.CreateSnapshot_Task("s", "", False, False))
    assert {p.suffix for p in disk.top.path.parent.iterdir()} == {".vmdk", ".vmx", ".nvram", ".vmsd"}
    assert [p.name for p in sorted(disk.top.path.parent.glob("*.vmdk"))] == ["one-000001.vmdk", "one.vmdk"]
    assert 'VSANSPARSE "vsan://' in disk.top.path.read_text()
    assert disks_in(found.config)[0].backing.deltaDiskFormat == "vsanSparseFormat"
    assert disk.read(0, 512) == b"x" * 512


def test_quiescing_fails_by_order_or_without_tools(vcenter: VsphereSimulator) -> None:
    stub = service_of(vcenter)._stub
    one = vim.VirtualMachine(vcenter.add_vm("one", power="poweredOn").moid, stub)
    two = vim.VirtualMachine(vcenter.add_vm("two", power="poweredOn", tools="not-running").moid, stub)
    vcenter.faults.arm("quiesce", target="one")
    with pytest.raises(vim.fault.ApplicationQuiesceFault):
        finished(one.CreateSnapshotEx_Task("q", "", False, vim.vm.GuestQuiesceSpec()))
    finished(one.CreateSnapshotEx_Task("q", "", False, vim.vm.GuestQuiesceSpec()))
    assert one.snapshot.rootSnapshotList[0].quiesced
    with pytest.raises(vim.fault.ApplicationQuiesceFault):
        finished(two.CreateSnapshot_Task("q", "", False, True))
    assert two.snapshot is None
    finished(two.CreateSnapshot_Task("q", "", False, False))


def test_a_failed_consolidation_can_be_repeated(simulated_vsphere: Factory) -> None:
    simulator = simulated_vsphere(estate="empty", consolidate_delay=0.2)
    machine = simulator.add_vm("one")
    found = vim.VirtualMachine(machine.moid, service_of(simulator)._stub)
    snapshot = finished(found.CreateSnapshot_Task("s", "", False, False))
    simulator.faults.arm("consolidate", target="one")
    with pytest.raises(vim.fault.FileLocked):
        finished(snapshot.RemoveSnapshot_Task(False, True))
    assert found.snapshot is None
    assert found.runtime.consolidationNeeded
    assert names(found.config) == ["one-000001.vmdk"]
    finished(found.ConsolidateVMDisks_Task())
    assert not found.runtime.consolidationNeeded
    assert names(found.config) == ["one.vmdk"]
    other = finished(found.CreateSnapshot_Task("t", "", False, False))
    finished(other.RemoveSnapshot_Task(False, False))
    assert found.runtime.consolidationNeeded, "nobody asked for it"


def test_disks_of_all_buses_have_the_keys_of_real_machines(simulated_vsphere: Factory) -> None:
    simulator = simulated_vsphere()
    found = vim.VirtualMachine(simulator.machine("all-buses").moid, service_of(simulator)._stub)
    assert [d.key for d in disks_in(found.config)] == [3000, 3003, 2000, 2035, 2062, 16002, 16059, 32000, 32007]
    keys = {d.key for d in found.config.hardware.device}
    assert {d.controllerKey for d in disks_in(found.config)} <= keys


def test_a_machine_from_several_images_on_several_datastores(vcenter: VsphereSimulator, tmp_path: Path) -> None:
    first, second = (patterned(tmp_path / f"{n}.raw", n * MIB, seed=n) for n in (1, 2))
    disks = (
        DiskSpec(image=first, size_bytes=512),
        DiskSpec(image=second, bus="nvme", size_bytes=512, datastore="nfs-share"),
    )
    machine = vcenter.add_vm("two", disks=disks)
    found = vcenter.disks(machine)
    assert found[2000].read(0, MIB) == first.read_bytes()
    assert found[32000].read(0, 2 * MIB) == second.read_bytes()
    assert not found[32000]._sparse, "NFS has vmfsSparse deltas"
