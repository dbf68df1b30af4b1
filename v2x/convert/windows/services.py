# SPDX-License-Identifier: Apache-2.0
"""Drivers and services in the registry: which of them start by themselves, and which are made to, or not to."""

from collections.abc import Iterator

from v2x.convert.interface import Proposal, Remark
from v2x.convert.registry import Hive, KeyRemoval, RegistryEdit, ValueEdit, dword
from v2x.convert.windows.view import WindowsView, find

BOOT, AUTOMATIC, DISABLED = 0, 2, 4
"""Values of Start: by the boot loader, by itself once the system runs, never. 1 is with the kernel, 3 on demand."""

_BOOT_DRIVERS = {
    "storahci": "storahci.sys",
    "stornvme": "stornvme.sys",
    "atapi": "atapi.sys",
    "intelide": "intelide.sys",
    "pciide": "pciide.sys",
    "msahci": "msahci.sys",
}
"""For the disks of the pool's machines until the PV drivers run: IDE under BIOS (atapi, intelide, pciide), NVMe under
UEFI, AHCI where QEMU is told so. Windows 8 and later take those that they did not need out of the boot by a subkey
StartOverride, which ends in stop code 0x7B on other hardware."""

_VMWARE = (
    *("VMTools", "VGAuthService", "vm3dservice", "VMware Physical Disk Helper Service", "vmvss"),
    *("VMwareCAFCommAmqpListener", "VMwareCAFManagementAgentHost"),
    *("vmci", "vsock", "vmhgfs", "vmmemctl", "vmrawdsk", "vm3dmp_loader"),
)
"""Services and drivers of VMware Tools that start without a device of theirs. Not pvscsi, which does nothing without
its controller, and never the filters of its mouse or of its disks: a class that names a driver needs it."""

_HYPER_V = (
    *("vmicheartbeat", "vmickvpexchange", "vmicrdv", "vmicshutdown", "vmictimesync", "vmicvss"),
    *("vmicguestinterface", "vmicvmsession"),
)
"""Hyper-V's services for guests. They belong to Windows and start on demand, but by themselves where the integration
services of old were installed. vmbus, storvsc and netvsc stay: they do nothing without their devices."""

_FILTERS = ("UpperFilters", "LowerFilters")


def boot_drivers(view: WindowsView) -> Proposal:
    """Sets what is installed to start at boot, in every control set that may be the next."""
    edits: list[RegistryEdit] = []
    remarks: list[Remark] = []
    folder = find(view.disk, f"{view.facts.root}/System32/drivers")
    files = {name.casefold() for name in view.disk.listdir(folder)} if folder else set()
    for control_set in view.facts.control_sets:
        for service, file in _BOOT_DRIVERS.items():
            key = f"{control_set}\\Services\\{service}"
            start = view.registry.value(Hive.SYSTEM, key, "Start")
            if start is None or file not in files:
                continue
            if start.number != BOOT:
                why = "a machine of the pool may boot from such a disk"
                edits.append(
                    ValueEdit(hive=Hive.SYSTEM, key=key, name="Start", before=start, after=dword(BOOT), why=why)
                )
            override = view.registry.values(Hive.SYSTEM, f"{key}\\StartOverride")
            if override is not None:
                why = "it takes the driver out of the boot: stop code 0x7B on the pool"
                values = tuple(override.items())
                edits.append(KeyRemoval(hive=Hive.SYSTEM, key=f"{key}\\StartOverride", values=values, why=why))
    if "stornvme.sys" not in files:
        remarks.append(
            Remark(
                text="this Windows has no NVMe driver, and UEFI machines of the pool begin with NVMe disks",
                remedy="a machine with BIOS begins with IDE, which it has",
            )
        )
    return Proposal(registry=tuple(edits), remarks=tuple(remarks))


def old_services(view: WindowsView) -> Proposal:
    """Disables what starts by itself for a hypervisor that is gone; the old values are the way back."""
    edits: list[RegistryEdit] = []
    remarks: list[Remark] = []
    filters = _filters(view)
    for maker, services in (("VMware", _VMWARE), ("Hyper-V", _HYPER_V)):
        for service in services:
            if service.casefold() in filters:
                remarks.append(
                    Remark(
                        text=f"{service} of {maker} is a filter of a whole class of devices and was left",
                        remedy="remove its software in the guest",
                    )
                )
                continue
            edits += _disabled(view, service, maker)
    return Proposal(registry=tuple(edits), remarks=tuple(remarks))


def _disabled(view: WindowsView, service: str, maker: str) -> Iterator[RegistryEdit]:
    for control_set in view.facts.control_sets:
        key = f"{control_set}\\Services\\{service}"
        start = view.registry.value(Hive.SYSTEM, key, "Start")
        if start is not None and start.number is not None and start.number <= AUTOMATIC:
            why = f"{maker} is gone, and this would start without it"
            yield ValueEdit(hive=Hive.SYSTEM, key=key, name="Start", before=start, after=dword(DISABLED), why=why)


def _filters(view: WindowsView) -> set[str]:
    """Drivers that stand above or below all devices of a class."""
    found: set[str] = set()
    classes = f"{view.control_set}\\Control\\Class"
    for name in view.registry.subkeys(Hive.SYSTEM, classes):
        for which in _FILTERS:
            value = view.registry.value(Hive.SYSTEM, f"{classes}\\{name}", which)
            found |= {one.casefold() for one in value.texts} if value else set()
    return found
