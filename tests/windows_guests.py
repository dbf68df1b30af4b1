# SPDX-License-Identifier: Apache-2.0
"""Windows guests for tests: real registry hives, made with hivex, in a folder laid out as Windows has it."""

import hashlib
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hivex

from v2x.convert import guestfs_hives
from v2x.convert.files import FolderFiles
from v2x.convert.registry import Kind, RegistryValue, dword, string

SYSTEM, SOFTWARE = "Windows/System32/config/SYSTEM", "Windows/System32/config/SOFTWARE"
MAC, OTHER_MAC = "00:50:56:aa:00:01", "00:50:56:aa:00:02"
GUID, OTHER_GUID = "{11111111-2222-3333-4444-555555555555}", "{99999999-2222-3333-4444-555555555555}"
TOOLS = "{C3BCB7B2-31DF-4A77-9F3A-1F0E4F6C2D11}"
GHOST = "PCI\\VEN_15AD&DEV_07B0&SUBSYS_07B015AD&REV_01\\FF565000AA00010000"
GPT_GUID = bytes.fromhex("00112233445566778899aabbccddeeff")
NET_CLASS = "{4d36e972-e325-11ce-bfc1-08002be10318}"
UNINSTALL = "Microsoft\\Windows\\CurrentVersion\\Uninstall"
VERSION = "Microsoft\\Windows NT\\CurrentVersion"
MSI = bytes.fromhex("d0cf11e0a1b11ae1") + b"the drivers" * 100

Keys = Mapping[str, Mapping[str, RegistryValue]]


def multi(*texts: str) -> RegistryValue:
    return RegistryValue(Kind.MULTI_SZ, ("\0".join((*texts, "", ""))).encode("utf-16-le"))


def binary(data: bytes) -> RegistryValue:
    return RegistryValue(Kind.BINARY, data)


def empty_hive() -> bytes:
    """A hive of one key without values, as Windows's own tools would save it: header, one bin, root and its rights."""
    rights = bytes.fromhex("0100048014000000240000000000000000000000") + bytes(16) * 2
    security = b"sk" + bytes(2) + struct.pack("<IIII", 0x80, 0x80, 1, len(rights)) + rights
    root = (
        b"nk" + struct.pack("<HQI", 0x2C, 0, 0) + struct.pack("<III", 0, 0, 0) + struct.pack("<II", *(0xFFFFFFFF,) * 2)
    )
    root += struct.pack("<IIII", 0, 0xFFFFFFFF, 0x80, 0xFFFFFFFF) + bytes(20) + struct.pack("<HH", 4, 0) + b"root"
    cells = bytearray(4096)
    cells[:32] = b"hbin" + struct.pack("<II", 0, 4096) + bytes(20)
    struct.pack_into("<i", cells, 0x20, -0x60)
    cells[0x24 : 0x24 + len(root)] = root
    size = (len(security) + 4 + 7) // 8 * 8
    struct.pack_into("<i", cells, 0x80, -size)
    cells[0x84 : 0x84 + len(security)] = security
    struct.pack_into("<i", cells, 0x80 + size, 4096 - 0x80 - size)
    header = bytearray(4096)
    header[:48] = b"regf" + struct.pack("<IIQIIIIIII", 1, 1, 0, 1, 5, 0, 1, 0x20, 4096, 1)
    total = 0
    for (word,) in struct.iter_unpack("<I", header[:508]):
        total ^= word
    struct.pack_into("<I", header, 508, total)
    return bytes(header + cells)


def make_hive(path: Path, keys: Keys) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(empty_hive())
    hive = hivex.Hivex(str(path), write=True)
    for key, values in keys.items():
        node = hive.root()
        for part in key.split("\\"):
            node = hive.node_get_child(node, part) or hive.node_add_child(node, part)
        for name, value in values.items():
            hive.node_set_value(node, {"key": name, "t": int(value.kind), "value": value.data})
    hive.commit(str(path))


