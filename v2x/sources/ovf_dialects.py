# SPDX-License-Identifier: Apache-2.0
"""What each exporter says in its own words, outside of the standard: firmware, MAC addresses, places of disks.

Sources: descriptors as written by vSphere and ovftool (vmw:Config keys), VirtualBox (`vbox:Machine`, its settings
file embedded), oVirt's OVF writer (elements beside the hardware section; the numbering of BiosType changed with
engine 4.4, when 0 became "as the cluster says"), XenCenter (VirtualSystemOtherConfigurationData).
"""

import re
import uuid
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from v2x.errors import BadImage
from v2x.model.machine import DiskBus, Firmware, GuestIdKind, NicModel, Other
from v2x.sources.ovf_envelope import Exporter, sections
from v2x.sources.ovf_items import config_values, mac_address, nic_model
from v2x.sources.ovf_xml import attr, child, children, local, text, truth

_VBOX_BUSES = {
    "piix3": DiskBus.IDE,
    "piix4": DiskBus.IDE,
    "ich6": DiskBus.IDE,
    "ahci": DiskBus.SATA,
    "lsilogic": DiskBus.SCSI,
    "lsilogicsas": DiskBus.SCSI,
    "buslogic": DiskBus.SCSI,
    "virtioscsi": DiskBus.SCSI,
    "nvme": DiskBus.NVME,
    "usb": DiskBus.USB,
}
_VBOX_NICS = {
    "am79c970a": NicModel.PCNET32,
    "am79c973": NicModel.PCNET32,
    "am79c960": NicModel.PCNET32,
    "82540em": NicModel.E1000,
    "82543gc": NicModel.E1000,
    "82545em": NicModel.E1000,
    "virtio": NicModel.VIRTIO,
}
_BOOT_WORDS = {
    "harddisk": "disk",
    "disk": "disk",
    "hd": "disk",
    "dvd": "cdrom",
    "cdrom": "cdrom",
    "cd": "cdrom",
    "network": "network",
    "net": "network",
    "floppy": "floppy",
}
# oVirt's BootSequence (DefaultBootSequence): C disk, D cdrom, N network
_OVIRT_BOOT = {
    0: "C",
    1: "DC",
    2: "N",
    3: "CDN",
    4: "CND",
    5: "DCN",
    6: "DNC",
    7: "NCD",
    8: "NDC",
    9: "CD",
    10: "D",
    11: "CN",
}
_LETTERS = {"c": "disk", "d": "cdrom", "n": "network", "a": "floppy"}


@dataclass(frozen=True, slots=True)
class Adapter:
    """A network adapter as VirtualBox describes it; matched to the items by order."""

    mac: str
    model: NicModel | Other
    connected: bool


@dataclass(frozen=True, slots=True)
class Place:
    bus: DiskBus | Other
    controller: int
    unit: int
    model: str


@dataclass(slots=True)
class Dialect:
    """`firmware` is None where nothing is said. `places` maps a disk image's uuid to where it is attached."""

    firmware: Firmware | None = None
    secure_boot: bool = False
    vtpm: bool = False
    uuid: str = ""
    notes: str = ""
    nested: bool = False
    is_template: bool = False
    os_id: str = ""
    os_kind: GuestIdKind = GuestIdKind.NONE
    boot_order: tuple[str, ...] = ()
    adapters: list[Adapter] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)


def read_dialect(system: Element, section: Element, exporter: Exporter) -> Dialect:
    """`section` is the system's hardware section; the dialects do not exclude one another."""
    dialect = Dialect()
    _vmware(dialect, system, section)
    machine = next((found for found in children(system, "Machine")), None)
    if machine is not None:
        _virtualbox(dialect, machine)
    if exporter is Exporter.OVIRT:
        _ovirt(dialect, system, section)
    _xenserver(dialect, section)
    if not dialect.uuid:
        dialect.uuid = plain_uuid(attr(system, "id")) if exporter is not Exporter.XENSERVER else ""
    return dialect


