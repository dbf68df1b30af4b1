# SPDX-License-Identifier: Apache-2.0
"""A virtual system of an envelope as a Machine."""

import uuid
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from v2x.errors import BadImage
from v2x.model.machine import (
    CdDrive,
    Cpu,
    Device,
    DiskBus,
    Firmware,
    Guest,
    GuestIdKind,
    Machine,
    Memory,
    Nic,
    NicModel,
    Other,
)
from v2x.model.units import MIB
from v2x.sources.ovf_dialects import Dialect, plain_uuid, read_dialect
from v2x.sources.ovf_drives import Bench, DriveReader
from v2x.sources.ovf_envelope import Envelope, Exporter, System, sections
from v2x.sources.ovf_items import (
    Controller,
    Item,
    Resource,
    config_values,
    mac_address,
    nic_model,
    read_controllers,
    read_items,
)
from v2x.sources.ovf_xml import MOST_MEMORY_BYTES, attr, children, local, text, truth, unit_bytes, whole

NAMESPACE = uuid.UUID("6f1d7b1e-6d7a-5d0c-9a3e-0f3a5c2b7e11")
MOST_CPUS = 4_096
MOST_MHZ = 10**9

_DEVICE_KINDS = {
    Resource.FLOPPY: "floppy",
    Resource.SERIAL: "serial",
    Resource.PARALLEL: "parallel",
    Resource.USB: "usb_controller",
    Resource.GRAPHICS: "video",
    Resource.SOUND: "sound",
}
_OTHER_KINDS = (
    ("passthrough", "passthrough"),
    ("hostdev", "passthrough"),
    ("soundcard", "sound"),
    ("watchdog", "watchdog"),
    ("nvdimm", "nvdimm"),
    ("precisionclock", "clock"),
    ("usb", "usb"),
)
# Parts of the virtual board itself: nothing of them moves, nothing of them is missed.
_BOARD = {"vmci", "keyboard", "pointing", "balloon", "memballoon", "rng", "virtio-serial", "controller", "spice", "vnc"}


def read_machine(envelope: Envelope, system: System, drives: DriveReader) -> Machine:
    """BadImage or Unsupported, naming the element, for numbers that are none and for parts that contradict."""
    section = _hardware(system, envelope)
    what = f"VirtualSystem {system.id[:80]!r}"
    items = read_items(section, envelope.configuration, what)
    controllers = read_controllers(items)
    dialect = read_dialect(system.element, section, envelope.exporter)
    configs = config_values(section)
    settings = next((found for found in section if local(found) == "System"), None)
    name = text(system.element, "Name") or text(settings, "VirtualSystemIdentifier") or system.id
    extra, vtpm = _devices(items)
    disks = tuple(drives.disks(Bench(envelope, items, controllers, dialect, name)))
    if len({disk.id for disk in disks}) != len(disks):
        raise BadImage(f"machine {name[:80]!r} lists one disk twice", hint="export the machine again")
    return Machine(
        id=dialect.uuid or str(uuid.uuid5(NAMESPACE, f"{envelope.digest}:{system.id}")),
        name=name,
        uuid=dialect.uuid,
        cpu=_cpu(items, configs, dialect, what),
        memory=_memory(items, configs, what),
        firmware=dialect.firmware or Firmware.BIOS,
        firmware_stated=dialect.firmware is not None,
        secure_boot=dialect.secure_boot,
        vtpm=dialect.vtpm or vtpm,
        is_template=dialect.is_template,
        guest=_guest(system.element, dialect, configs),
        disks=disks,
        nics=tuple(_nics(envelope, items, dialect)),
        cd_drives=tuple(_cd_drives(envelope, items, controllers)),
        devices=tuple(extra),
        boot_order=dialect.boot_order,
        notes=_notes(system.element, dialect, settings, envelope.exporter),
        attributes=_attributes(system.element),
        hardware_version=text(settings, "VirtualSystemType"),
        exporter=envelope.exporter.value,
        group=system.group,
        start_order=system.start_order,
    )


def _hardware(system: System, envelope: Envelope) -> Element:
    """The first hardware section: where several are given, each is complete and the first is preferred (DSP0243)."""
    found = list(sections(system.element, "VirtualHardwareSection"))
    if not found:
        raise BadImage(
            f"VirtualSystem {system.id[:80]!r} of {envelope.name} has no hardware section",
            hint="export the machine again",
        )
    return found[0]


def _quantity(items: list[Item], kind: Resource, word: str, what: str) -> Item:
    found = next((item for item in items if item.kind == kind), None)
    if found is None:
        raise BadImage(f"{what} does not state its {word}", hint="export the machine again")
    return found


def _cpu(items: list[Item], configs: dict[str, str], dialect: Dialect, what: str) -> Cpu:
    item = _quantity(items, Resource.PROCESSOR, "number of processors", what)
    count = whole(item.quantity, f"{what}: number of processors", 1, MOST_CPUS)
    stated = text(item.element, "CoresPerSocket") or text(item.element, "cpu_per_socket")
    cores = whole(stated, f"{what}: cores per socket", 0, MOST_CPUS) if stated else 0
    limit, reservation = text(item.element, "Limit"), text(item.element, "Reservation")
    affinity = configs.get("sched.cpu.affinity", "") or configs.get("cpuAffinity", "")
    return Cpu(
        count=count,
        cores_per_socket=cores or None,
        hot_add=truth(configs.get("cpuHotAddEnabled", "") or configs.get("vcpu.hotadd", "")),
        affinity="" if affinity == "all" else affinity,
        limit_mhz=_mhz(limit, f"{what}: processor Limit", item.units),
        reservation_mhz=_mhz(reservation, f"{what}: processor Reservation", item.units),
        nested_virtualization=dialect.nested,
    )