class HandleOnHives:
    """libguestfs's calls for hives, answered by hivex itself for files in a folder: what runs in the appliance."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._hive: Any = None
        self.commits: list[str] = []

    def hivex_open(self, path: str, write: bool = False) -> None:
        assert self._hive is None, "libguestfs has one hive open at most"
        self._path = self._root / path.lstrip("/")
        self._hive = hivex.Hivex(str(self._path), write=write)

    def hivex_close(self) -> None:
        self._hive = None

    def hivex_root(self) -> int:
        return int(self._hive.root())

    def hivex_node_get_child(self, node: int, name: str) -> int:
        return self._hive.node_get_child(node, name) or 0

    def hivex_node_add_child(self, node: int, name: str) -> int:
        return int(self._hive.node_add_child(node, name))

    def hivex_node_delete_child(self, node: int) -> None:
        self._hive.node_delete_child(node)

    def hivex_node_name(self, node: int) -> str:
        return str(self._hive.node_name(node))

    def hivex_node_children(self, node: int) -> list[dict[str, int]]:
        return [{"hivex_node_h": one} for one in self._hive.node_children(node)]

    def hivex_node_values(self, node: int) -> list[dict[str, int]]:
        return [{"hivex_value_h": one} for one in self._hive.node_values(node)]

    def hivex_node_get_value(self, node: int, name: str) -> int:
        return next((one for one in self._hive.node_values(node) if self._named(one, name)), 0)

    def _named(self, value: int, name: str) -> bool:
        return str(self._hive.value_key(value)).casefold() == name.casefold()

    def hivex_value_key(self, value: int) -> str:
        return str(self._hive.value_key(value))

    def hivex_value_type(self, value: int) -> int:
        return int(self._hive.value_value(value)[0])

    def hivex_value_value(self, value: int) -> bytes:
        return bytes(self._hive.value_value(value)[1])

    def hivex_node_set_value(self, node: int, name: str, kind: int, data: bytes) -> None:
        self._hive.node_set_value(node, {"key": name, "t": kind, "value": data})

    def hivex_commit(self, path: str | None) -> None:
        assert path is None
        self._hive.commit(str(self._path))
        self.commits.append(self._path.name)


class WindowsFolder(FolderFiles):
    """A folder as a mounted Windows: case counts, as it does on NTFS below libguestfs."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.root = root
        self.handle = HandleOnHives(root)
        self._hive = guestfs_hives.OpenHive(self.handle)
        self.private: list[str] = []

    def head(self, path: str, count: int) -> bytes:
        with open(self.root / path.lstrip("/"), "rb") as file:
            return file.read(count)

    def digest(self, path: str) -> str:
        return hashlib.sha256((self.root / path.lstrip("/")).read_bytes()).hexdigest()

    def write_private(self, path: str, data: bytes) -> None:
        self.private.append(path)
        self.write(path, data, 0o600)

    def add_private(self, source: Path, to: str) -> None:
        self.write_private(to, source.read_bytes())

    def subkeys(self, hive: str, key: str) -> list[str]:
        return guestfs_hives.subkeys(self._hive, self.handle, {"hive": hive, "key": key})

    def values(self, hive: str, key: str) -> list[list[Any]] | None:
        return guestfs_hives.values(self._hive, self.handle, {"hive": hive, "key": key})

    def value(self, hive: str, key: str, name: str) -> list[Any] | None:
        return guestfs_hives.value(self._hive, self.handle, {"hive": hive, "key": key, "name": name})

    def change_hive(self, hive: str, edits: list[dict[str, Any]]) -> None:
        guestfs_hives.change(self._hive, self.handle, {"hive": hive, "edits": edits})


def service(start: int, **values: RegistryValue) -> dict[str, RegistryValue]:
    return {"Type": dword(1), "Start": dword(start), **values}


