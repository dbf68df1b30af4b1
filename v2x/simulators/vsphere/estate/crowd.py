# SPDX-License-Identifier: Apache-2.0
"""Machines by the thousand: a few patterns, and for each machine only what is its own."""

import uuid as uuid_module
from typing import Any

from pyVmomi import vim

from v2x.simulators.vsphere.estate.inventory import Inventory
from v2x.simulators.vsphere.estate.machines import pattern_of
from v2x.simulators.vsphere.estate.specs import GIB, DiskSpec, MachineSpec, NicSpec
from v2x.simulators.vsphere.printing import Likeness, Pattern
from v2x.simulators.vsphere.store import Entity

_TWINS = 500
"""Of so many machines two have the same name."""
_FOLDER = 1000
"""Machines in a folder."""


def populate(inventory: Inventory, count: int) -> None:
    """Adds `count` machines on the hosts of the first cluster, or on the lone host."""
    patterns = [Pattern(pattern_of(inventory, spec)) for spec in _specs()]
    first = inventory.named(vim.HostSystem, "")
    compute = inventory.store.get(first.values["parent"])
    hosts = [inventory.store.get(r) for r in compute.values["host"]]
    hosts = [h for h in hosts if not h.values["runtime"].inMaintenanceMode and h.values["network"]]
    home: Entity | None = None
    for number in range(count):
        if number % _FOLDER == 0:
            home = _folder(inventory, first, number // _FOLDER)
        assert home is not None
        _machine(inventory, number, patterns[number % len(patterns)], hosts[number % len(hosts)], home)


def _folder(inventory: Inventory, host: Entity, number: int) -> Entity:
    at = host
    while not issubclass(at.kind, vim.Datacenter):
        at = inventory.store.get(at.values["parent"])
    return inventory.folder(inventory.child(at, "vm"), f"Crowd {number:02d}", "vm")


def _specs() -> list[MachineSpec]:
    """The patterns; texts in marks are replaced for each machine."""
    common: dict[str, Any] = {
        "name": "@NAME@",
        "directory": "@DIR@",
        "uuid": "@UUID@",
        "instance_uuid": "@INSTANCE@",
        "host_name": "@NAME@.example.test",
        "addresses": ("@ADDRESS@",),
    }
    return [
        MachineSpec(
            **common,
            power="poweredOn",
            nics=(NicSpec(network="", mac="00:50:56:@MAC@:00"),),
            disks=(DiskSpec(size_bytes=40 * GIB), DiskSpec(size_bytes=100 * GIB)),
            filesystems={"/": 38 * GIB, "/data": 99 * GIB},
            annotation="One of many",
            tracking=True,
        ),
        MachineSpec(
            **common,
            guest_id="windows2019srv_64Guest",
            guest_name="Microsoft Windows Server 2019 (64-bit)",
            power="poweredOn",
            firmware="efi",
            scsi=("lsisas",),
            nics=(NicSpec(network="", mac="00:50:56:@MAC@:00"), NicSpec(network="", mac="00:50:56:@MAC@:01")),
            disks=(DiskSpec(size_bytes=80 * GIB, thin=False),),
            filesystems={"C:\\": 79 * GIB},
        ),
        MachineSpec(
            **common,
            guest_id="rhel8_64Guest",
            guest_name="Red Hat Enterprise Linux 8 (64-bit)",
            nics=(NicSpec(network="", mac="00:50:56:@MAC@:00", kind="e1000e"),),
            disks=(DiskSpec(size_bytes=20 * GIB),),
            cdrom="client",
        ),
    ]


def _machine(inventory: Inventory, number: int, pattern: Pattern, host: Entity, home: Entity) -> None:
    store = inventory.store
    moid = store.next_id("vm-" if inventory.state.profile.vcenter else "")
    name = f"crowd-{number - 1 if number % _TWINS == 1 else number:05d}"
    marks = {
        "@NAME@": name,
        "@DIR@": f"crowd-{number:05d}",
        "@UUID@": str(uuid_module.UUID(int=0x42 << 120 | 4 << 76 | 2 << 62 | number)),
        "@INSTANCE@": str(uuid_module.UUID(int=0x50 << 120 | 4 << 76 | 2 << 62 | number)),
        "@ADDRESS@": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
        "@MAC@": f"{0x80 + (number >> 8 & 63):02x}:{number & 255:02x}",
        "@HOST@": host.moid,
        "@MOID@": moid,
    }
    made = store.add(vim.VirtualMachine, moid, name=name, parent=home.ref, _like=Likeness(pattern, marks))
    inventory.hang(home, "childEntity", made.ref)
    inventory.hang(host, "vm", made.ref)
    for holder in ("datastore", "network"):
        for ref in pattern.entity.values[holder]:
            store.get(ref).values["vm"].append(made.ref)
    inventory.hang(store.get(pattern.entity.values["resourcePool"]), "vm", made.ref)
