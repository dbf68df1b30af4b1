# SPDX-License-Identifier: Apache-2.0
"""Building blocks of an OVF envelope, and the envelope as VMware's export writes it.

Element and attribute names follow DMTF DSP0243 1.1; VMware's own (`vmw:`) are those of OVF Tool and vCenter exports.
"""

import itertools
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence

from v2x.model.machine import DiskBus, Firmware, NicModel
from v2x.model.units import GIB, MIB
from v2x.simulators.appliance.spec import ApplianceSpec, NicSpec, PackedDisk

OVF = "http://schemas.dmtf.org/ovf/envelope/1"
CIM = "http://schemas.dmtf.org/wbem/wscim/1"
RASD = f"{CIM}/cim-schema/2/CIM_ResourceAllocationSettingData"
VSSD = f"{CIM}/cim-schema/2/CIM_VirtualSystemSettingData"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
STREAM_FORMAT = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"

_CONTROLLERS = {
    DiskBus.SCSI: (6, "SCSI Controller", "SCSI controller {}", "VirtualSCSI"),
    DiskBus.IDE: (5, "IDE Controller", "VirtualIDEController {}", ""),
    DiskBus.SATA: (20, "SATA Controller", "SATA controller {}", "vmware.sata.ahci"),
    DiskBus.NVME: (20, "NVMe Controller", "NVMe controller {}", "vmware.nvme.controller"),
}
_NICS = {
    NicModel.VMXNET3: "VmxNet3",
    NicModel.E1000: "E1000",
    NicModel.E1000E: "E1000e",
    NicModel.PCNET32: "PCNet32",
    NicModel.VMXNET2: "VmxNet2",
}


def add(parent: ET.Element, tag: str, text: str = "", attributes: Mapping[str, str] | None = None) -> ET.Element:
    """A new child element `tag` (with its prefix) of `parent`."""
    child = ET.SubElement(parent, tag, dict(attributes or {}))
    child.text = text or None
    return child


def rasd_item(
    section: ET.Element, fields: Mapping[str, object], *, prefix: str = "rasd", tag: str = "Item"
) -> ET.Element:
    """A resource: its fields in alphabetical order, as the schema demands; those that are None are left out."""
    item = ET.SubElement(section, tag)
    for name, value in sorted(fields.items()):
        if value is not None:
            add(item, f"{prefix}:{name}", str(value))
    return item


def to_text(root: ET.Element) -> bytes:
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode()


def add_references(root: ET.Element, disks: Sequence[PackedDisk], *, with_size: bool = True) -> None:
    references = add(root, "References")
    for disk in disks:
        attributes = {"ovf:href": disk.href, "ovf:id": disk.file_id}
        if with_size:
            attributes["ovf:size"] = str(disk.size_bytes)
        if disk.compression:
            attributes["ovf:compression"] = disk.compression
        add(references, "File", "", attributes)


def add_networks(root: ET.Element, names: Sequence[str], info: str, description: str) -> None:
    section = add(root, "NetworkSection")
    add(section, "Info", info)
    for name in names:
        network = add(section, "Network", "", {"ovf:name": name})
        add(network, "Description", description.format(name))


def networks_of(vms: Sequence[ApplianceSpec]) -> list[str]:
    """Each network once, in the order of first use."""
    return list(dict.fromkeys(nic.network for vm in vms for nic in vm.nics))


def controllers_of(disks: Sequence[PackedDisk]) -> list[tuple[DiskBus, int, str]]:
    """(bus, number, model) of each controller, in the order of first use."""
    found: dict[tuple[DiskBus, int], str] = {}
    for disk in disks:
        found.setdefault((disk.spec.bus, disk.spec.controller), disk.spec.controller_model)
    return [(bus, number, model) for (bus, number), model in found.items()]


