# SPDX-License-Identifier: Apache-2.0
import os
import re
import subprocess
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest

from v2x.errors import BadImage, InputRefused, SourceError, Unsupported
from v2x.model.inventory import Inventory
from v2x.model.machine import DiskBacking, NicModel, Other, PowerState
from v2x.sources import open_source

DISK = {"scsi0.present": "TRUE", "scsi0:0.present": "TRUE", "scsi0:0.fileName": "disk.vmdk"}


def _write(folder: Path, kit: ModuleType, lines: dict[str, object]) -> Path:
    path = folder / "tiny.vmx"
    path.write_text(kit.vmx(lines))
    return path


def _inventory(path: Path) -> Inventory:
    with open_source(path) as source:
        return source.inventory()


def _vmdk(folder: Path, name: str, data: bytes, kit: ModuleType, subformat: str = "monolithicSparse") -> None:
    raw = folder / "raw"
    raw.write_bytes(data)
    kit.convert(raw, folder / name, "vmdk", f"subformat={subformat}")
    raw.unlink()


@pytest.mark.parametrize("subformat", ["monolithicSparse", "monolithicFlat", "twoGbMaxExtentSparse"])
def test_kinds_of_vmdk_in_a_folder(subformat: str, tmp_path: Path, kit: ModuleType, disk_bytes: bytes) -> None:
    _vmdk(tmp_path, "disk.vmdk", disk_bytes, kit, subformat)
    with open_source(_write(tmp_path, kit, DISK)) as source:
        machine = source.inventory().machines[0]
        assert machine.disks[0].subformat == subformat
        with closing(source.reader(machine, machine.disks[0], source.checkpoint(machine, "t"))) as reader:
            data = bytearray(reader.size)
            reader.read_into(0, data)
    assert bytes(data) == disk_bytes


def test_writes_to_any_extent_move_the_point(tmp_path: Path, kit: ModuleType, disk_bytes: bytes) -> None:
    _vmdk(tmp_path, "disk.vmdk", disk_bytes, kit, "monolithicFlat")
    with open_source(_write(tmp_path, kit, DISK)) as source:
        machine = source.inventory().machines[0]
        at = source.checkpoint(machine, "t")
        os.utime(tmp_path / "disk-flat.vmdk", ns=(5, 5))
        assert source.checkpoint(machine, "t") != at


def _snapshot_chain(folder: Path, kit: ModuleType, data: bytes) -> bytes:
    """disk.vmdk below disk-000001.vmdk, in which qemu wrote 64 KiB over the start; returns the disk's bytes."""
    _vmdk(folder, "disk.vmdk", data, kit)
    command = ["qemu-img", "create", "-q", "-f", "vmdk", "-b", "disk.vmdk", "-F", "vmdk", "disk-000001.vmdk"]
    subprocess.run(command, cwd=folder, check=True)
    subprocess.run(["qemu-io", "-f", "vmdk", "-c", "write -P 7 0 64k", "disk-000001.vmdk"], cwd=folder, check=True)
    return b"\7" * 65536 + data[65536:]


def test_snapshot_chain_is_read_through_the_delta(tmp_path: Path, kit: ModuleType, disk_bytes: bytes) -> None:
    expected = _snapshot_chain(tmp_path, kit, disk_bytes)
    (tmp_path / "tiny.vmsd").write_text(
        'snapshot.current = "1"\nsnapshot0.uid = "1"\nsnapshot0.displayName = "one"\nsnapshot0.filename = "s.vmsn"\n'
    )
    (tmp_path / "s.vmem").write_bytes(b"")
    with open_source(_write(tmp_path, kit, DISK | {"scsi0:0.fileName": "disk-000001.vmdk"})) as source:
        machine = source.inventory().machines[0]
        disk = machine.disks[0]
        assert disk.files == ("disk-000001.vmdk", "disk.vmdk")
        assert [(one.name, one.current, one.with_memory) for one in machine.snapshots] == [("one", True, True)]
        at = source.checkpoint(machine, "t")
        with closing(source.reader(machine, disk, at)) as reader:
            data = bytearray(reader.size)
            reader.read_into(0, data)
        assert bytes(data) == expected
        os.utime(tmp_path / "disk.vmdk", ns=(5, 5))
        with pytest.raises(SourceError, match="changed since"):
            source.reader(machine, disk, at)


def test_missing_parent_is_told(tmp_path: Path, kit: ModuleType, disk_bytes: bytes) -> None:
    _snapshot_chain(tmp_path, kit, disk_bytes)
    (tmp_path / "disk.vmdk").unlink()
    inventory = _inventory(_write(tmp_path, kit, DISK | {"scsi0:0.fileName": "disk-000001.vmdk"}))
    assert inventory.machines[0].disks[0].backing is DiskBacking.MISSING
    assert "MISSING-FILE" in {problem.code for problem in inventory.problems}


