# SPDX-License-Identifier: Apache-2.0
"""Descriptors in the style of every exporter, against the inventories kept beside them."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from v2x.model.codec import to_json
from v2x.model.inventory import Inventory
from v2x.model.machine import Machine

HERE = Path(__file__).parent / "sources"


def _recipe() -> ModuleType:
    spec = importlib.util.spec_from_file_location("golden_sources", HERE / "regenerate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


recipe = _recipe()


def _inventory(name: str, folder: Path) -> Inventory:
    found = recipe.inventory_of(name, folder)
    assert isinstance(found, Inventory)
    return found


def _machine(name: str, folder: Path) -> Machine:
    return _inventory(name, folder).machines[0]


@pytest.mark.parametrize("descriptor", sorted(recipe.DISKS))
def test_inventory_is_the_golden_one(descriptor: str, tmp_path: Path) -> None:
    expected = json.loads((HERE / f"{descriptor}.json").read_bytes())
    assert json.loads(to_json(_inventory(descriptor, tmp_path))) == expected


def test_every_descriptor_has_a_golden_inventory_and_the_other_way_round() -> None:
    descriptors = {path.name for path in HERE.iterdir() if path.suffix in {".ovf", ".vmx"}}
    assert descriptors == set(recipe.DISKS)
    assert {f"{name}.json" for name in descriptors} == {path.name for path in HERE.glob("*.json")}


# What matters most of each dialect is said again by hand, so that regenerating cannot quietly lose it.


def test_vsphere_firmware_tpm_and_sparse_units(tmp_path: Path) -> None:
    machine = _machine("vsphere.ovf", tmp_path)
    assert (machine.firmware, machine.firmware_stated, machine.secure_boot, machine.vtpm) == ("uefi", True, True, True)
    assert [(str(disk.bus), disk.controller, disk.unit) for disk in machine.disks] == [
        ("scsi", 0, 0),
        ("nvme", 0, 12),
        ("scsi", 0, 15),
    ]
    assert [nic.mac for nic in machine.nics] == ["00:50:56:8a:01:02", ""]
    assert "never shown" not in str(machine)


def test_absent_firmware_key_is_told_as_such(tmp_path: Path) -> None:
    machine = _machine("workstation.ovf", tmp_path)
    assert (machine.firmware, machine.firmware_stated) == ("bios", False)


def test_percent_escapes_in_a_file_reference_are_understood(tmp_path: Path) -> None:
    assert _machine("workstation.ovf", tmp_path).disks[0].files == ("lab pc-disk1.vmdk",)


def test_virtualbox_macs_pair_with_enabled_adapters_only(tmp_path: Path) -> None:
    machine = _machine("virtualbox.ovf", tmp_path)
    assert [(nic.mac, nic.connected) for nic in machine.nics] == [
        ("08:00:27:ab:cd:ef", True),
        ("08:00:27:00:00:02", False),
    ]
    assert machine.firmware == "uefi"


def test_virtualbox_places_come_from_its_own_section(tmp_path: Path) -> None:
    disks = _machine("virtualbox.ovf", tmp_path).disks
    assert [(str(disk.bus), disk.controller, disk.unit) for disk in disks] == [("sata", 0, 1), ("ide", 1, 1)]


def test_ovf_2_items_in_their_own_namespaces_are_found(tmp_path: Path) -> None:
    machine = _machine("virtualbox2.ovf", tmp_path)
    assert len(machine.disks) == len(machine.nics) == 1


def test_ovirt_capacity_comes_from_the_image_not_from_rounded_gibibytes(tmp_path: Path) -> None:
    disk = _machine("ovirt-ova.ovf", tmp_path).disks[0]
    assert (disk.capacity_bytes, str(disk.format)) == (10 * recipe.GIB + 65536, "qcow2")


def test_ovirt_bios_type_is_numbered_by_the_engine_version(tmp_path: Path) -> None:
    # 2 was OVMF before engine 4.4; 4 is OVMF with Secure Boot since.
    machines = [_machine(name, tmp_path) for name in ("ovirt-export.ovf", "ovirt-ova.ovf")]
    assert [(machine.firmware, machine.secure_boot) for machine in machines] == [("uefi", False), ("uefi", True)]


def test_xenserver_storage_extents_macs_and_order(tmp_path: Path) -> None:
    machines = _inventory("xenserver.ovf", tmp_path).machines
    assert [(machine.name, machine.start_order, machine.group) for machine in machines] == [
        ("db", 1, "pair"),
        ("app", 2, "pair"),
    ]
    assert machines[0].nics[0].mac == "fa:16:3e:00:00:01"
    assert machines[0].nics[0].network == "Pool-wide network associated with eth0"
    assert all(len(machine.disks) == 1 for machine in machines)


def test_vapp_default_option_delta_and_the_broken_system(tmp_path: Path) -> None:
    inventory = _inventory("vapp.ovf", tmp_path)
    node = inventory.machines[0]
    assert node.cpu.count == 8
    assert node.disks[0].files == ("node-delta.vmdk", "node-base.vmdk")
    assert [disk.backing for disk in node.disks] == ["file", "file", "missing", "missing"]
    assert {(problem.subject, problem.code) for problem in inventory.problems} == {
        ("gone.vmdk", "MISSING-FILE"),
        ("../../etc/passwd", "UNSAFE-IMAGE"),
        ("broken", "BAD-IMAGE"),
    }


def test_vmx_finds_every_disk_and_no_absent_one(tmp_path: Path) -> None:
    machine = _machine("esxi.vmx", tmp_path)
    assert [disk.id for disk in machine.disks] == ["scsi0:8", "nvme0:3", "scsi0:0", "scsi0:15", "scsi1:4"]
    assert machine.disks[0].files == ("esxi_1.vmdk",)
    assert machine.disks[4].backing == "missing"
    assert [disk.id for disk in machine.disks if disk.shared] == ["scsi0:15", "scsi1:4"]


def test_vmx_static_and_generated_macs(tmp_path: Path) -> None:
    nics = _machine("esxi.vmx", tmp_path).nics
    assert [(nic.label, nic.mac, nic.mac_is_static) for nic in nics] == [
        ("ethernet0", "00:50:56:01:02:03", True),
        ("ethernet1", "00:50:56:aa:bb:cc", False),
        ("ethernet10", "00:0c:29:12:34:56", False),
    ]


def test_vmx_of_an_encrypted_machine_marks_its_disks(tmp_path: Path) -> None:
    assert all(disk.encrypted for disk in _machine("desktop.vmx", tmp_path).disks)
