# SPDX-License-Identifier: Apache-2.0
"""The items of a VirtualHardwareSection, as the records of CIM_ResourceAllocationSettingData that they are.

The numbers of ResourceType are those of CIM (DSP0243, section 8.4.1); the sub types are the exporters' own words.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from xml.etree.ElementTree import Element

from v2x.errors import BadImage
from v2x.model.machine import DiskBus, NicModel, Other
from v2x.sources.ovf_xml import attr, children, local, text, truth, whole

MOST_ITEMS = 4_096


class Resource(IntEnum):
    OTHER = 1
    PROCESSOR = 3
    MEMORY = 4
    IDE = 5
    SCSI = 6
    ETHERNET = 10
    FLOPPY = 14
    CD = 15
    DVD = 16
    DISK = 17
    STORAGE_EXTENT = 19
    STORAGE_OTHER = 20
    SERIAL = 21
    PARALLEL = 22
    USB = 23
    GRAPHICS = 24
    STORAGE_VOLUME = 31
    SOUND = 35


CONTROLLERS = {Resource.IDE, Resource.SCSI, Resource.STORAGE_OTHER, Resource.USB}
DRIVES = {Resource.DISK, Resource.STORAGE_EXTENT, Resource.STORAGE_VOLUME, Resource.PARALLEL}

_NIC_MODELS = {
    "e1000": NicModel.E1000,
    "e1000e": NicModel.E1000E,
    "vmxnet": NicModel.VMXNET,
    "vmxnet2": NicModel.VMXNET2,
    "vmxnet3": NicModel.VMXNET3,
    "pcnet32": NicModel.PCNET32,
    "pcnet": NicModel.PCNET32,
    "rtl8139": NicModel.RTL8139,
    "virtio": NicModel.VIRTIO,
    "virtio-net": NicModel.VIRTIO,
    "sriov": NicModel.SRIOV,
    "sriovethernetcard": NicModel.SRIOV,
    "netfront": NicModel.NETFRONT,
    # oVirt: names, and the numbers of its older descriptors (VmInterfaceType)
    "pv": NicModel.VIRTIO,
    "rtl8139_pv": NicModel.VIRTIO,
    "pcipassthrough": NicModel.SRIOV,
    "0": NicModel.VIRTIO,
    "1": NicModel.RTL8139,
    "2": NicModel.E1000,
    "3": NicModel.VIRTIO,
    "5": NicModel.SRIOV,
}
_SCSI_MODELS = {"virtualscsi": "pvscsi", "lsilogicsas": "lsilogicsas", "lsilogic": "lsilogic", "buslogic": "buslogic"}
_INTERFACES = {
    "ide": DiskBus.IDE,
    "sata": DiskBus.SATA,
    "scsi": DiskBus.SCSI,
    "nvme": DiskBus.NVME,
    "usb": DiskBus.USB,
    "virtio": DiskBus.VIRTIO,
    "virtio_scsi": DiskBus.SCSI,
    "spapr_vscsi": DiskBus.SCSI,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One item; texts as written, `configs` holds its vmw:Config values."""

    element: Element
    kind: int
    instance: str
    label: str
    subtype: str = ""
    address: str = ""
    address_on_parent: str = ""
    parent: str = ""
    connection: str = ""
    host_resource: str = ""
    quantity: str = ""
    units: str = ""
    enabled: bool = True
    configs: dict[str, str] = field(default_factory=dict)

    @property
    def device(self) -> str:
        """oVirt's word for the device, in its `Device` element."""
        return text(self.element, "Device")


@dataclass(frozen=True, slots=True)
class Controller:
    bus: DiskBus | Other
    number: int
    model: str


def read_items(section: Element, configuration: str, system: str) -> list[Item]:
    """The items that apply in a deployment option: `bound` items are limits, not devices."""
    items: list[Item] = []
    places: dict[str, int] = {}
    for element in children(section, "Item", "StorageItem", "EthernetPortItem"):
        wanted = attr(element, "configuration").split()
        if (wanted and configuration not in wanted) or attr(element, "bound") not in {"", "normal"}:
            continue
        item = _item(element, system)
        if wanted and item.instance in places:
            items[places[item.instance]] = item
            continue
        places[item.instance] = len(items)
        items.append(item)
        if len(items) > MOST_ITEMS:
            raise BadImage(f"{system} has more than {MOST_ITEMS:,} hardware items")
    return items


