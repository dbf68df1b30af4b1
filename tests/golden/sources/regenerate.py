# SPDX-License-Identifier: Apache-2.0
"""Writes the expected inventories beside the descriptors in this folder.

Run it after a deliberate change of what a descriptor is read as, and read the diff before committing:

    PYTHONPATH=. python tests/golden/sources/regenerate.py

The descriptors are hand-written in the style of each exporter. `stage` puts one into a folder together with disks of
the right kind and size; the VMDKs among them are bare descriptors of one extent of zeros, so nothing here depends on
the version of a tool; the others are made by qemu-img.
"""

import shutil
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from v2x.disks.qemu_img import create
from v2x.model.codec import to_json
from v2x.model.inventory import Inventory
from v2x.model.machine import DiskFormat
from v2x.sources import open_source

HERE = Path(__file__).parent
GIB = 1 << 30
MOMENT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)

# descriptor → the disks beside it: name → bytes
DISKS: dict[str, dict[str, int]] = {
    "vsphere.ovf": {"web01-1.vmdk": 40 * GIB, "web01-2.vmdk": 100 * GIB},
    "workstation.ovf": {"lab pc-disk1.vmdk": 20 * GIB},
    "virtualbox.ovf": {"builder-disk001.vmdk": 10 * GIB, "builder-disk002.vmdk": GIB},
    "virtualbox2.ovf": {"small-disk001.vmdk": 8 * GIB + 512},
    "ovirt-ova.ovf": {"5a0d1f0e-55a1-4d0c-8f11-7e1a00000001": 10 * GIB + 65536},
    "ovirt-export.ovf": {},
    "xenserver.ovf": {
        "11110000-0000-4000-8000-000000000001.vhd": 5 * GIB,
        "11110000-0000-4000-8000-000000000002.vhd": 6 * GIB,
    },
    "nutanix.ovf": {"files-disk1.qcow2": 30 * GIB},
    "vapp.ovf": {"node-base.vmdk": 4 * GIB, "node-delta.vmdk": 4 * GIB, "data.vmdk.gz": 2 * GIB},
    "esxi.vmx": {
        "esxi.vmdk": 16 * GIB,
        "esxi_1.vmdk": 32 * GIB,
        "esxi_2.vmdk": 64 * GIB,
        "esxi_3.vmdk": 8 * GIB,
        "esxi.vmsd": 0,
    },
    "desktop.vmx": {"desktop.vmdk": 60 * GIB},
}


def zeros_vmdk(size: int, parent: str = "") -> bytes:
    kind = "parentCID=00c0ffee" if parent else "parentCID=ffffffff"
    lines = ["# Disk DescriptorFile", "version=1", "CID=00c0ffee", kind, 'createType="streamOptimized"']
    lines += [f'parentFileNameHint="{parent}"'] if parent else []
    lines += [f"RW {size // 512} ZERO", 'ddb.adapterType = "lsilogic"']
    return "\n".join(lines).encode() + b"\n"


def make_disk(path: Path, size: int) -> None:
    if path.suffix == ".vmdk":
        path.write_bytes(zeros_vmdk(size, "node-base.vmdk" if path.name == "node-delta.vmdk" else ""))
    elif path.suffix == ".gz":
        path.write_bytes(b"\x1f\x8b" + bytes(30))
    else:
        create(path, DiskFormat.VHD if path.suffix == ".vhd" else DiskFormat.QCOW2, size)


def stage(descriptor: str, folder: Path) -> Path:
    """Puts `descriptor` and its disks into `folder`; returns the descriptor's path there."""
    for name, size in DISKS[descriptor].items():
        if (HERE / name).exists():
            shutil.copyfile(HERE / name, folder / name)
        else:
            make_disk(folder / name, size)
    return Path(shutil.copyfile(HERE / descriptor, folder / descriptor))


def inventory_of(descriptor: str, folder: Path) -> Inventory:
    path = stage(descriptor, folder)
    with open_source(path, clock=lambda: MOMENT) as source:
        found = source.inventory()
    return plain(found, descriptor)


def plain(inventory: Inventory, descriptor: str) -> Inventory:
    """The inventory with the address shortened to the descriptor's name: the folder differs from run to run."""
    return replace(inventory, source=replace(inventory.source, address=descriptor))


def main() -> None:
    for descriptor in DISKS:
        with tempfile.TemporaryDirectory() as folder:
            text = to_json(inventory_of(descriptor, Path(folder)))
        (HERE / f"{descriptor}.json").write_bytes(text)


if __name__ == "__main__":
    main()