def _mhz(value: str, what: str, units: str) -> int | None:
    """Only `hertz * 10^6` states clock rates; elsewhere the field counts processors. 0 and all ones mean none."""
    if not value or "hertz" not in units.lower():
        return None
    number = whole(value, what, -1, 2**64 - 1)
    return number if 0 < number <= MOST_MHZ else None


def _memory(items: list[Item], configs: dict[str, str], what: str) -> Memory:
    item = _quantity(items, Resource.MEMORY, "memory", what)
    unit = unit_bytes(item.units, f"{what}: memory AllocationUnits") if item.units else MIB
    size = whole(item.quantity, f"{what}: memory", 1) * unit
    if size > MOST_MEMORY_BYTES:
        raise BadImage(f"{what}: memory of {size:,} bytes is more than {MOST_MEMORY_BYTES:,}")
    reservation = text(item.element, "Reservation")
    reserved = whole(reservation, f"{what}: memory Reservation") * unit if reservation else 0
    return Memory(
        size_bytes=size,
        hot_add=truth(configs.get("memoryHotAddEnabled", "") or configs.get("mem.hotadd", "")),
        reservation_bytes=reserved or None,
    )


def _guest(system: Element, dialect: Dialect, configs: dict[str, str]) -> Guest:
    sync = configs.get("tools.syncTimeWithHost", "")
    time_sync = truth(sync) if sync else None
    for found in sections(system, "OperatingSystemSection"):
        name = text(found, "Description")
        number = attr(found, "id")
        if dialect.os_id:
            return Guest(os_id=dialect.os_id, os_id_kind=dialect.os_kind, os_name=name, time_sync=time_sync)
        # CIM: 0 is unknown and 1 is other; then the description says more.
        if number.isascii() and number.isdigit() and number not in {"0", "1"}:
            return Guest(os_id=number, os_id_kind=GuestIdKind.CIM, os_name=name, time_sync=time_sync)
        kind = GuestIdKind.TEXT if name else GuestIdKind.NONE
        return Guest(os_id=name, os_id_kind=kind, os_name=name, time_sync=time_sync)
    return Guest(os_id=dialect.os_id, os_id_kind=dialect.os_kind, time_sync=time_sync)


def _nics(envelope: Envelope, items: list[Item], dialect: Dialect) -> Iterator[Nic]:
    found = [item for item in items if item.kind == Resource.ETHERNET]
    for position, item in enumerate(found):
        adapter = dialect.adapters[position] if position < len(dialect.adapters) else None
        mac = mac_address(item.address) or mac_address(text(item.element, "MACAddress"))
        model = nic_model(item.subtype)
        if adapter is not None:
            mac = adapter.mac or mac
            model = model if model is not NicModel.UNKNOWN else adapter.model
        if model is NicModel.UNKNOWN and envelope.exporter is Exporter.XENSERVER:
            model = NicModel.NETFRONT
        # XenCenter connects by the network's uuid and puts its name into the item.
        by_uuid = envelope.exporter is Exporter.XENSERVER and plain_uuid(item.connection)
        yield Nic(
            position=position,
            label=item.label,
            model=model,
            network=item.label if by_uuid else item.connection,
            mac=mac,
            mac_is_static=bool(mac),
            connected=item.enabled and (adapter is None or adapter.connected),
        )


def _cd_drives(envelope: Envelope, items: list[Item], controllers: dict[str, Controller]) -> Iterator[CdDrive]:
    for position, item in enumerate(item for item in items if item.kind in {Resource.CD, Resource.DVD}):
        controller = controllers.get(item.parent)
        key = item.host_resource.rpartition("/")[2]
        image = envelope.files[key].href if "file/" in item.host_resource and key in envelope.files else ""
        bus: DiskBus | Other = controller.bus if controller else DiskBus.UNKNOWN
        yield CdDrive(position=position, bus=bus, image=image, connected=item.enabled and bool(item.host_resource))


def _devices(items: list[Item]) -> tuple[list[Device], bool]:
    """The devices that are neither disks nor networks, and whether a virtual TPM is among them."""
    found: list[Device] = []
    vtpm = False
    for item in items:
        words = f"{item.subtype} {item.device} {text(item.element, 'Type')}".lower()
        if item.kind in {0, Resource.OTHER}:
            if "tpm" in words:
                vtpm = True
            elif not any(word in words for word in _BOARD):
                kind = next((kind for mark, kind in _OTHER_KINDS if mark in words), "other")
                found.append(Device(kind=kind, label=item.label))
        elif item.kind == Resource.PARALLEL and "disk/" in item.host_resource:
            continue
        elif item.kind in _DEVICE_KINDS:
            found.append(Device(kind=_DEVICE_KINDS[Resource(item.kind)], label=item.label))
    return found, vtpm


def _notes(system: Element, dialect: Dialect, settings: Element | None, exporter: Exporter) -> str:
    annotations = [text(found, "Annotation") for found in sections(system, "AnnotationSection")]
    description = text(settings, "Description") if exporter is Exporter.XENSERVER else ""
    return "\n".join(filter(None, annotations)) or dialect.notes or description


def _attributes(system: Element) -> dict[str, str]:
    """What the product sections say: product, vendor, version, and the default values of their properties."""
    found: dict[str, str] = {}
    for section in sections(system, "ProductSection"):
        for word in ("Product", "Vendor", "Version", "FullVersion"):
            if text(section, word):
                found.setdefault(f"product.{word.lower()}", text(section, word))
        for entry in children(section, "Property"):
            if truth(attr(entry, "password")):
                continue
            key = ".".join(filter(None, [attr(section, "class"), attr(entry, "key"), attr(section, "instance")]))
            found.setdefault(f"property.{key}", attr(entry, "value"))
    return found
