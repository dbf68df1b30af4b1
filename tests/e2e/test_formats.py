# SPDX-License-Identifier: Apache-2.0
"""Every format arrives byte for byte as qemu-img, which shares no code with v2x, reads it."""

import pytest

from v2x.model.machine import DiskBus
from v2x.model.units import MIB
from v2x.simulators.appliance import (
    ApplianceSpec,
    Change,
    CreateType,
    DiskSpec,
    NicSpec,
    SnapshotSpec,
    write_ova,
    write_vmx_folder,
)

WHOLE = [
    CreateType.MONOLITHIC_SPARSE,
    CreateType.MONOLITHIC_FLAT,
    CreateType.VMFS,
    CreateType.TWO_GB_SPARSE,
    CreateType.TWO_GB_FLAT,
    CreateType.STREAM_OPTIMIZED,
]


def machine(raw, *more):
    disks = tuple(DiskSpec(raw=one, unit=unit) for unit, one in enumerate((raw, *more)))
    return ApplianceSpec(name="web", disks=disks, nics=(NicSpec(mac="00:50:56:00:00:01"),))


@pytest.mark.parametrize("kind", ["islands", "odd", "one-sector", "empty", "full", "64k"])
@pytest.mark.parametrize("layout", WHOLE, ids=str)
def test_a_vmx_folder(bench, raw, same_bytes, layout, kind, tmp_path):
    made = write_vmx_folder(tmp_path / "web", machine(raw(kind)), expected=tmp_path / "expected", disk_type=layout)
    ran = bench.migrate(made.vmx)
    assert ran.code == 0, ran.err
    (vdi,) = bench.vdis_of(bench.vm("web"))
    same_bytes(vdi, made.chains[0].descriptors[-1], "vmdk", tmp_path)
    assert not bench.leftovers()


@pytest.mark.parametrize("kind", [CreateType.VMFS_SPARSE, CreateType.SE_SPARSE, CreateType.MONOLITHIC_SPARSE], ids=str)
def test_a_chain_of_snapshots(bench, raw, same_bytes, kind, tmp_path):
    base = CreateType.MONOLITHIC_SPARSE if kind is CreateType.MONOLITHIC_SPARSE else CreateType.VMFS
    snapshots = [
        SnapshotSpec(name="one", changes={0: [Change(MIB, b"\x11" * 9000), Change(6 * MIB, bytes(MIB))]}, kind=kind),
        SnapshotSpec(name="two", changes={0: [Change(MIB + 4096, b"\x22" * 512)]}, kind=kind),
    ]
    made = write_vmx_folder(
        tmp_path / "web", machine(raw()), expected=tmp_path / "expected", disk_type=base, snapshots=snapshots
    )
    ran = bench.migrate(made.vmx)
    assert ran.code == 0, ran.err
    (vdi,) = bench.vdis_of(bench.vm("web"))
    same_bytes(vdi, made.expected[0], "raw", tmp_path)
    same_bytes(vdi, made.chains[0].descriptors[-1], "vmdk", tmp_path)


def test_an_ova_with_three_disks(bench, raw, same_bytes, tmp_path):
    raws = [raw("islands", "a.raw"), raw("odd", "b.raw"), raw("empty", "c.raw")]
    made = write_ova(tmp_path / "web.ova", machine(*raws))
    ran = bench.migrate(made.path)
    assert ran.code == 0, ran.err
    vdis = bench.vdis_of(bench.vm("web"))
    assert len(vdis) == 3
    for vdi, one in zip(vdis, raws, strict=True):
        same_bytes(vdi, one, "raw", tmp_path)


@pytest.mark.parametrize("bus", [DiskBus.IDE, DiskBus.SATA, DiskBus.NVME, DiskBus.SCSI], ids=str)
def test_disks_on_every_bus(bench, raw, same_bytes, bus, tmp_path):
    one = raw("odd")
    spec = ApplianceSpec(name="web", disks=(DiskSpec(raw=one, bus=bus),))
    ran = bench.migrate(write_ova(tmp_path / "web.ova", spec).path)
    assert ran.code == 0, ran.err
    same_bytes(bench.vdis_of(bench.vm("web"))[0], one, "raw", tmp_path)


def test_a_vdi_that_the_pool_rounds_up(bench, raw, same_bytes, tmp_path):
    one = raw("64k")
    ran = bench.migrate(write_ova(tmp_path / "web.ova", machine(one)).path)
    assert ran.code == 0, ran.err
    (vdi,) = bench.vdis_of(bench.vm("web"))
    assert vdi.stat().st_size == 6 * MIB
    same_bytes(vdi, one, "raw", tmp_path)