def vmware_envelope(vms: Sequence[ApplianceSpec], disks: Sequence[Sequence[PackedDisk]]) -> bytes:
    """The envelope of a vCenter or OVF Tool export; several machines go into a VirtualSystemCollection."""
    root = ET.Element(
        "Envelope",
        {
            "vmw:buildId": "build-20519728",
            "xmlns": OVF,
            "xmlns:cim": f"{CIM}/common",
            "xmlns:ovf": OVF,
            "xmlns:rasd": RASD,
            "xmlns:vmw": "http://www.vmware.com/schema/ovf",
            "xmlns:vssd": VSSD,
            "xmlns:xsi": XSI,
        },
    )
    every_disk = [disk for of_vm in disks for disk in of_vm]
    add_references(root, every_disk)
    _vmware_disks(root, every_disk)
    add_networks(root, networks_of(vms), "The list of logical networks", "The {} network")
    holder = root
    if len(vms) > 1:
        holder = add(root, "VirtualSystemCollection", "", {"ovf:id": "collection"})
        add(holder, "Info", "A collection of virtual machines")
        add(holder, "Name", "collection")
    for vm, of_vm in zip(vms, disks, strict=True):
        _vmware_system(holder, vm, of_vm)
    return to_text(root)


def _vmware_disks(root: ET.Element, disks: Sequence[PackedDisk]) -> None:
    section = add(root, "DiskSection")
    add(section, "Info", "Virtual disk information")
    for disk in disks:
        capacity, units = _in_units(disk.capacity_bytes)
        add(
            section,
            "Disk",
            "",
            {
                "ovf:capacity": str(capacity),
                "ovf:capacityAllocationUnits": units,
                "ovf:diskId": disk.disk_id,
                "ovf:fileRef": disk.file_id,
                "ovf:format": STREAM_FORMAT,
                "ovf:populatedSize": str(disk.populated_bytes),
            },
        )


def _in_units(size: int) -> tuple[int, str]:
    for unit, name in ((GIB, "byte * 2^30"), (MIB, "byte * 2^20"), (1024, "byte * 2^10")):
        if size % unit == 0:
            return size // unit, name
    return size, "byte"


def _vmware_system(holder: ET.Element, vm: ApplianceSpec, disks: Sequence[PackedDisk]) -> None:
    system = add(holder, "VirtualSystem", "", {"ovf:id": vm.name})
    add(system, "Info", "A virtual machine")
    add(system, "Name", vm.name)
    guest = add(system, "OperatingSystemSection", "", {"ovf:id": str(vm.cim_os), "vmw:osType": vm.vmware_os})
    add(guest, "Info", "The kind of installed guest operating system")
    add(guest, "Description", vm.os_name)
    hardware = add(system, "VirtualHardwareSection")
    add(hardware, "Info", "Virtual hardware requirements")
    settings = add(hardware, "System")
    add(settings, "vssd:ElementName", "Virtual Hardware Family")
    add(settings, "vssd:InstanceID", "0")
    add(settings, "vssd:VirtualSystemIdentifier", vm.name)
    add(settings, "vssd:VirtualSystemType", f"vmx-{vm.hardware_version:02d}")
    ids = itertools.count(1)
    _vmware_processors(hardware, vm, ids)
    _vmware_storage(hardware, vm, disks, ids)
    for position, nic in enumerate(vm.nics):
        _vmware_nic(hardware, nic, position, ids)
    _vmware_settings(hardware, vm, ids)
    if vm.annotation:
        note = add(system, "AnnotationSection")
        add(note, "Info", "A human-readable annotation")
        add(note, "Annotation", vm.annotation)


def _vmware_processors(hardware: ET.Element, vm: ApplianceSpec, ids: Iterator[int]) -> None:
    cpu = rasd_item(
        hardware,
        {
            "AllocationUnits": "hertz * 10^6",
            "Description": "Number of Virtual CPUs",
            "ElementName": f"{vm.cpus} virtual CPU(s)",
            "InstanceID": next(ids),
            "ResourceType": 3,
            "VirtualQuantity": vm.cpus,
        },
    )
    add(cpu, "vmw:CoresPerSocket", str(vm.cores_per_socket), {"ovf:required": "false"})
    rasd_item(
        hardware,
        {
            "AllocationUnits": "byte * 2^20",
            "Description": "Memory Size",
            "ElementName": f"{vm.memory_bytes // MIB}MB of memory",
            "InstanceID": next(ids),
            "ResourceType": 4,
            "VirtualQuantity": vm.memory_bytes // MIB,
        },
    )


