# SPDX-License-Identifier: Apache-2.0
"""The envelope as VirtualBox exports it, as OVF 1.0 or 2.0.

VirtualBox repeats the whole machine in its own format (`vbox:Machine`), and only there are firmware and MAC addresses.
OVF 2.0 moves disks to StorageItem and adapters to EthernetPortItem, each with a namespace of its own.
"""

import itertools
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence

from v2x.model.machine import DiskBus, Firmware, NicModel
from v2x.model.units import MIB
from v2x.simulators.appliance.envelope import (
    CIM,
    RASD,
    STREAM_FORMAT,
    VSSD,
    XSI,
    add,
    add_networks,
    add_references,
    controllers_of,
    networks_of,
    rasd_item,
    to_text,
)
from v2x.simulators.appliance.spec import ApplianceSpec, PackedDisk

_CONTROLLERS = {
    DiskBus.SATA: (20, "sataController", "SATA Controller", "AHCI"),
    DiskBus.SCSI: (6, "scsiController", "SCSI Controller", "lsilogic"),
    DiskBus.IDE: (5, "ideController", "IDE Controller", "PIIX4"),
    DiskBus.NVME: (20, "nvmeController", "NVMe Controller", "NVMe"),
    DiskBus.VIRTIO: (20, "virtioController", "VirtIO SCSI Controller", "VirtioSCSI"),
}
_MACHINE_CONTROLLERS = {
    DiskBus.SATA: ("SATA", "AHCI"),
    DiskBus.SCSI: ("SCSI", "LsiLogic"),
    DiskBus.IDE: ("IDE", "PIIX4"),
    DiskBus.NVME: ("NVMe", "NVMe"),
    DiskBus.VIRTIO: ("VirtIO", "VirtioSCSI"),
}
_NICS = {NicModel.PCNET32: "PCNet32", NicModel.VIRTIO: "virtio"}
_MACHINE_NICS = {NicModel.PCNET32: "Am79C973", NicModel.VIRTIO: "virtio"}


def virtualbox_envelope(
    vms: Sequence[ApplianceSpec], disks: Sequence[Sequence[PackedDisk]], *, version: str = "1.0"
) -> bytes:
    """The envelope; `version` is 1.0 or 2.0."""
    ovf = f"http://schemas.dmtf.org/ovf/envelope/{version[0]}"
    names = {
        "ovf:version": version,
        "xml:lang": "en-US",
        "xmlns": ovf,
        "xmlns:ovf": ovf,
        "xmlns:rasd": RASD,
        "xmlns:vssd": VSSD,
        "xmlns:xsi": XSI,
        "xmlns:vbox": "http://www.virtualbox.org/ovf/machine",
    }
    if version == "2.0":
        names["xmlns:epasd"] = f"{CIM}/cim-schema/2/CIM_EthernetPortAllocationSettingData.xsd"
        names["xmlns:sasd"] = f"{CIM}/cim-schema/2/CIM_StorageAllocationSettingData.xsd"
    root = ET.Element("Envelope", names)
    every_disk = [disk for of_vm in disks for disk in of_vm]
    add_references(root, every_disk, with_size=False)
    section = add(root, "DiskSection")
    add(section, "Info", "List of the virtual disks used in the package")
    for disk in every_disk:
        add(
            section,
            "Disk",
            "",
            {
                "ovf:capacity": str(disk.capacity_bytes),
                "ovf:diskId": disk.disk_id,
                "ovf:fileRef": disk.file_id,
                "ovf:format": STREAM_FORMAT,
                "vbox:uuid": _uuid(disk.disk_id),
            },
        )
    add_networks(
        root, networks_of(vms), "Logical networks used in the package", "Logical network used by this appliance."
    )
    for vm, of_vm in zip(vms, disks, strict=True):
        _system(root, vm, of_vm, version == "2.0")
    return to_text(root)


