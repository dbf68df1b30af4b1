# SPDX-License-Identifier: Apache-2.0
"""Rows of the sheets about one machine's parts as disks, network cards, drives, devices and snapshots."""

import re
from collections.abc import Iterator, Sequence
from ipaddress import ip_address

from v2x.model.machine import (
    CdDrive,
    Device,
    Disk,
    DiskBacking,
    DiskBus,
    DiskFormat,
    DiskMode,
    Nic,
    NicModel,
    Other,
    Snapshot,
)
from v2x.sources.ovf_dialects import plain_uuid
from v2x.sources.ovf_items import mac_address
from v2x.sources.rvtools_cells import Row, count, flag, mebibytes, moment, name, text

MOST_DISK_BYTES = 1 << 56
_BUSES = (
    (r"nvme", DiskBus.NVME),
    (r"sata|ahci", DiskBus.SATA),
    (r"\bide\b|^ide", DiskBus.IDE),
    (r"usb", DiskBus.USB),
    (r"scsi|lsi ?logic|buslogic", DiskBus.SCSI),
)
_CONTROLLER_MODELS = (
    (r"paravirtual|pvscsi", "pvscsi"),
    (r"lsi ?logic ?sas|lsisas", "lsilogicsas"),
    (r"lsi ?logic", "lsilogic"),
    (r"bus ?logic", "buslogic"),
)
_NIC_MODELS = {
    "vmxnet3": NicModel.VMXNET3,
    "vmxnet2": NicModel.VMXNET2,
    "enhancedvmxnet": NicModel.VMXNET2,
    "vmxnet": NicModel.VMXNET,
    "e1000": NicModel.E1000,
    "e1000e": NicModel.E1000E,
    "pcnet32": NicModel.PCNET32,
    "vlance": NicModel.PCNET32,
    "sriov": NicModel.SRIOV,
}
_ADDRESS_TYPES = {"manual": True, "static": True, "assigned": False, "generated": False}
_DATASTORE = re.compile(r"\[([^\]]{1,200})\]")
_MOST_ADDRESSES = 64


def disks(rows: Sequence[Row], change_tracking: bool | None) -> Iterator[Disk]:
    """In the order of the sheet. Two disks in one place, or one without any, get a bus of unknown kind."""
    places: set[tuple[str, int, int]] = set()
    ids: set[str] = set()
    for position, row in enumerate(rows):
        bus, controller, unit = _place(row, position)
        if (str(bus), controller, unit) in places:
            bus, controller, unit = DiskBus.UNKNOWN, 0, position
        places.add((str(bus), controller, unit))
        label = text(row, "disk") or text(row, "label")
        key = text(row, "key") or label or str(position)
        unique = key if key not in ids else f"{key}#{position}"
        ids.add(unique)
        raw = bool(flag(row, "raw"))
        file = text(row, "file")
        datastore = _DATASTORE.match(file)
        yield Disk(
            id=unique,
            label=label,
            position=position,
            bus=bus,
            controller=controller,
            unit=unit,
            capacity_bytes=min(mebibytes(row, "capacity") or 0, MOST_DISK_BYTES),
            format=DiskFormat.VMDK,
            subformat=_subformat(row, raw),
            controller_model=_controller_model(row),
            files=(file,) if file else (),
            datastore=datastore[1] if datastore else "",
            mode=_mode(text(row, "mode")),
            backing=DiskBacking.RAW_DEVICE if raw else DiskBacking.FILE,
            shared=_shared(row),
            change_tracking=change_tracking,
            uuid=plain_uuid(text(row, "diskuuid")),
        )


def _place(row: Row, position: int) -> tuple[DiskBus | Other, int, int]:
    """`SCSI controller 0` and `Unit #`; older releases put the controller's name under another column."""
    for words in (text(row, "controller"), text(row, "label")):
        lowered = words.lower()
        bus = next((bus for pattern, bus in _BUSES if re.search(pattern, lowered)), None)
        if bus is None:
            continue
        digits = re.search(r"([0-9]{1,2})\s*$", lowered)
        unit = count(row, "unit")
        if unit is None or unit > 255:
            break
        return bus, int(digits[1]) if digits else 0, unit
    return DiskBus.UNKNOWN, 0, position


def _controller_model(row: Row) -> str:
    words = f"{text(row, 'controller')} {text(row, 'label')}".lower()
    return next((model for pattern, model in _CONTROLLER_MODELS if re.search(pattern, words)), "")


