# SPDX-License-Identifier: Apache-2.0
"""Inventories of as many machines as a test wants, all alike but for names and addresses."""

from datetime import UTC, datetime
from pathlib import Path

from v2x.model.codec import to_json
from v2x.model.inventory import Inventory, SourceInfo
from v2x.model.machine import Cpu, Disk, DiskBus, DiskFormat, Firmware, Guest, Machine, Memory, Nic, NicModel
from v2x.model.units import GIB


def machine(number: int) -> Machine:
    return Machine(
        id=f"m-{number}",
        name=f"src-{number:05d}",
        cpu=Cpu(count=2),
        memory=Memory(size_bytes=2 * GIB),
        firmware=Firmware.UEFI,
        guest=Guest(os_name="Debian GNU/Linux 12 (64-bit)"),
        disks=(
            Disk(
                id="scsi0:0",
                label="Hard disk 1",
                position=0,
                bus=DiskBus.SCSI,
                controller=0,
                unit=0,
                capacity_bytes=20 * GIB,
                format=DiskFormat.VMDK,
                allocated_bytes=GIB // 4,
                datastore="ds1",
                files=(f"[ds1] src-{number:05d}/src-{number:05d}.vmdk",),
            ),
        ),
        nics=(
            Nic(
                position=0,
                label="Network adapter 1",
                model=NicModel.VMXNET3,
                network="VLAN 10",
                mac=f"00:50:56:{number >> 16 & 63:02x}:{number >> 8 & 255:02x}:{number & 255:02x}",
            ),
        ),
    )


def write_inventory(path: Path, count: int) -> Path:
    """An inventory.json with `count` machines on a network "VLAN 10"."""
    source = SourceInfo(kind="vsphere", address="vsphere://a@vc.example.org")
    inventory = Inventory(
        source=source, taken_at=datetime(2026, 1, 1, tzinfo=UTC), machines=tuple(map(machine, range(count)))
    )
    path.write_bytes(to_json(inventory))
    return path
