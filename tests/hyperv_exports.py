# SPDX-License-Identifier: Apache-2.0
"""Writers of Hyper-V's stored configurations and export folders for tests, independent of the readers."""

import base64
import struct
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

Value = bool | int | float | str | bytes

IDE = "83f8638b-8dca-4152-9eda-2ca8b33039b4"
SCSI = "d422512d-2bf2-4752-809d-7b82b5fcb1b4"
SYNTHETIC = "2fc216b0-d2e2-4967-9b6d-b8a5c9ca2778"
BIOS = "ac6b8dc1-3257-4a70-b1b2-a9c9215659ad"
UEFI = "00000000-1111-4222-8333-444444444444"
TPM = "736e6aa9-a3f8-49c0-9550-a963214d259a"
MACHINE = "11112222-3333-4444-8555-666677778888"


@dataclass(kw_only=True)
class Stored:
    """A stored configuration. `ide` and `scsi` map (controller, place) to a disk's path on the host."""

    name: str = "web"
    id: str = MACHINE
    generation: int = 1
    cpus: int = 2
    memory_mib: int = 2048
    ide: Mapping[tuple[int, int], str] = field(default_factory=dict)
    scsi: Mapping[tuple[int, int], str] = field(default_factory=dict)
    mac: str = "00-15-5D-01-02-03"
    switch: str = "LAN"
    extra: Mapping[str, Value] = field(default_factory=dict)
    checkpoint_of: str = ""

    def values(self) -> dict[str, Value]:
        """Paths below `configuration` and their values, as Hyper-V has them."""
        found: dict[str, Value] = {
            "properties/name": self.name,
            "properties/global_id": self.id.upper(),
            "properties/subtype": self.generation - 1,
            "properties/version": 0x500,
            "properties/notes": "",
            "properties/highly_available": False,
            "properties/type_id": "Snapshots" if self.checkpoint_of else "Virtual Machines",
            "properties/creation_time": struct.pack("<Q", 132787296000000000),
            "settings/global/logical_id": (self.checkpoint_of or self.id).upper(),
            "settings/processors/count": self.cpus,
            "settings/processors/limit": 100000,
            "settings/processors/reservation": 0,
            "settings/processors/weight": 100,
            "settings/memory/bank/size": self.memory_mib,
            "settings/memory/bank/limit": 1048576,
            "settings/memory/bank/reservation": 512,
            "settings/memory/bank/dynamic_memory_enabled": False,
            "global_settings/disk_merge_pending": False,
            "global_settings/power/host_startup/action": 1,
            "global_settings/power/host_shutdown/action": 1,
            "global_settings/snapshots/list/size": 0,
        }
        board = BIOS if self.generation == 1 else UEFI
        devices = [(board, board, "Microsoft Virtual BIOS" if self.generation == 1 else "Microsoft Virtual UEFI")]
        found |= self._board(board)
        if self.generation == 1:
            devices.append((IDE, IDE, "Microsoft Emulated IDE Controller"))
            found |= self._drives(IDE, self.ide, 2, 2)
        controllers = sorted({controller for controller, _ in self.scsi}) or [0]
        for controller in range(controllers[-1] + 1):
            instance = str(uuid.UUID(int=0x5C510000 + controller))
            devices.append((SCSI, instance, "Synthetic SCSI Controller"))
            mine = {(0, unit): path for (number, unit), path in self.scsi.items() if number == controller}
            found |= self._drives(instance, mine, 1, 0)
        nic = str(uuid.UUID(int=0x1C))
        devices.append((SYNTHETIC, nic, "Synthetic Ethernet Port"))
        found |= {
            f"_{nic}_/FriendlyName": "Network Adapter",
            f"_{nic}_/MacAddress": self.mac,
            f"_{nic}_/MacAddressIsStatic": False,
            f"_{nic}_/IsConnected": bool(self.switch),
            f"_{nic}_/SwitchName": str(uuid.UUID(int=0x57)).upper() if self.switch else "",
            f"_{nic}_/Connection/AltSwitchName": self.switch,
        }
        found["manifest/size"] = len(devices)
        for number, (device, instance, name) in enumerate(devices, 1):
            found |= {
                f"manifest/vdev{number:03}/device": device,
                f"manifest/vdev{number:03}/instance": instance,
                f"manifest/vdev{number:03}/name": name,
                f"manifest/vdev{number:03}/flags": 1,
            }
        return found | dict(self.extra)

    def _board(self, instance: str) -> dict[str, Value]:
        board: dict[str, Value] = {
            f"_{instance}_/bios_guid": "{967DF1BA-2C00-4998-9F1B-D60BCC0C4B90}",
            f"_{instance}_/bios_serial_number": "7449-6769",
            f"_{instance}_/chassis/asset_tag": "A-1",
            f"_{instance}_/secure_boot_enabled": self.generation == 2,
        }
        if self.generation == 1:
            for number, word in enumerate(("Optical", "HardDrive", "Network", "Floppy")):
                board[f"_{instance}_/boot/device{number}"] = word
        return board

    def _drives(
        self, instance: str, drives: Mapping[tuple[int, int], str], controllers: int, places: int
    ) -> dict[str, Value]:
        found: dict[str, Value] = {}
        there = {(controller, unit) for controller in range(controllers) for unit in range(places)} | set(drives)
        for controller, unit in sorted(there):
            at = f"_{instance}_/controller{controller}/drive{unit}"
            path = drives.get((controller, unit), "")
            kind = "NONE" if not path else "ISO" if path.lower().endswith(".iso") else "VHD"
            if path.startswith("physical:"):
                kind, path = "PHYSICAL", path.removeprefix("physical:")
            found |= {f"{at}/pathname": path, f"{at}/type": kind}
            if kind == "VHD":
                found[f"{at}/persistent_reservations_supported"] = False
        return found

    def xml(self, encoding: str = "utf-16") -> bytes:
        """As Windows Server 2012 R2 writes it."""
        tree: dict[str, object] = {}
        for path, value in self.values().items():
            *folders, last = path.split("/")
            node = tree
            for part in folders:
                node = node.setdefault(part, {})  # type: ignore[assignment]
            node[last] = value
        head = f'<?xml version="1.0" encoding="{encoding.upper()}" standalone="yes"?>\r\n'
        return (head + f"<configuration>{_elements(tree)}</configuration>").encode(encoding)

    def vmcx(self) -> bytes:
        """As Windows Server 2016 and later write it."""
        values = self.values() | {"properties/version": 0x900}
        return Vmcx(values | dict(self.extra)).packed()