def _uuid(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def _system(root: ET.Element, vm: ApplianceSpec, disks: Sequence[PackedDisk], modern: bool) -> None:
    system = add(root, "VirtualSystem", "", {"ovf:id": vm.name})
    add(system, "Info", "A virtual machine")
    if vm.annotation:
        note = add(system, "AnnotationSection")
        add(note, "Info", "A human-readable annotation")
        add(note, "Annotation", vm.annotation)
    guest = add(system, "OperatingSystemSection", "", {"ovf:id": str(vm.cim_os)})
    add(guest, "Info", "The kind of installed guest operating system")
    add(guest, "Description", vm.virtualbox_os)
    add(guest, "vbox:OSType", vm.virtualbox_os, {"ovf:required": "false"})
    hardware = add(system, "VirtualHardwareSection")
    add(hardware, "Info", "Virtual hardware requirements for a virtual machine")
    settings = add(hardware, "System")
    add(settings, "vssd:ElementName", "Virtual Hardware Family")
    add(settings, "vssd:InstanceID", "0")
    add(settings, "vssd:VirtualSystemIdentifier", vm.name)
    add(settings, "vssd:VirtualSystemType", "virtualbox-2.2")
    ids = itertools.count(1)
    cpus = f"{vm.cpus} virtual CPU"
    _item(hardware, ids, cpus, 3, Description="Number of virtual CPUs", VirtualQuantity=vm.cpus)
    memory = vm.memory_bytes // MIB
    _item(
        hardware,
        ids,
        f"{memory} MB of memory",
        4,
        AllocationUnits="MegaBytes",
        Description="Memory Size",
        VirtualQuantity=memory,
    )
    _storage(hardware, vm, disks, ids, modern)
    _nics(hardware, vm, ids, modern)
    _machine(system, vm, disks)


def _item(
    hardware: ET.Element, ids: Iterator[int], caption: str, kind: int, *, prefix: str = "rasd", **fields: object
) -> int:
    """A resource with the same caption and name, as VirtualBox writes them; its instance id."""
    tag = {"rasd": "Item", "sasd": "StorageItem", "epasd": "EthernetPortItem"}[prefix]
    number = next(ids)
    every = {"Caption": caption, "ElementName": caption, "InstanceID": number, "ResourceType": kind, **fields}
    rasd_item(hardware, every, prefix=prefix, tag=tag)
    return number


def _storage(
    hardware: ET.Element, vm: ApplianceSpec, disks: Sequence[PackedDisk], ids: Iterator[int], modern: bool
) -> None:
    prefix = "sasd" if modern else "rasd"
    parents: dict[tuple[DiskBus, int], int] = {}
    wanted = controllers_of(disks)
    if vm.cd_drives and not any(bus is DiskBus.IDE for bus, _, _ in wanted):
        wanted.append((DiskBus.IDE, 0, ""))
    for bus, number, model in wanted:
        kind, name, description, usual = _CONTROLLERS[bus]
        parents[bus, number] = _item(
            hardware,
            ids,
            f"{name}{number}",
            kind,
            Address=number,
            Description=description,
            ResourceSubType=model or usual,
        )
    for position, disk in enumerate(disks, start=1):
        _item(
            hardware,
            ids,
            f"disk{position}",
            17,
            prefix=prefix,
            AddressOnParent=disk.spec.unit,
            Description="Disk Image",
            HostResource=f"/disk/{disk.disk_id}",
            Parent=parents[disk.spec.bus, disk.spec.controller],
        )
    for position in range(vm.cd_drives):
        parent = next(number for (bus, _), number in parents.items() if bus is DiskBus.IDE)
        _item(
            hardware,
            ids,
            f"cdrom{position + 1}",
            15,
            prefix=prefix,
            AddressOnParent=1 - position,
            AutomaticAllocation="true",
            Description="CD-ROM Drive",
            Parent=parent,
        )


def _nics(hardware: ET.Element, vm: ApplianceSpec, ids: Iterator[int], modern: bool) -> None:
    for nic in vm.nics:
        _item(
            hardware,
            ids,
            f"Ethernet adapter on '{nic.network}'",
            10,
            prefix="epasd" if modern else "rasd",
            AutomaticAllocation="true",
            Connection=nic.network,
            ResourceSubType=_NICS.get(nic.model, "E1000"),
        )


def _machine(system: ET.Element, vm: ApplianceSpec, disks: Sequence[PackedDisk]) -> None:
    """VirtualBox's own record: the only place of firmware, MAC addresses and the cable's state."""
    machine = add(
        system,
        "vbox:Machine",
        "",
        {
            "ovf:required": "false",
            "version": "1.19-linux",
            "uuid": f"{{{_uuid(vm.name)}}}",
            "name": vm.name,
            "OSType": vm.virtualbox_os,
            "snapshotFolder": "Snapshots",
            "lastStateChange": "2023-11-14T22:13:20Z",
        },
    )
    add(machine, "ovf:Info", "Complete VirtualBox machine configuration in VirtualBox format")
    hardware = add(machine, "Hardware")
    add(hardware, "CPU", "", {"count": str(vm.cpus)})
    add(hardware, "Memory", "", {"RAMSize": str(vm.memory_bytes // MIB)})
    if vm.firmware is Firmware.UEFI:
        add(hardware, "Firmware", "", {"type": "EFI64"})
    if vm.vtpm:
        add(hardware, "TrustedPlatformModule", "", {"type": "v2_0"})
    _machine_nics(hardware, vm)
    _machine_storage(machine, disks)


def _machine_nics(hardware: ET.Element, vm: ApplianceSpec) -> None:
    network = add(hardware, "Network")
    for slot, nic in enumerate(vm.nics):
        attributes = {
            "slot": str(slot),
            "enabled": "true",
            "cable": str(nic.connected).lower(),
            "type": _MACHINE_NICS.get(nic.model, "82540EM"),
        }
        if nic.mac:
            attributes["MACAddress"] = nic.mac.replace(":", "").upper()
        adapter = add(network, "Adapter", "", attributes)
        add(adapter, "BridgedInterface", "", {"name": nic.network})


def _machine_storage(machine: ET.Element, disks: Sequence[PackedDisk]) -> None:
    storage = add(machine, "StorageControllers")
    for bus, number, _ in controllers_of(disks):
        name, kind = _MACHINE_CONTROLLERS[bus]
        controller = add(storage, "StorageController", "", {"name": name, "type": kind, "Bootable": "true"})
        for disk in disks:
            if (disk.spec.bus, disk.spec.controller) == (bus, number):
                attached = add(
                    controller,
                    "AttachedDevice",
                    "",
                    {"type": "HardDisk", "hotpluggable": "false", "port": str(disk.spec.unit), "device": "0"},
                )
                add(attached, "Image", "", {"uuid": f"{{{_uuid(disk.disk_id)}}}"})
