# SPDX-License-Identifier: Apache-2.0
"""The envelope of an OVF descriptor: files, disks, networks, the virtual systems, and who wrote it.

Source of the layout: DMTF DSP0243 (OVF 1.1 and 2.1). oVirt's own descriptors use `Section` and `Content` elements
with an xsi:type in place of DiskSection and VirtualSystem.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from xml.etree.ElementTree import Element

from v2x.errors import BadImage
from v2x.model.machine import DiskFormat, Other
from v2x.model.units import GIB
from v2x.sources.ovf_xml import (
    MOST_DISK_BYTES,
    attr,
    children,
    local,
    parse,
    space,
    text,
    truth,
    unit_bytes,
    whole,
)

MOST_CHAIN = 64


class Exporter(StrEnum):
    """The programs whose dialect is known; the empty member stands for every other."""

    VMWARE = "VMware"
    VIRTUALBOX = "VirtualBox"
    OVIRT = "oVirt"
    XENSERVER = "XenServer"
    NUTANIX = "Nutanix Prism"
    UNKNOWN = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRef:
    """A `File` of the References: `href` as written, `size_bytes` as stated."""

    id: str
    href: str
    size_bytes: int | None = None
    compression: str = ""
    chunk_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskRef:
    """A `Disk` of the DiskSection. `files` is its chain, its own file first; empty for a disk without content."""

    id: str
    files: tuple[FileRef, ...]
    capacity_bytes: int
    format: DiskFormat | Other
    subformat: str = ""
    populated_bytes: int | None = None
    uuid: str = ""
    label: str = ""
    interface: str = ""
    boot: bool = False
    rounded: bool = False


@dataclass(frozen=True, slots=True)
class System:
    """A virtual system, the collection it stands in, and its place in the start order."""

    element: Element
    id: str
    group: str = ""
    start_order: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    name: str
    digest: str
    version: str
    exporter: Exporter
    product: str
    files: dict[str, FileRef]
    disks: dict[str, DiskRef]
    networks: dict[str, str]
    systems: tuple[System, ...]
    configuration: str = ""
    encrypted: bool = False


def read_envelope(data: bytes, name: str) -> Envelope:
    """`data` of the descriptor called `name`. BadImage for what contradicts DSP0243; see `ovf_xml.parse`."""
    root = parse(data, name)
    if local(root) != "Envelope":
        raise BadImage(f"{name} is not an OVF descriptor: its root element is {local(root)[:40]!r}, not Envelope")
    files = {file.id: file for file in _files(root)}
    exporter = _exporter(root, data)
    systems = tuple(_systems(root, "", {}))
    if not systems:
        raise BadImage(f"{name} describes no virtual system", hint="export the machine again")
    return Envelope(
        name=name,
        digest=hashlib.sha256(data).hexdigest(),
        version=attr(root, "version"),
        exporter=exporter,
        product=_product(data, exporter),
        files=files,
        disks=_disks(root, files, exporter),
        networks=_networks(root),
        systems=systems,
        configuration=_configuration(root),
        encrypted=any(local(element) in {"EncryptionSection", "EncryptedData"} for element in root.iter()),
    )


def sections(element: Element, name: str) -> Iterator[Element]:
    """Children called `name`, or written as `Section` with the type `ovf:name_Type`."""
    for found in element:
        typed = attr(found, "type", "xsi").rpartition(":")[2] if local(found) == "Section" else ""
        if local(found) == name or typed == f"{name}_Type":
            yield found


def is_system(element: Element) -> bool:
    if local(element) == "Content":
        return attr(element, "type", "xsi").rpartition(":")[2] == "VirtualSystem_Type"
    return local(element) == "VirtualSystem"


def _files(root: Element) -> Iterator[FileRef]:
    for section in children(root, "References"):
        for file in children(section, "File"):
            href, size, chunk = attr(file, "href"), attr(file, "size"), attr(file, "chunkSize")
            what = f"File {href[:80]!r}"
            compression = attr(file, "compression").lower()
            yield FileRef(
                id=attr(file, "id"),
                href=href,
                size_bytes=whole(size, f"{what}: size") if size else None,
                compression="" if compression == "identity" else compression,
                chunk_bytes=whole(chunk, f"{what}: chunkSize", least=1) if chunk else None,
            )


def _disks(root: Element, files: dict[str, FileRef], exporter: Exporter) -> dict[str, DiskRef]:
    elements = {
        attr(disk, "diskId"): disk for section in sections(root, "DiskSection") for disk in children(section, "Disk")
    }
    return {key: _disk(key, elements, files, exporter) for key in elements}


def _disk(key: str, elements: dict[str, Element], files: dict[str, FileRef], exporter: Exporter) -> DiskRef:
    disk = elements[key]
    what = f"Disk {key[:80]!r}"
    kind, subformat = _format(attr(disk, "format"), attr(disk, "volume-format"))
    populated = attr(disk, "populatedSize")
    return DiskRef(
        id=key,
        files=_chain(key, elements, files),
        capacity_bytes=_capacity(disk, what),
        format=kind,
        subformat=subformat,
        populated_bytes=whole(populated, f"{what}: populatedSize") if populated and populated != "-1" else None,
        uuid=(attr(disk, "uuid", "vbox") or attr(disk, "uuid", "vmw")).strip("{}").lower(),
        label=attr(disk, "disk-alias"),
        interface=attr(disk, "disk-interface"),
        boot=truth(attr(disk, "boot")),
        # oVirt states whole GiB, rounded up; the image's own header holds the exact size.
        rounded=exporter is Exporter.OVIRT,
    )


def _capacity(disk: Element, what: str) -> int:
    stated, unit = attr(disk, "capacity"), attr(disk, "capacityAllocationUnits")
    if not stated and attr(disk, "size"):
        stated, unit = attr(disk, "size"), f"byte * {GIB}"
    if not stated:
        raise BadImage(f"{what} states no capacity", hint="export the machine again")
    number = whole(stated, f"{what}: capacity")
    capacity = number * unit_bytes(unit, f"{what}: capacityAllocationUnits")
    if capacity > MOST_DISK_BYTES:
        raise BadImage(f"{what}: capacity of {capacity:,} bytes is more than {MOST_DISK_BYTES:,}")
    return capacity


def _chain(key: str, elements: dict[str, Element], files: dict[str, FileRef]) -> tuple[FileRef, ...]:
    chain: list[FileRef] = []
    seen: set[str] = set()
    while key:
        if key in seen or len(seen) >= MOST_CHAIN:
            raise BadImage(f"Disk {key[:80]!r}: its parents form a loop or more than {MOST_CHAIN} levels")
        seen.add(key)
        disk = elements.get(key)
        if disk is None:
            raise BadImage(f"Disk {key[:80]!r} is named as a parent but not described")
        reference = attr(disk, "fileRef")
        if reference:
            if reference not in files:
                raise BadImage(f"Disk {key[:80]!r} names the file {reference[:80]!r}, which References does not list")
            chain.append(files[reference])
        parent = attr(disk, "parentRef")
        # oVirt writes an empty or all-zero parent for a disk without one.
        key = "" if parent.strip("0-") == "" else parent
    return tuple(chain)


def _format(uri: str, volume_format: str) -> tuple[DiskFormat | Other, str]:
    """The container format behind a format URI. oVirt's volume-format wins: its URI for raw volumes says VMDK."""
    volumes = {"raw": DiskFormat.RAW, "cow": DiskFormat.QCOW2}
    if volume_format.lower() in volumes:
        return volumes[volume_format.lower()], ""
    lowered = uri.lower()
    marks = (
        ("vmdk", DiskFormat.VMDK),
        ("vhdx", DiskFormat.VHDX),
        ("vhdspec", DiskFormat.VHD),
        ("vhd", DiskFormat.VHD),
        ("qcow", DiskFormat.QCOW2),
        ("raw", DiskFormat.RAW),
    )
    for mark, kind in marks:
        if mark in lowered:
            return kind, uri.partition("#")[2] if kind is DiskFormat.VMDK else ""
    # Without a URI the file's name decides, where the files are looked at.
    return Other(uri), ""