def plain_uuid(word: str) -> str:
    """`word` as a lower-case uuid, or an empty string if it is none. VMware writes its bytes with blanks."""
    digits = re.sub(r"[\s{}-]", "", word).lower()
    return str(uuid.UUID(digits)) if re.fullmatch("[0-9a-f]{32}", digits) and digits.strip("0") else ""


def firmware_word(word: str, what: str) -> Firmware:
    lowered = word.strip().lower()
    if lowered in {"efi", "uefi", "efi32", "efi64", "efidual"}:
        return Firmware.UEFI
    if lowered in {"bios", ""}:
        return Firmware.BIOS
    raise BadImage(f"{what} is {word[:40]!r}, neither bios nor efi", hint="correct the descriptor or export again")


def _vmware(dialect: Dialect, system: Element, section: Element) -> None:
    configs = config_values(section)
    if "firmware" in configs:
        dialect.firmware = firmware_word(configs["firmware"], "vmw:Config firmware")
    dialect.secure_boot = truth(
        configs.get("bootOptions.efiSecureBootEnabled", "") or configs.get("uefi.secureBoot.enabled", "")
    )
    dialect.vtpm = truth(configs.get("vtpm.present", ""))
    dialect.uuid = plain_uuid(configs.get("uuid.bios", "") or configs.get("uuid", "") or attr(system, "uuid", "vmw"))
    dialect.nested = truth(configs.get("nestedHVEnabled", "") or configs.get("vhv.enable", ""))
    words = [attr(found, "type", "vmw") for found in sections(system, "BootOrderSection")]
    dialect.boot_order = boot_words(words)
    for found in sections(system, "OperatingSystemSection"):
        dialect.os_id = attr(found, "osType", "vmw")
        dialect.os_kind = GuestIdKind.VMWARE if dialect.os_id else GuestIdKind.NONE


def boot_words(words: list[str]) -> tuple[str, ...]:
    """Device words of any dialect as disk, cdrom, network, floppy; unknown ones and repetitions are dropped."""
    known = [_BOOT_WORDS[word.strip().lower()] for word in words if word.strip().lower() in _BOOT_WORDS]
    return tuple(dict.fromkeys(known))


def boot_letters(letters: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_LETTERS[letter] for letter in letters.lower() if letter in _LETTERS))


def _virtualbox(dialect: Dialect, machine: Element) -> None:
    dialect.uuid = plain_uuid(attr(machine, "uuid")) or dialect.uuid
    dialect.notes = text(machine, "Description") or dialect.notes
    if attr(machine, "OSType"):
        dialect.os_id, dialect.os_kind = attr(machine, "OSType"), GuestIdKind.VIRTUALBOX
    hardware = child(machine, "Hardware")
    if hardware is None:
        return
    firmware = child(hardware, "Firmware")
    # VirtualBox leaves the element out where its default, BIOS, is meant.
    dialect.firmware = firmware_word(attr(firmware, "type") if firmware is not None else "", "vbox Firmware type")
    platform = child(hardware, "TrustedPlatformModule")
    dialect.vtpm = dialect.vtpm or (platform is not None and attr(platform, "type").lower() not in {"", "none"})
    nested = next((found for found in hardware.iter() if local(found) == "NestedHWVirt"), None)
    dialect.nested = nested is not None and truth(attr(nested, "enabled"))
    boot = child(hardware, "Boot")
    if boot is not None:
        orders = sorted(children(boot, "Order"), key=lambda order: attr(order, "position").zfill(4))
        dialect.boot_order = boot_words([attr(order, "device") for order in orders])
    network = child(hardware, "Network")
    if network is not None:
        dialect.adapters = [_adapter(found) for found in children(network, "Adapter") if truth(attr(found, "enabled"))]
    for controllers in [*children(machine, "StorageControllers"), *children(hardware, "StorageControllers")]:
        _vbox_places(dialect, controllers)


def _adapter(found: Element) -> Adapter:
    word = attr(found, "type")
    model = _VBOX_NICS.get(word.lower(), nic_model(word))
    return Adapter(mac_address(attr(found, "MACAddress")), model, truth(attr(found, "cable"), True))