def _vmware_storage(hardware: ET.Element, vm: ApplianceSpec, disks: Sequence[PackedDisk], ids: Iterator[int]) -> None:
    parents: dict[tuple[DiskBus, int], int] = {}
    wanted = controllers_of(disks)
    if vm.cd_drives and not any(bus is DiskBus.IDE and number == 1 for bus, number, _ in wanted):
        wanted.append((DiskBus.IDE, 1, ""))
    for bus, number, model in wanted:
        kind, description, name, usual = _CONTROLLERS[bus]
        parents[bus, number] = next(ids)
        rasd_item(
            hardware,
            {
                "Address": number,
                "Description": description,
                "ElementName": name.format(number),
                "InstanceID": parents[bus, number],
                "ResourceSubType": model or usual or None,
                "ResourceType": kind,
            },
        )
    _vmware_drives(hardware, vm, disks, parents, ids)


def _vmware_drives(
    hardware: ET.Element,
    vm: ApplianceSpec,
    disks: Sequence[PackedDisk],
    parents: Mapping[tuple[DiskBus, int], int],
    ids: Iterator[int],
) -> None:
    for position, disk in enumerate(disks):
        item = rasd_item(
            hardware,
            {
                "AddressOnParent": disk.spec.unit,
                "ElementName": f"Hard Disk {position + 1}",
                "HostResource": f"ovf:/disk/{disk.disk_id}",
                "InstanceID": next(ids),
                "Parent": parents[disk.spec.bus, disk.spec.controller],
                "ResourceType": 17,
            },
        )
        _config(item, "backing.writeThrough", "false")
    for position in range(vm.cd_drives):
        rasd_item(
            hardware,
            {
                "AddressOnParent": position,
                "AutomaticAllocation": "false",
                "ElementName": f"CD-ROM {position + 1}",
                "InstanceID": next(ids),
                "Parent": parents[DiskBus.IDE, 1],
                "ResourceSubType": "vmware.cdrom.remotepassthrough",
                "ResourceType": 15,
            },
        )


def _vmware_nic(hardware: ET.Element, nic: NicSpec, position: int, ids: Iterator[int]) -> None:
    model = _NICS.get(nic.model, "E1000")
    item = rasd_item(
        hardware,
        {
            "Address": nic.mac or None,
            "AddressOnParent": 7 + position,
            "AutomaticAllocation": str(nic.connected).lower(),
            "Connection": nic.network,
            "Description": f'{model} ethernet adapter on "{nic.network}"',
            "ElementName": f"Ethernet {position + 1}",
            "InstanceID": next(ids),
            "ResourceSubType": model,
            "ResourceType": 10,
        },
    )
    _config(item, "wakeOnLanEnabled", "true")


def _vmware_settings(hardware: ET.Element, vm: ApplianceSpec, ids: Iterator[int]) -> None:
    video = rasd_item(
        hardware,
        {
            "AutomaticAllocation": "false",
            "ElementName": "Video card",
            "InstanceID": next(ids),
            "ResourceType": 24,
        },
    )
    video.set("ovf:required", "false")
    if vm.vtpm:
        tpm = rasd_item(
            hardware,
            {
                "AutomaticAllocation": "false",
                "ElementName": "Virtual TPM",
                "InstanceID": next(ids),
                "ResourceSubType": "vmware.vtpm",
                "ResourceType": 1,
            },
        )
        tpm.set("ovf:required", "false")
    uefi = vm.firmware is Firmware.UEFI
    _config(hardware, "cpuHotAddEnabled", "false")
    _config(hardware, "firmware", "efi" if uefi else "bios")
    if uefi:
        _config(hardware, "bootOptions.efiSecureBootEnabled", str(vm.secure_boot).lower())
    _config(hardware, "tools.syncTimeWithHost", "false")
    for key, value in vm.extra.items():
        add(hardware, "vmw:ExtraConfig", "", {"ovf:required": "false", "vmw:key": key, "vmw:value": value})


def _config(parent: ET.Element, key: str, value: str) -> None:
    add(parent, "vmw:Config", "", {"ovf:required": "false", "vmw:key": key, "vmw:value": value})