def _networks(root: Element) -> dict[str, str]:
    return {
        attr(network, "name"): text(network, "Description")
        for section in sections(root, "NetworkSection")
        for network in children(section, "Network")
    }


def _systems(element: Element, group: str, orders: dict[str, int]) -> Iterator[System]:
    for found in element:
        if is_system(found):
            key = attr(found, "id")
            yield System(found, key, group, orders.get(key))
        elif local(found) in {"VirtualSystemCollection", "Content"}:
            name = text(found, "Name") or attr(found, "id")
            yield from _systems(found, f"{group}/{name}" if group else name, orders | _start_orders(found))


def _start_orders(collection: Element) -> dict[str, int]:
    orders: dict[str, int] = {}
    for section in sections(collection, "StartupSection"):
        for item in children(section, "Item"):
            order = attr(item, "order")
            if order:
                orders[attr(item, "id")] = whole(order, f"StartupSection: order of {attr(item, 'id')[:80]!r}")
    return orders


def _configuration(root: Element) -> str:
    """The deployment option that applies: the one marked as default, else the first (DSP0243, section 9.8)."""
    options = [
        option for section in sections(root, "DeploymentOptionSection") for option in children(section, "Configuration")
    ]
    chosen = next((option for option in options if truth(attr(option, "default"))), options[0] if options else None)
    return attr(chosen, "id") if chosen is not None else ""


def _exporter(root: Element, data: bytes) -> Exporter:
    spaces = {space(element) for element in root.iter()}
    spaces |= {key[1:].partition("}")[0] for element in root.iter() for key in element.attrib if key.startswith("{")}
    kinds = {text(element).lower() for element in root.iter() if local(element) == "VirtualSystemType"}
    head = data[:4096].lower()
    if b"nutanix" in head or any(kind.startswith(("nutanix", "ahv")) for kind in kinds):
        return Exporter.NUTANIX
    if any("virtualbox.org" in uri for uri in spaces) or any(kind.startswith("virtualbox") for kind in kinds):
        return Exporter.VIRTUALBOX
    if any("ovirt.org" in uri for uri in spaces) or any(kind.startswith(("engine ", "rhevm")) for kind in kinds):
        return Exporter.OVIRT
    if any("citrix.com" in uri for uri in spaces) or any(kind.startswith(("hvm-", "xen-")) for kind in kinds):
        return Exporter.XENSERVER
    if any("vmware.com/schema/ovf" in uri for uri in spaces) or any(kind.startswith("vmx-") for kind in kinds):
        return Exporter.VMWARE
    return Exporter.UNKNOWN


def _product(data: bytes, exporter: Exporter) -> str:
    """What the writing program says of itself in a leading comment, `Generated by …`, else the exporter's name."""
    match = re.search(rb"<!--\s*Generated by ([^\r\n>,]{1,160})", data[:4096])
    return match[1].decode("utf-8", "replace").removesuffix("--").strip() if match else exporter.value