def _item(element: Element, system: str) -> Item:
    fields: dict[str, str] = {}
    for found in element:
        fields.setdefault(local(found).lower(), text(found))
    instance = fields.get("instanceid", "")
    words = ("elementname", "name", "caption", "device")
    label = next((fields[word] for word in words if fields.get(word)), instance)
    return Item(
        element=element,
        kind=whole(fields.get("resourcetype", ""), f"{system}, item {instance[:40]!r}: ResourceType", most=0xFFFF),
        instance=instance,
        label=label,
        subtype=fields.get("resourcesubtype", ""),
        address=fields.get("address", ""),
        address_on_parent=fields.get("addressonparent", ""),
        parent=fields.get("parent", ""),
        connection=fields.get("connection", ""),
        host_resource=fields.get("hostresource", ""),
        quantity=fields.get("virtualquantity", ""),
        units=fields.get("allocationunits", ""),
        enabled=truth(fields.get("automaticallocation", ""), True) and truth(fields.get("linked", ""), True),
        configs=config_values(element),
    )


def config_values(element: Element) -> dict[str, str]:
    """vmw:Config and vmw:ExtraConfig children: key → value."""
    return {
        attr(found, "key", "vmw"): attr(found, "value", "vmw") for found in children(element, "Config", "ExtraConfig")
    }


def read_controllers(items: list[Item]) -> dict[str, Controller]:
    """Storage controllers by instance id. A number comes from Address, or is the next free of its bus."""
    found: dict[str, Controller] = {}
    used: set[tuple[str, int]] = set()
    for item in items:
        if item.kind not in CONTROLLERS:
            continue
        bus, model = _bus(item)
        key = str(bus)
        wanted = int(item.address) if item.address.isascii() and item.address.isdigit() and len(item.address) < 4 else 0
        if (key, wanted) in used:
            wanted = next(number for number in range(MOST_ITEMS) if (key, number) not in used)
        used.add((key, wanted))
        found[item.instance] = Controller(bus, wanted, model)
    return found


def _bus(item: Item) -> tuple[DiskBus | Other, str]:
    word = item.subtype.lower()
    if item.kind == Resource.SCSI:
        return DiskBus.SCSI, _SCSI_MODELS.get(word, word)
    if item.kind in {Resource.IDE, Resource.USB}:
        return DiskBus.IDE if item.kind == Resource.IDE else DiskBus.USB, word
    marks = (("ahci", DiskBus.SATA), ("sata", DiskBus.SATA), ("nvme", DiskBus.NVME), ("scsi", DiskBus.SCSI))
    bus = next((bus for mark, bus in marks if mark in word), None)
    if bus is None:
        return (Other(item.subtype) if word else DiskBus.UNKNOWN), word
    return bus, word.removeprefix("vmware.").removesuffix(".controller").removeprefix("sata.")


def interface_bus(word: str) -> DiskBus | Other:
    """oVirt's disk-interface as a bus."""
    return _INTERFACES.get(word.lower(), Other(word) if word else DiskBus.UNKNOWN)


def nic_model(word: str) -> NicModel | Other:
    """The model behind a ResourceSubType; where several are allowed, the first is the one preferred (DSP0243)."""
    first = next(iter(word.split()), "")
    return _NIC_MODELS.get(first.lower(), Other(first) if first else NicModel.UNKNOWN)


def mac_address(value: str) -> str:
    """`value` as twelve lower-case digits with colons, or an empty string if it is no MAC address."""
    digits = value.strip().lower().replace(":", "").replace("-", "").replace(".", "")
    if len(digits) != 12 or any(digit not in "0123456789abcdef" for digit in digits):
        return ""
    return ":".join(digits[index : index + 2] for index in range(0, 12, 2))


class Units:
    """Hands out places on controllers: the stated one, or the next free."""

    def __init__(self) -> None:
        self._used: set[tuple[str, int, int]] = set()

    def take(self, bus: DiskBus | Other, controller: int, stated: str) -> int:
        key = (str(bus), controller)
        if stated.isascii() and stated.isdigit() and len(stated) < 5 and (*key, int(stated)) not in self._used:
            unit = int(stated)
        else:
            unit = next(number for number in range(MOST_ITEMS * 2) if (*key, number) not in self._used)
        self._used.add((*key, unit))
        return unit


def drives(items: list[Item]) -> Iterator[Item]:
    """Items that are disks. XenServer writes storage extents (19) and logical disks as parallel ports' number (22)."""
    for item in items:
        if item.kind == Resource.PARALLEL and "disk/" not in item.host_resource:
            continue
        if item.kind in DRIVES:
            yield item
