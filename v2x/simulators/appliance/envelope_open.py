# SPDX-License-Identifier: Apache-2.0
"""The envelopes of oVirt (engine 4.x, "export as OVA") and of XenServer (XenCenter, "export as OVF/OVA").

Names of elements and values follow the public sources of the two exporters (oVirt engine: OvfWriter, OvfOvaWriter;
xenadmin: XenOvfApi and OvfActions/Export).
"""

import itertools
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from v2x.model.machine import DiskBus, Firmware, NicModel
from v2x.model.units import GIB, MIB, round_up
from v2x.simulators.appliance.envelope import (
    CIM,
    OVF,
    RASD,
    VSSD,
    XSI,
    add,
    add_networks,
    add_references,
    networks_of,
    rasd_item,
    to_text,
)
from v2x.simulators.appliance.spec import ApplianceSpec, PackedDisk

CITRIX = "http://schemas.citrix.com/ovf/envelope/1"
QCOW_FORMAT = "http://www.gnome.org/~markmc/qcow-image-format.html"
VHD_FORMAT = "http://www.microsoft.com/technet/virtualserver/downloads/vhdspec.mspx"

_OVIRT_BUS = {DiskBus.VIRTIO: "VirtIO", DiskBus.SCSI: "VirtIO_SCSI", DiskBus.IDE: "IDE", DiskBus.SATA: "SATA"}
_OVIRT_NICS = {NicModel.RTL8139: 1, NicModel.E1000: 2, NicModel.VIRTIO: 3, NicModel.SRIOV: 5, NicModel.E1000E: 6}


def _uuid(*words: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, "/".join(words)))


def ovirt_envelope(vm: ApplianceSpec, disks: Sequence[PackedDisk]) -> bytes:
    """oVirt's envelope. A disk's capacity is in whole GiB, rounded up: its exact size stands in the QCOW2 file only."""
    root = ET.Element(
        "ovf:Envelope",
        {
            "xmlns:ovf": OVF,
            "xmlns:rasd": RASD,
            "xmlns:vssd": VSSD,
            "xmlns:xsi": XSI,
            "xmlns": OVF,
            "xmlns:ovirt": "http://www.ovirt.org/ovf",
            "ovf:version": "4.4.0.0",
        },
    )
    add_references(root, disks)
    networks = add(root, "NetworkSection")
    add(networks, "Info", "List of networks")
    for name in networks_of([vm]):
        add(networks, "Network", "", {"ovf:name": name})
    section = add(root, "DiskSection")
    add(section, "Info", "List of Virtual Disks")
    for position, disk in enumerate(disks):
        _ovirt_disk(section, disk, position)
    system = add(root, "VirtualSystem", "", {"ovf:id": _uuid(vm.name)})
    add(system, "Name", vm.name)
    add(system, "Description", vm.annotation)
    add(system, "CreationDate", "2023/11/14 22:13:20")
    add(system, "ExportDate", "2023/11/14 22:13:20")
    add(system, "ClusterCompatibilityVersion", "4.7")
    add(system, "VmType", "1")
    add(system, "BiosType", str(_ovirt_bios(vm)))
    guest = add(
        system,
        "OperatingSystemSection",
        "",
        {"ovf:id": str(vm.cim_os), "ovirt:id": "1300", "ovf:required": "false"},
    )
    add(guest, "Info", "Guest Operating System")
    add(guest, "Description", vm.ovirt_os)
    _ovirt_hardware(system, vm, disks)
    return to_text(root)


def _ovirt_bios(vm: ApplianceSpec) -> int:
    """oVirt's BiosType: 2 Q35 with SeaBIOS, 3 Q35 with OVMF, 4 Q35 with OVMF and Secure Boot."""
    if vm.firmware is Firmware.BIOS:
        return 2
    return 4 if vm.secure_boot else 3