def _subformat(row: Row, raw: bool) -> str:
    if raw:
        return {"physicalmode": "physical RDM", "virtualmode": "virtual RDM"}.get(text(row, "rawmode").lower(), "RDM")
    thin, eager = flag(row, "thin"), flag(row, "eager")
    if thin:
        return "thin"
    kind = "" if thin is None else "thick eager zeroed" if eager else "thick"
    return f"{kind} split".strip() if flag(row, "split") else kind


def _mode(word: str) -> DiskMode | Other:
    lowered = word.lower()
    return DiskMode(lowered) if lowered in set(DiskMode) else Other(word)


def _shared(row: Row) -> bool:
    sharing, bus = text(row, "sharing").lower(), text(row, "bus").lower()
    return (
        sharing == "sharingmultiwriter" or flag(row, "sharing") is True or bus in ("virtualsharing", "physicalsharing")
    )


def nics(rows: Sequence[Row], running: bool, vlans: dict[str, int | None]) -> Iterator[Nic]:
    """`connected` is what the card will be when the machine starts; where only its present state is told, that of a
    running machine counts.
    """
    for position, row in enumerate(rows):
        network = name(row, "network")
        start, now = flag(row, "start"), flag(row, "connected")
        fixed = _ADDRESS_TYPES.get(text(row, "type").lower(), True)
        mac = mac_address(text(row, "mac"))
        yield Nic(
            position=position,
            label=text(row, "label"),
            model=_nic_model(row),
            network=network,
            mac=mac,
            mac_is_static=fixed and bool(mac),
            vlan=vlans.get(network),
            connected=start if start is not None else not (running and now is False),
            ip_addresses=addresses(f"{text(row, 'ip4')} {text(row, 'ip6')}"),
        )


def _nic_model(row: Row) -> NicModel | Other:
    """The model stands under Adapter; Type is how the MAC address came to be, but some tools write the model there."""
    words = [text(row, "adapter"), text(row, "type")]
    for word in words:
        plain = re.sub("[^a-z0-9]|virtual|ethernetcard|adapter", "", word.lower())
        if plain in _NIC_MODELS:
            return _NIC_MODELS[plain]
    return Other(words[0]) if words[0] else NicModel.UNKNOWN


def named_nics(info: Row, vlans: dict[str, int | None]) -> Iterator[Nic]:
    """Without vNetwork: the cards that vInfo counts, with the networks of the first eight."""
    networks = [text(info, f"network{number}") for number in range(1, 9)]
    while networks and not networks[-1]:
        networks.pop()
    for position in range(min(max(len(networks), count(info, "nics") or 0), _MOST_ADDRESSES)):
        network = networks[position] if position < len(networks) else ""
        yield Nic(
            position=position,
            label="",
            model=NicModel.UNKNOWN,
            network=network,
            mac_is_static=False,
            vlan=vlans.get(network),
        )


def addresses(words: str) -> tuple[str, ...]:
    """The IP addresses among `words`, each once."""
    found: dict[str, None] = {}
    for word in re.split(r"[\s,;]+", words[:4096]):
        plain = word.partition("/")[0]
        try:
            found[str(ip_address(plain))] = None
        except ValueError:
            continue
    return tuple(found)[:_MOST_ADDRESSES]


def cd_drives(rows: Sequence[Row]) -> Iterator[CdDrive]:
    """An image is one on a datastore; a host's or a client's drive holds none that could be kept."""
    for position, row in enumerate(rows):
        kind = text(row, "type")
        image = kind[kind.index("[") :] if _DATASTORE.search(kind) else ""
        yield CdDrive(position=position, bus=DiskBus.UNKNOWN, image=image, connected=flag(row, "connected") is True)


def usb_devices(rows: Sequence[Row]) -> Iterator[Device]:
    for row in rows:
        words = " ".join(word for word in (text(row, "node"), text(row, "type")) if word)
        yield Device(kind="usb_controller" if "controller" in words.lower() else "usb", label=words or "USB device")


def snapshots(rows: Sequence[Row], date_1904: bool) -> Iterator[Snapshot]:
    """vCenter gives a snapshot the state the machine returns to with it: on only if its memory is kept."""
    for number, row in enumerate(rows, 1):
        taken = moment(row, "time", date_1904=date_1904)
        yield Snapshot(
            id=str(number),
            name=name(row, "name"),
            created=taken.isoformat(timespec="seconds") if taken else text(row, "time"),
            description=text(row, "description"),
            with_memory=text(row, "state").lower() == "poweredon",
        )
