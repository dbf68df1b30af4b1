# SPDX-License-Identifier: Apache-2.0
"""Every trap that a Hyper-V host tells of, all the way from what its collector writes to the rule that speaks of it."""

import importlib.util
from pathlib import Path

import pytest

from tests.hyperv_estates import document, estate, inventory, virtual_machine
from v2x.assess.engine import assess
from v2x.model.finding import Severity

_PATH = Path(__file__).parents[1] / "sources" / "hyperv" / "test_hyperv_traps.py"
SPOKEN = {
    "a saved state": "machine.suspended",
    "a fast-saved state": "machine.suspended",
    "a paused machine": "machine.suspended",
    "a critical state": "machine.state-in-between",
    "a passing state": "machine.state-in-between",
    "a checkpoint": "machine.snapshots",
    "a differencing disk in use, with no checkpoint in the list": "disk.base-elsewhere",
    "a parent that is missing": "disk.missing",
    "a running backup": "backup.temporary-snapshot machine.locked",
    "a merge that is pending": "machine.locked",
    "a move of the machine or its storage": "machine.locked",
    "sectors of 4096 bytes": "disk.sector-size",
    "a disk shared by reservations": "disk.shared",
    "a VHD set": "disk.shared disk.unknown-format",
    "a physical disk, whose path is no file": "disk.raw-device",
    "a disk beyond 2040 GiB": "disk.too-large-for-vhd",
    "a VHD of a size of cylinders": "disk.rounded-up",
    "a disk limited in IOPS": "disk.iops-limit",
    "generation 2 is UEFI": "firmware.nvram-not-carried",
    "a vTPM": "vtpm.content-not-moved",
    "a shielded machine": "machine.shielded",
    "encrypted state": "machine.encrypted",
    "dynamic memory, whose maximum is a limit and no size": "memory.dynamic-not-carried memory.startup-below-demand",
    "nested virtualisation": "cpu.nested-virtualization",
    "a limited processor": "cpu.scheduling-not-carried",
    "a device passed through": "device.passthrough",
    "a part of a GPU": "device.vgpu",
    "Fibre Channel": "device.fibre-channel",
    "persistent memory": "device.persistent-memory",
    "a serial port and a floppy in use": "device.port device.floppy",
    "SR-IOV": "nic.sriov",
    "a legacy adapter": "nic.legacy",
    "a dynamic MAC address that was never given out": "nic.mac-missing",
    "MAC address spoofing": "nic.mac-spoofing",
    "teaming inside the guest": "nic.teaming",
    "a bandwidth limit": "nic.bandwidth-limit",
    "a trunk": "nic.trunk",
    "a private VLAN": "nic.private-vlan",
    "an adapter without a switch": "nic.no-network",
    "an image in the DVD drive": "cd.image-not-moved",
    "a static address inside the guest": "guest.static-address",
    "the host's clock inside the guest": "identity.time-sync",
    "automatic virtual machine activation, by the edition": "identity.automatic-activation identity.windows-activation",
    "SMBIOS identifiers that licences know": "identity.uuid-changes identity.serial-number",
    "replication": "machine.replicated",
    "the replica of a machine, which has the machine's id": "estate.backup-replica",
}
HARMLESS = {
    "a running machine": "a copy of a running machine takes a checkpoint first",
    "generation 2 boots the first disk of its order, not the first one": "the source puts that disk first",
    "generation 1 is BIOS and boots IDE before SCSI": "the source puts IDE first",
    "Secure Boot and whose certificates": "the pool of this test has certificates",
    "Secure Boot that is off": "nothing to say",
    "a minimum and maximum that stand there without dynamic memory": "nothing to say",
    "a static MAC address": "it is kept",
    "an access VLAN": "the pool of this test has it",
    "a VLAN by isolation": "the pool of this test has it",
    "which system is inside": "a known system",
    "no clock from the host": "nothing to say",
    "a cluster role": "nothing to say",
    "an automatic start": "Hyper-V's default starts nothing that is off",
    "odd characters in a name": "signs that can be seen are kept",
    "notes": "they go along",
}


def traps():
    spec = importlib.util.spec_from_file_location("hyperv_traps_for_assessment", _PATH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MODULE = traps()
TRAPS = {name: changes for name, changes, _ in MODULE.TRAPS}


def test_every_trap_is_spoken_of_or_harmless():
    assert set(SPOKEN) | set(HARMLESS) == set(TRAPS)
    assert not set(SPOKEN) & set(HARMLESS)


@pytest.mark.parametrize("name", SPOKEN)
def test_a_rule_speaks_of_the_trap(name, tmp_path, tables, make):
    changes = dict(TRAPS[name])
    images = changes.pop("images", [MODULE.IMAGE])
    listed = inventory(document(estate(virtual_machine(**changes), images=images), tmp_path))
    networks = (make.network(uuid="n20", name="V20", vlan=20), make.network(uuid="n30", name="V30", vlan=30))
    found = {
        one.rule
        for one in assess(listed, make.facts(networks=networks), tables)
        if one.severity is not Severity.UNKNOWN
    }
    assert set(SPOKEN[name].split()) <= found