def _vbox_places(dialect: Dialect, controllers: Element) -> None:
    count: dict[str, int] = {}
    for found in children(controllers, "StorageController"):
        word = attr(found, "type")
        bus = _VBOX_BUSES.get(word.lower(), Other(word))
        number = count.get(str(bus), 0)
        count[str(bus)] = number + 1
        for device in children(found, "AttachedDevice"):
            image = child(device, "Image")
            port, unit = attr(device, "port"), attr(device, "device")
            if image is None or not (port.isascii() and port.isdigit() and len(port) < 5):
                continue
            place = Place(bus, number, int(port), word.lower())
            if bus is DiskBus.IDE:
                # Here the controller is a chip with two channels; ours are the channels.
                place = Place(bus, number * 2 + int(port), 1 if unit == "1" else 0, word.lower())
            dialect.places[attr(image, "uuid").strip("{}").lower()] = place


def _ovirt(dialect: Dialect, system: Element, section: Element) -> None:
    bios = text(system, "BiosType")
    if bios:
        _ovirt_firmware(dialect, bios, _engine_version(system, section))
    dialect.notes = "\n".join(filter(None, [text(system, "Description"), text(system, "Comment")])) or dialect.notes
    order = text(system, "DefaultBootSequence")
    if order.isascii() and order.isdigit() and len(order) < 3:
        dialect.boot_order = boot_letters(_OVIRT_BOOT.get(int(order), ""))
    dialect.is_template = text(system, "TemplateType") != ""
    for found in sections(system, "OperatingSystemSection"):
        number = attr(found, "id", "ovirt")
        word = text(found, "Description")
        if number:
            dialect.os_id, dialect.os_kind = number, GuestIdKind.OVIRT
        elif re.fullmatch(r"[a-z0-9_]+", word):
            dialect.os_id, dialect.os_kind = word, GuestIdKind.OVIRT
            dialect.uuid = plain_uuid(attr(found, "id"))


def _engine_version(system: Element, section: Element) -> tuple[int, int]:
    kind = next((text(found) for found in section.iter() if local(found) == "VirtualSystemType"), "")
    match = re.search(r"(\d{1,3})\.(\d{1,3})", kind) or re.search(
        r"(\d{1,3})\.(\d{1,3})", text(system, "ClusterCompatibilityVersion")
    )
    return (int(match[1]), int(match[2])) if match else (4, 4)


def _ovirt_firmware(dialect: Dialect, bios: str, engine: tuple[int, int]) -> None:
    words = ["i440fx", "q35", "ovmf", "secure"] if engine < (4, 4) else ["", "i440fx", "q35", "ovmf", "secure"]
    if not bios.isascii() or not bios.isdigit() or len(bios) > 2 or int(bios) >= len(words):
        raise BadImage(f"BiosType is {bios[:40]!r}, which oVirt {engine[0]}.{engine[1]} does not know")
    word = words[int(bios)]
    if word:
        dialect.firmware = Firmware.UEFI if word in {"ovmf", "secure"} else Firmware.BIOS
        dialect.secure_boot = word == "secure"


def _xenserver(dialect: Dialect, section: Element) -> None:
    settings = {
        (attr(found, "Name") or attr(found, "Name", "xen")).replace("-", "_").lower(): text(found, "Value")
        for found in children(section, "VirtualSystemOtherConfigurationData")
    }
    if "hvm_boot_params" in settings:
        params = _pairs(settings["hvm_boot_params"])
        dialect.firmware = firmware_word(params.get("firmware", ""), "HVM_boot_params firmware")
        dialect.boot_order = boot_letters(params.get("order", ""))
    platform = _pairs(settings.get("platform", ""))
    dialect.secure_boot = dialect.secure_boot or truth(platform.get("secureboot", ""))
    dialect.vtpm = dialect.vtpm or truth(platform.get("vtpm", ""))
    dialect.nested = dialect.nested or truth(platform.get("nested_virt", "") or platform.get("exp_nested_hvm", ""))


def _pairs(value: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in value.split(";") if "=" in pair)