def system(control_set: str = "ControlSet001") -> dict[str, dict[str, RegistryValue]]:
    """A Server 2019 from VMware with the Tools, one static adapter, drives C to E."""
    services = f"{control_set}\\Services"
    control = f"{control_set}\\Control"
    number = int(control_set.removeprefix("ControlSet"))
    return {
        "Select": {"Current": dword(number), "Default": dword(number), "LastKnownGood": dword(number)},
        f"{services}\\storahci": service(3),
        f"{services}\\storahci\\StartOverride": {"0": dword(3)},
        f"{services}\\stornvme": service(0),
        f"{services}\\stornvme\\StartOverride": {"0": dword(3)},
        f"{services}\\atapi": service(0),
        f"{services}\\atapi\\StartOverride": {"0": dword(3)},
        f"{services}\\intelide": service(3),
        f"{services}\\pciide": service(3),
        f"{services}\\LSI_SAS": service(0),
        f"{services}\\pvscsi": service(0),
        f"{services}\\vmci": service(0),
        f"{services}\\vmxnet3ndis6": service(3),
        f"{services}\\vmmouse": service(3),
        f"{services}\\VMTools": service(2),
        f"{services}\\VGAuthService": service(2),
        f"{services}\\vmicheartbeat": service(3),
        f"{services}\\vmbus": service(0),
        f"{control}\\ProductOptions": {"ProductType": string("ServerNT")},
        f"{control}\\Session Manager\\Environment": {"PROCESSOR_ARCHITECTURE": string("AMD64")},
        f"{control}\\TimeZoneInformation": {
            "ActiveTimeBias": dword(0xFFFFFFC4),
            "TimeZoneKeyName": string("W. Europe Standard Time"),
        },
        f"{control}\\Class\\{NET_CLASS}": {"Class": string("Net")},
        f"{control}\\Network\\{{4D36E972-E325-11CE-BFC1-08002BE10318}}\\{GUID}\\Connection": {
            "Name": string("Ethernet0")
        },
        f"{control}\\NetworkSetup2\\Interfaces\\{GUID}\\Kernel": {
            "PermanentAddress": binary(bytes.fromhex("005056aa0001"))
        },
        f"{services}\\Tcpip\\Parameters\\Interfaces\\{GUID}": {
            "EnableDHCP": dword(0),
            "IPAddress": multi("192.0.2.10", "192.0.2.11"),
            "SubnetMask": multi("255.255.255.0", "255.255.255.0"),
            "DefaultGateway": multi("192.0.2.1"),
            "NameServer": string("192.0.2.53,198.51.100.53"),
            "Domain": string("corp.example"),
        },
        f"{services}\\Tcpip\\Parameters\\Interfaces\\{OTHER_GUID}": {
            "EnableDHCP": dword(0),
            "IPAddress": multi("10.9.9.9"),
            "SubnetMask": multi("255.0.0.0"),
        },
        f"{control_set}\\Enum\\{GHOST}": {"ClassGUID": string(NET_CLASS)},
        f"{control_set}\\Enum\\PCI\\VEN_15AD&DEV_07C0\\1": {
            "ClassGUID": string("{4d36e97b-e325-11ce-bfc1-08002be10318}")
        },
        "MountedDevices": {
            "\\DosDevices\\C:": binary(struct.pack("<IQ", 0x1234ABCD, 1 << 20)),
            "\\DosDevices\\E:": binary(b"DMIO:ID:" + GPT_GUID),
            "\\DosDevices\\D:": binary("\\??\\SCSI#CdRom".encode("utf-16-le")),
            "\\??\\Volume{aaaa}": binary(struct.pack("<IQ", 0x1234ABCD, 1 << 20)),
        },
    }


def software() -> dict[str, dict[str, RegistryValue]]:
    return {
        VERSION: {
            "ProductName": string("Windows Server 2019 Standard"),
            "CurrentBuild": string("17763"),
            "CurrentVersion": string("6.3"),
            "CurrentMajorVersionNumber": dword(10),
            "CurrentMinorVersionNumber": dword(0),
            "EditionID": string("ServerStandard"),
            "InstallationType": string("Server"),
            "ProductId": string("00429-00000-00001-AA123"),
        },
        f"{UNINSTALL}\\{TOOLS}": {"DisplayName": string("VMware Tools"), "Publisher": string("VMware, Inc.")},
        f"{UNINSTALL}\\Editor": {"DisplayName": string("An editor")},
    }


def executable() -> bytes:
    """The headers of an x64 program, which is what libguestfs knows the architecture by."""
    dos = b"MZ" + bytes(58) + struct.pack("<I", 64)
    coff = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 240, 0x22)
    optional = struct.pack("<H", 0x20B) + bytes(66) + struct.pack("<H", 3) + bytes(170)
    return dos + coff + optional + b".text\0\0\0" + bytes(32) + bytes(512)


DRIVERS = ("storahci.sys", "stornvme.sys", "ATAPI.SYS", "intelide.sys", "pciide.sys", "vmbus.sys")


def lay_windows(root: Path, *, system_keys: Keys | None = None, software_keys: Keys | None = None) -> WindowsFolder:
    make_hive(root / SYSTEM, system() if system_keys is None else system_keys)
    make_hive(root / SOFTWARE, software() if software_keys is None else software_keys)
    drivers = root / "Windows/System32/drivers"
    drivers.mkdir(parents=True)
    for name in DRIVERS:
        (drivers / name).write_bytes(executable())
    (root / "Windows/System32/cmd.exe").write_bytes(executable())
    (root / "Program Files").mkdir()
    (root / "Users").mkdir()
    (root / "Windows/explorer.exe").write_bytes(executable())
    return WindowsFolder(root)


def copied(folder: WindowsFolder, to: Path) -> WindowsFolder:
    shutil.copytree(folder.root, to)
    return WindowsFolder(to)
