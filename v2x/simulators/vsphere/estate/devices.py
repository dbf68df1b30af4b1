# SPDX-License-Identifier: Apache-2.0
"""From what a machine is to be to the devices that the API shows, with the keys that real machines have."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from pyVmomi import vim

from v2x.simulators.vsphere.estate.specs import DiskSpec, MachineSpec, NicSpec

_d = vim.vm.device
_SCSI = {
    "pvscsi": (_d.ParaVirtualSCSIController, "VMware paravirtual SCSI"),
    "lsilogic": (_d.VirtualLsiLogicController, "LSI Logic"),
    "lsisas": (_d.VirtualLsiLogicSASController, "LSI Logic SAS"),
    "buslogic": (_d.VirtualBusLogicController, "BusLogic"),
}
_NICS = {
    "vmxnet3": (_d.VirtualVmxnet3, "Vmxnet3"),
    "vmxnet2": (_d.VirtualVmxnet2, "Vmxnet2"),
    "e1000": (_d.VirtualE1000, "E1000"),
    "e1000e": (_d.VirtualE1000e, "E1000e"),
    "pcnet32": (_d.VirtualPCNet32, "PCNet32"),
    "sriov": (_d.VirtualSriovEthernetCard, "SR-IOV"),
}
FIRST_KEY = {"ide": 200, "scsi": 1000, "sata": 15000, "nvme": 31000}
DISK_KEY = {"ide": 3000, "scsi": 2000, "sata": 16000, "nvme": 32000}
"""A disk's key says its bus, controller and unit, as on real machines: 2000 is unit 0 of the first SCSI controller."""
_UNITS = {"ide": 2, "scsi": 16, "sata": 30, "nvme": 15}
_SCSI_OWN_UNIT = 7
ADAPTER = {"scsi": "lsilogic", "ide": "ide", "sata": "lsilogic", "nvme": "lsilogic"}

NicBacking = Callable[[NicSpec], Any]


def _info(label: str, summary: str = "") -> Any:
    return vim.Description(label=label, summary=summary or label)


def connectable(connected: bool, start: bool = True) -> Any:
    return _d.VirtualDevice.ConnectInfo(
        startConnected=start, allowGuestControl=True, connected=connected, status="ok" if connected else "untried"
    )


def fixed_devices() -> list[Any]:
    """What every machine has: IDE, keyboard, mouse, PCI, video, VMCI."""
    return [
        _d.VirtualIDEController(key=200, busNumber=0, deviceInfo=_info("IDE 0")),
        _d.VirtualIDEController(key=201, busNumber=1, deviceInfo=_info("IDE 1")),
        _d.VirtualPS2Controller(key=300, busNumber=0, deviceInfo=_info("PS2 controller 0"), device=[600, 700]),
        _d.VirtualPCIController(key=100, busNumber=0, deviceInfo=_info("PCI controller 0")),
        _d.VirtualSIOController(key=400, busNumber=0, deviceInfo=_info("SIO controller 0")),
        _d.VirtualKeyboard(key=600, controllerKey=300, unitNumber=0, deviceInfo=_info("Keyboard")),
        _d.VirtualPointingDevice(
            key=700,
            controllerKey=300,
            unitNumber=1,
            deviceInfo=_info("Pointing device"),
            backing=_d.VirtualPointingDevice.DeviceBackingInfo(
                deviceName="", useAutoDetect=False, hostPointingDevice="autodetect"
            ),
        ),
        _d.VirtualVideoCard(
            key=500,
            controllerKey=100,
            unitNumber=0,
            deviceInfo=_info("Video card "),
            videoRamSizeInKB=4096,
            numDisplays=1,
            useAutoDetect=False,
            enable3DSupport=False,
        ),
        _d.VirtualVMCIDevice(key=12000, controllerKey=100, unitNumber=17, deviceInfo=_info("VMCI device"), id=-1),
    ]


def _controllers(spec: MachineSpec) -> Iterator[Any]:
    for number, kind in enumerate(spec.scsi):
        made, label = _SCSI[kind]
        yield made(
            key=1000 + number,
            busNumber=number,
            controllerKey=100,
            unitNumber=3 + number,
            sharedBus=spec.scsi_sharing,
            scsiCtlrUnitNumber=_SCSI_OWN_UNIT,
            hotAddRemove=True,
            deviceInfo=_info(f"SCSI controller {number}", label),
        )
    numbers = {bus: sorted({d.controller for d in spec.disks if d.bus == bus}) for bus in ("sata", "nvme")}
    if spec.cdrom and not numbers["sata"]:
        numbers["sata"] = [0]
    for number in numbers["sata"]:
        yield _d.VirtualAHCIController(
            key=15000 + number,
            busNumber=number,
            controllerKey=100,
            unitNumber=24 + number,
            deviceInfo=_info(f"SATA controller {number}", "AHCI"),
        )
    for number in numbers["nvme"]:
        yield _d.VirtualNVMEController(
            key=31000 + number,
            busNumber=number,
            controllerKey=100,
            unitNumber=30 + number,
            deviceInfo=_info(f"NVME controller {number}", "NVME"),
        )
    if spec.usb:
        yield _d.VirtualUSBXHCIController(
            key=14000, busNumber=0, controllerKey=100, unitNumber=23, deviceInfo=_info("USB xHCI controller ")
        )


def unit_of(disk: DiskSpec, taken: set[tuple[str, int, int]]) -> int:
    """The disk's unit number on its controller, noted in `taken`."""
    free = (n for n in range(64) if (disk.bus, disk.controller, n) not in taken)
    own = _SCSI_OWN_UNIT if disk.bus == "scsi" else -1
    unit = disk.unit if disk.unit is not None else next(n for n in free if n != own)
    taken.add((disk.bus, disk.controller, unit))
    return unit