def _ovirt_disk(section: ET.Element, disk: PackedDisk, position: int) -> None:
    add(
        section,
        "Disk",
        "",
        {
            "ovf:diskId": disk.disk_id,
            "ovf:capacity": str(round_up(disk.capacity_bytes, GIB) // GIB),
            "ovf:capacityAllocationUnits": "byte * 2^30",
            "ovf:populatedSize": str(disk.size_bytes),
            "ovf:parentRef": "",
            "ovf:fileRef": disk.file_id,
            "ovf:format": QCOW_FORMAT,
            "ovf:volume-format": "COW",
            "ovf:volume-type": "Sparse",
            "ovf:disk-interface": _OVIRT_BUS.get(disk.spec.bus, "VirtIO_SCSI"),
            "ovf:boot": str(position == 0).lower(),
            "ovf:pass-discard": "false",
            "ovf:disk-alias": f"disk{position + 1}",
            "ovf:disk-description": "",
            "ovf:wipe-after-delete": "false",
            "ovf:description": "Active VM",
            "ovf:disk_storage_type": "IMAGE",
            "ovf:cinder_volume_type": "",
        },
    )


def _ovirt_hardware(system: ET.Element, vm: ApplianceSpec, disks: Sequence[PackedDisk]) -> None:
    memory = vm.memory_bytes // MIB
    ids = itertools.count(1)
    hardware = add(system, "VirtualHardwareSection")
    add(hardware, "Info", f"{vm.cpus} CPU, {memory} Memory")
    settings = add(hardware, "System")
    add(settings, "vssd:VirtualSystemType", "ENGINE 4.4.0.0")
    _fields(
        hardware,
        ("Caption", f"{vm.cpus} virtual cpu"),
        ("Description", "Number of virtual CPU"),
        ("InstanceID", str(next(ids))),
        ("ResourceType", "3"),
        ("num_of_sockets", str(vm.cpus // vm.cores_per_socket)),
        ("cpu_per_socket", str(vm.cores_per_socket)),
        ("threads_per_cpu", "1"),
        ("max_num_of_vcpus", "16"),
        ("VirtualQuantity", str(vm.cpus)),
    )
    _fields(
        hardware,
        ("Caption", f"{memory} MB of memory"),
        ("Description", "Memory Size"),
        ("InstanceID", str(next(ids))),
        ("ResourceType", "4"),
        ("AllocationUnits", "MegaBytes"),
        ("VirtualQuantity", str(memory)),
    )
    _ovirt_drives(hardware, disks)
    _ovirt_nics(hardware, vm)
    for _ in range(vm.cd_drives):
        _fields(hardware, ("Caption", "CDROM"), ("InstanceID", _uuid(vm.name, "cdrom")), ("ResourceType", "15"))


def _fields(hardware: ET.Element, *fields: tuple[str, str]) -> ET.Element:
    """An Item with `rasd:` fields in the order given: oVirt's is not the schema's."""
    item = add(hardware, "Item")
    for name, value in fields:
        add(item, f"rasd:{name}", value)
    return item


def _ovirt_drives(hardware: ET.Element, disks: Sequence[PackedDisk]) -> None:
    for position, disk in enumerate(disks, start=1):
        item = _fields(
            hardware,
            ("Caption", f"disk{position}"),
            ("InstanceID", disk.file_id),
            ("ResourceType", "17"),
            ("HostResource", f"ovf:/disk/{disk.disk_id}"),
            ("Parent", "00000000-0000-0000-0000-000000000000"),
        )
        add(item, "Type", "disk")
        add(item, "Device", "disk")
        add(item, "rasd:Address", f"{{type=drive, bus=0, controller=0, target=0, unit={disk.spec.unit}}}")
        add(item, "BootOrder", str(1 if position == 1 else 0))
        add(item, "IsPlugged", "true")
        add(item, "IsReadOnly", "false")


def _ovirt_nics(hardware: ET.Element, vm: ApplianceSpec) -> None:
    for position, nic in enumerate(vm.nics, start=1):
        _fields(
            hardware,
            ("Caption", f"Ethernet adapter on {nic.network}"),
            ("InstanceID", _uuid(vm.name, "nic", str(position))),
            ("ResourceType", "10"),
            ("OtherResourceType", nic.network),
            ("ResourceSubType", str(_OVIRT_NICS.get(nic.model, 3))),
            ("Connection", nic.network),
            ("Linked", str(nic.connected).lower()),
            ("Name", f"nic{position}"),
            ("ElementName", f"nic{position}"),
            ("MACAddress", nic.mac),
            ("speed", "10000"),
        )


def xenserver_envelope(vm: ApplianceSpec, disks: Sequence[PackedDisk]) -> bytes:
    """XenCenter's envelope: disks are resources of type 19, and Xen's settings are a list of named strings.

    A network is named by its UUID; its label stands only in the element name of the adapters on it.
    """
    root = ET.Element(
        "Envelope",
        {
            "xmlns": OVF,
            "xmlns:ovf": OVF,
            "xmlns:rasd": RASD,
            "xmlns:vssd": VSSD,
            "xmlns:xsi": XSI,
            "xmlns:citrix": CITRIX,
            "xmlns:cim": f"{CIM}/common",
            "ovf:version": "1.0.0",
            "xml:lang": "en-us",
        },
    )
    add_references(root, disks)
    section = add(root, "DiskSection")
    add(section, "Info", "Available Disks")
    for position, disk in enumerate(disks):
        attributes = {
            "ovf:diskId": disk.disk_id,
            "ovf:fileRef": disk.file_id,
            "ovf:capacity": str(disk.capacity_bytes),
            "ovf:capacityAllocationUnits": "bytes",
            "ovf:populatedSize": str(disk.size_bytes),
            "ovf:format": VHD_FORMAT,
            "citrix:isBootable": str(position == 0).lower(),
        }
        add(section, "Disk", "", attributes)
    add_networks(root, [_uuid("network", name) for name in networks_of([vm])], "Available Networks", "Network Adapter")
    system = add(root, "VirtualSystem", "", {"ovf:id": _uuid("xen", vm.name)})
    add(system, "Info", "XenOVF Generated")
    add(system, "Name", vm.name)
    guest = add(system, "OperatingSystemSection", "", {"ovf:id": str(vm.cim_os)})
    add(guest, "Info", "Guest Operating System")
    add(guest, "Description", vm.os_name)
    _xenserver_hardware(system, vm, disks)
    return to_text(root)


def _xenserver_hardware(system: ET.Element, vm: ApplianceSpec, disks: Sequence[PackedDisk]) -> None:
    memory = vm.memory_bytes // MIB
    hardware = add(system, "VirtualHardwareSection")
    info = f"{memory} MB RAM; {vm.cpus} CPU(s), {len(disks)} Disk(s), {len(vm.nics)} Network(s)"
    add(hardware, "Info", f"Virtual Hardware Requirements: {info}")
    settings = add(hardware, "System")
    add(settings, "vssd:Caption", "Xen Virtual Machine")
    add(settings, "vssd:Description", vm.annotation)
    add(settings, "vssd:ElementName", vm.name)
    add(settings, "vssd:InstanceID", _uuid("xen", vm.name, "system"))
    add(settings, "vssd:VirtualSystemIdentifier", _uuid("xen", vm.name))
    add(settings, "vssd:VirtualSystemType", "hvm-3.0-unknown")
    cpu = _xenserver_resource(vm, "cpu", 3, "Processor", "Processor Cores")
    rasd_item(hardware, {**cpu, "VirtualQuantity": vm.cpus})
    ram = _xenserver_resource(vm, "memory", 4, "Memory", "byte * 2^20")
    rasd_item(hardware, {**ram, "VirtualQuantity": memory})
    _xenserver_devices(hardware, vm, disks)
    firmware = "uefi" if vm.firmware is Firmware.UEFI else "bios"
    secure = ";secureboot=true" if vm.secure_boot else ""
    for name, value in (
        ("HVM_boot_params", f"order=cdn;firmware={firmware}"),
        ("HVM_boot_policy", "BIOS order"),
        ("platform", f"nx=true;acpi=1;apic=true;pae=true;cores-per-socket={vm.cores_per_socket}{secure}"),
    ):
        data = add(hardware, "citrix:VirtualSystemOtherConfigurationData", "", {"Name": name})
        add(data, "citrix:Value", value)


def _xenserver_devices(hardware: ET.Element, vm: ApplianceSpec, disks: Sequence[PackedDisk]) -> None:
    for position, nic in enumerate(vm.nics):
        fields = _xenserver_resource(vm, f"nic{position}", 10, "Network Adapter", "Ports")
        rasd_item(
            hardware,
            {
                **fields,
                "Address": nic.mac or None,
                "Connection": _uuid("network", nic.network),
                "ElementName": nic.network,
            },
        )
    for position, disk in enumerate(disks):
        fields = _xenserver_resource(vm, f"disk{position}", 19, "Hard Disk Image", "Disk")
        place = {
            "AddressOnParent": position,
            "HostResource": f"ovf:/disk/{disk.disk_id}",
            "InstanceID": disk.disk_id,
            "ResourceSubType": "Virtual Hard Disk Image",
        }
        rasd_item(hardware, {**fields, **place})
    for position in range(vm.cd_drives):
        rasd_item(hardware, _xenserver_resource(vm, f"cd{position}", 16, "CD/DVD Drive", "DVD Drives"))


def _xenserver_resource(vm: ApplianceSpec, key: str, kind: int, name: str, units: str) -> dict[str, object]:
    return {
        "AllocationUnits": units,
        "Caption": name,
        "Description": name,
        "ElementName": name,
        "InstanceID": _uuid("xen", vm.name, key),
        "ResourceType": kind,
        "VirtualQuantity": 1,
    }