def _elements(node: Mapping[str, object]) -> str:
    words = {bool: "bool", int: "integer", float: "double", str: "string", bytes: "bytes"}
    text = ""
    for name, value in node.items():
        if isinstance(value, Mapping):
            text += f"<{name}>{_elements(value)}</{name}>\r\n"
            continue
        shown = base64.b64encode(value).decode() if isinstance(value, bytes) else escape(str(value))
        text += f'<{name} type="{words[type(value)]}">{shown}</{name}>\r\n'
    return text


class Vmcx:
    """One .vmcx file: two headers, a table of objects, a log that is idle, tables of settings."""

    def __init__(self, values: Mapping[str, Value], room: int = 4096) -> None:
        self._values = values
        self._room = room
        self._tables: list[bytearray] = []
        self._nodes: dict[str, tuple[int, int]] = {}
        self._order = 0

    def packed(self) -> bytes:
        self._add("configuration", (0, 0), 9, bytes(12), "configuration")
        for path, value in self._values.items():
            *folders, last = path.split("/")
            at = "configuration"
            for part in folders:
                parent, at = at, f"{at}/{part}"
                if at not in self._nodes:
                    self._add(at, self._nodes[parent], 9, bytes(12), part)
            self._add("", self._nodes[at], *_encoded(value), last)
        log_at = 0x3000
        file = bytearray(0x4000)
        places = []
        for number, table in enumerate(self._tables, 1):
            places.append(len(file))
            head = _summed(struct.pack("<HHHI", 2, number, 1, 0), 6)
            file += (head + bytes(table)).ljust(self._room, b"\0")
        for at, sequence in ((0, 7), (0x1000, 6)):
            header = struct.pack("<IIHIQIQQI", 0x01282014, 0, sequence, 0x400, 0, 0x1000, log_at, 0x1000, 0x1000)
            file[at : at + 46] = _summed(header, 4)
        objects = [(2, place, self._room, 1) for place in places]
        objects += [(0, 0, 0, 0)] * (227 - len(objects))
        table = struct.pack("<HHI", 1, 0x111, 227)
        for kind, place, length, used in objects:
            table += _summed(struct.pack("<BIQIB", kind, 0, place, length, used), 1)
        file[0x2000 : 0x2000 + len(table)] = table
        idle = _summed(bytes.fromhex("0300110100000000000000000091") + bytes(20), 4)
        file[log_at : log_at + 34] = idle
        return bytes(file)

    def _add(self, path: str, parent: tuple[int, int], kind: int, value: bytes, name: str) -> None:
        label = name.encode() + b"\0"
        length = 21 + len(label) + len(value)
        if not self._tables or 10 + len(self._tables[-1]) + length > self._room:
            self._tables.append(bytearray())
        table = self._tables[-1]
        place = (len(self._tables), 10 + len(table))
        self._order += 1
        entry = struct.pack("<BBIHIIIB", kind, 0, length, *parent, 0, self._order, len(label)) + label + value
        table += _summed(entry, 12)
        if path:
            self._nodes[path] = place


def _encoded(value: Value) -> tuple[int, bytes]:
    if isinstance(value, bool):
        return 8, struct.pack("<I", value)
    if isinstance(value, int):
        return 3, struct.pack("<q", value)
    if isinstance(value, float):
        return 5, struct.pack("<d", value)
    if isinstance(value, str):
        text = (value + "\0").encode("utf-16-le") if value else b""
        return 6, struct.pack("<I", len(text)) + text
    return 7, struct.pack("<I", len(value)) + value


def _summed(raw: bytes, at: int) -> bytes:
    """With the CRC-32 at `at` made right."""
    plain = raw[:at] + bytes(4) + raw[at + 4 :]
    return plain[:at] + struct.pack("<I", zlib.crc32(plain)) + plain[at + 4 :]


def export(folder: Path, stored: Stored, disks: Mapping[str, bytes | bytearray], *, binary: bool = False) -> Path:
    """An export folder: `disks` are file names of `Virtual Hard Disks` and their content."""
    from tests.hyperv_images import write_sparse

    machines, images = folder / "Virtual Machines", folder / "Virtual Hard Disks"
    for one in (machines, images, folder / "Snapshots"):
        one.mkdir(parents=True, exist_ok=True)
    suffix, content = ("vmcx", stored.vmcx()) if binary else ("xml", stored.xml())
    (machines / f"{stored.id.upper()}.{suffix}").write_bytes(content)
    for name, data in disks.items():
        write_sparse(images / name, data)
    return folder