@pytest.mark.parametrize("name", ["tiny.vmx.lck", "tiny.vmdk.lck"])
@pytest.mark.parametrize("folder", [True, False])
def test_lock_means_running_and_refuses_the_checkpoint(
    name: str, folder: bool, tmp_path: Path, kit: ModuleType, disk_bytes: bytes
) -> None:
    _vmdk(tmp_path, "disk.vmdk", disk_bytes, kit)
    path = _write(tmp_path, kit, DISK)
    (tmp_path / name).mkdir() if folder else (tmp_path / name).write_text("")
    with open_source(path) as source:
        machine = source.inventory().machines[0]
        assert machine.power_state is PowerState.ON
        with pytest.raises(SourceError, match=re.escape(name)) as refused:
            source.checkpoint(machine, "t")
    assert "shut the machine down" in refused.value.hint


def test_suspended_machine(tmp_path: Path, kit: ModuleType) -> None:
    (tmp_path / "tiny.vmss").write_bytes(b"")
    path = _write(tmp_path, kit, {"checkpoint.vmState": "tiny.vmss"})
    assert _inventory(path).machines[0].power_state is PowerState.SUSPENDED


def test_absolute_path_counts_by_its_base_name_if_it_lies_beside(
    tmp_path: Path, kit: ModuleType, disk_bytes: bytes
) -> None:
    _vmdk(tmp_path, "disk.vmdk", disk_bytes, kit)
    windows, unix = "C:\\VMs\\tiny\\disk.vmdk", "/vmfs/volumes/ds1/tiny/disk.vmdk"
    for number, file in enumerate((windows, unix)):
        folder = tmp_path / str(number)
        folder.mkdir()
        os.link(tmp_path / "disk.vmdk", folder / "disk.vmdk")
        disk = _inventory(_write(folder, kit, DISK | {"scsi0:0.fileName": file})).machines[0].disks[0]
        assert (disk.files, disk.backing) == (("disk.vmdk",), DiskBacking.FILE)


def test_raw_device_mapping_is_a_device(tmp_path: Path, kit: ModuleType) -> None:
    (tmp_path / "disk.vmdk").write_text(
        '# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType="vmfsRawDeviceMap"\n'
        'RW 2048 VMFSRDM "disk-rdm.vmdk"\n'
    )
    path = _write(tmp_path, kit, DISK)
    with open_source(path) as source:
        machine = source.inventory().machines[0]
        assert machine.disks[0].backing is DiskBacking.RAW_DEVICE
        at = source.checkpoint(machine, "t")
        with pytest.raises(Unsupported, match="device of the source host"):
            source.reader(machine, machine.disks[0], at)


def test_encrypted_disk_is_refused_with_a_remedy(tmp_path: Path, kit: ModuleType, disk_bytes: bytes) -> None:
    _vmdk(tmp_path, "disk.vmdk", disk_bytes, kit)
    with open_source(_write(tmp_path, kit, DISK | {"encryption.keySafe": "x"})) as source:
        machine = source.inventory().machines[0]
        at = source.checkpoint(machine, "t")
        with pytest.raises(Unsupported, match="is encrypted"):
            source.reader(machine, machine.disks[0], at)


def test_encrypted_configuration_is_unsupported(tmp_path: Path) -> None:
    (tmp_path / "t.vmx").write_text('.encoding = "UTF-8"\nencryption.keySafe = "k"\nencryption.data = "zzz"\n')
    with pytest.raises(Unsupported, match="is encrypted"):
        _inventory(tmp_path / "t.vmx")


def test_template_extension(tmp_path: Path, kit: ModuleType) -> None:
    path = _write(tmp_path, kit, {}).rename(tmp_path / "tiny.vmtx")
    assert _inventory(path).machines[0].is_template


@pytest.mark.parametrize(
    ("key", "value"), [("numvcpus", "0"), ("numvcpus", "two"), ("memsize", "-1"), ("memsize", "1e9"), ("firmware", "x")]
)
def test_odd_values_name_their_key(key: str, value: str, tmp_path: Path, kit: ModuleType) -> None:
    with pytest.raises(BadImage, match=f"tiny.vmx: {key} is"):
        _inventory(_write(tmp_path, kit, {key: value}))


def test_network_models_and_modes_of_other_words(tmp_path: Path, kit: ModuleType) -> None:
    path = _write(
        tmp_path,
        kit,
        DISK | {"scsi0:0.mode": "undoable", "ethernet0.present": "TRUE", "ethernet0.virtualDev": "odd9"},
    )
    machine = _inventory(path).machines[0]
    assert machine.disks[0].mode == Other("undoable")
    assert machine.nics[0].model == Other("odd9")
    assert NicModel.UNKNOWN not in {nic.model for nic in machine.nics}


def test_damaged_snapshot_list_is_a_problem_not_an_end(tmp_path: Path, kit: ModuleType) -> None:
    path = _write(tmp_path, kit, {})
    (tmp_path / "tiny.vmsd").write_text('snapshot0.uid = "1"\nsnapshot1.uid = "1"\n')
    inventory = _inventory(path)
    assert inventory.machines[0].snapshots == ()
    assert [problem.code for problem in inventory.problems] == ["BAD-IMAGE"]


def test_missing_vmx_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="does not exist"):
        open_source(tmp_path / "none.vmx")