def disk_device(disk: DiskSpec, number: int, unit: int, size_bytes: int, backing: Any) -> Any:
    return _d.VirtualDisk(
        key=DISK_KEY[disk.bus] + disk.controller * _UNITS[disk.bus] + unit,
        controllerKey=FIRST_KEY[disk.bus] + disk.controller,
        unitNumber=unit,
        deviceInfo=_info(f"Hard disk {number + 1}", f"{size_bytes // 1024:,} KB"),
        backing=backing,
        capacityInKB=size_bytes // 1024,
        capacityInBytes=size_bytes,
        shares=vim.SharesInfo(shares=1000, level="normal"),
        storageIOAllocation=vim.StorageResourceManager.IOAllocationInfo(
            limit=disk.iops_limit, shares=vim.SharesInfo(shares=1000, level="normal"), reservation=0
        ),
        iofilter=list(disk.filters),
    )


def nic_device(nic: NicSpec, number: int, backing: Any, mac: str, powered: bool) -> Any:
    made, label = _NICS[nic.kind]
    return made(
        key=4000 + number,
        controllerKey=100,
        unitNumber=7 + number,
        deviceInfo=_info(f"Network adapter {number + 1}", label),
        backing=backing,
        connectable=connectable(nic.connected and powered, nic.start_connected),
        addressType="manual" if nic.manual_mac else "assigned",
        macAddress=mac,
        wakeOnLanEnabled=True,
        resourceAllocation=vim.vm.device.VirtualEthernetCard.ResourceAllocation(
            reservation=0, share=vim.SharesInfo(shares=50, level="normal"), limit=nic.limit_mbps
        ),
    )


def _cdrom(spec: MachineSpec) -> Any:
    if spec.cdrom == "client":
        backing = _d.VirtualCdrom.RemotePassthroughBackingInfo(deviceName="", useAutoDetect=False, exclusive=False)
    elif spec.cdrom == "host":
        backing = _d.VirtualCdrom.AtapiBackingInfo(deviceName="/vmfs/devices/cdrom/mpx.vmhba32:C0:T0:L0")
    else:
        backing = _d.VirtualCdrom.IsoBackingInfo(fileName=spec.cdrom)
    return _d.VirtualCdrom(
        key=16010,
        controllerKey=15000,
        unitNumber=10,
        deviceInfo=_info("CD/DVD drive 1", "ISO" if spec.cdrom.startswith("[") else "Remote device"),
        backing=backing,
        connectable=connectable(spec.cdrom.startswith("["), spec.cdrom.startswith("[")),
    )


def _serial(spec: MachineSpec) -> Any:
    if spec.serial.startswith("["):
        backing = _d.VirtualSerialPort.FileBackingInfo(fileName=spec.serial)
    else:
        backing = _d.VirtualSerialPort.URIBackingInfo(serviceURI=spec.serial, direction="server")
    return _d.VirtualSerialPort(
        key=9000,
        controllerKey=400,
        unitNumber=0,
        yieldOnPoll=True,
        deviceInfo=_info("Serial port 1", spec.serial),
        backing=backing,
        connectable=connectable(True),
    )


def other_devices(spec: MachineSpec) -> Iterator[Any]:
    """Controllers beside IDE, drives, ports, TPM, and what the machine was given beyond."""
    yield from _controllers(spec)
    if spec.cdrom:
        yield _cdrom(spec)
    if spec.floppy:
        yield _d.VirtualFloppy(
            key=8000,
            controllerKey=400,
            unitNumber=0,
            deviceInfo=_info("Floppy drive 1", "Remote"),
            backing=_d.VirtualFloppy.RemoteDeviceBackingInfo(deviceName="", useAutoDetect=False),
            connectable=connectable(False, False),
        )
    if spec.serial:
        yield _serial(spec)
    if spec.vtpm:
        yield _d.VirtualTPM(key=11000, deviceInfo=_info("Virtual TPM"), controllerKey=100, unitNumber=40)
    yield from spec.extras


def list_children(devices: list[Any]) -> None:
    """Fills in the keys of the devices on each controller, as the server does."""
    by_key = {d.key: d for d in devices}
    for key, children in itertools.groupby(
        sorted((d for d in devices if d.controllerKey is not None), key=lambda d: d.controllerKey),
        lambda d: d.controllerKey,
    ):
        controller = by_key.get(key)
        if isinstance(controller, _d.VirtualController):
            controller.device = [d.key for d in children]


# devices beyond the usual ones, for `extras`


def usb_device(key: int = 10000) -> Any:
    return _d.VirtualUSB(
        key=key,
        controllerKey=14000,
        unitNumber=0,
        connected=True,
        deviceInfo=_info("USB 1", "Dongle"),
        backing=_d.VirtualUSB.USBBackingInfo(deviceName="path:0/1/2 version:2"),
        vendor=0x0529,
        product=0x0001,
    )


def passthrough_device(key: int = 13000) -> Any:
    return _d.VirtualPCIPassthrough(
        key=key,
        controllerKey=100,
        unitNumber=18,
        deviceInfo=_info("PCI device 0"),
        backing=_d.VirtualPCIPassthrough.DeviceBackingInfo(
            deviceName="", useAutoDetect=False, id="0000:3b:00.0", deviceId="1db4", systemId="55a1", vendorId=0x10DE
        ),
    )


def vgpu_device(key: int = 13001) -> Any:
    return _d.VirtualPCIPassthrough(
        key=key,
        controllerKey=100,
        unitNumber=19,
        deviceInfo=_info("PCI device 1", "NVIDIA GRID vGPU grid_t4-2q"),
        backing=_d.VirtualPCIPassthrough.VmiopBackingInfo(vgpu="grid_t4-2q"),
    )
