# SPDX-License-Identifier: Apache-2.0
"""RVTools exports made for tests: a small estate under the headers of several releases, as workbook or as CSV.

The values are made up in the shape RVTools gives them; headers are those of release 4.7, of 3.x, and of the option
-DBColumnNames.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from openpyxl import Workbook

VCENTER = "aaaaaaaa-1111-2222-3333-444444444444"
WINDOWS = "Microsoft Windows Server 2019 (64-bit)"
LINUX = "Red Hat Enterprise Linux 8 (64-bit)"

Row = dict[str, Any]
Sheets = dict[str, list[Row]]


def _vm(number: int, name: str, **more: Any) -> Row:
    return {
        "VM": name,
        "Powerstate": "poweredOn",
        "Template": False,
        "SRM Placeholder": False,
        "Host": f"esx{number % 2}.example.org",
        "Cluster": "Prod",
        "Datacenter": "DC1",
        "Folder": "/DC1/vm/Apps",
        "VM ID": f"vm-{number}",
        "VM UUID": f"5000{number:04d}-0000-4000-8000-{number:012d}",
        "VI SDK Server": "vc.example.org",
        "VI SDK UUID": VCENTER,
        **more,
    }


def estate() -> Sheets:
    """web (UEFI, Secure Boot), db (BIOS, off, raw device, snapshot), a template, and a machine of vSphere itself."""
    web, db = _vm(1, "web"), _vm(2, "db", Powerstate="poweredOff")
    tpl, vcls = (
        _vm(3, "tpl", Template=True, Powerstate="poweredOff"),
        _vm(4, "vCLS-0f0f4f2e-88a1-4b9e-a3a5-5d7a3f1c2b10"),
    )
    info: dict[str, Row] = {
        "web": {
            "CPUs": 4, "Memory": 8192, "NICs": 2, "Disks": 2, "Total disk capacity MiB": 153600, "Firmware": "efi",
            "EFI Secure boot": True, "HW version": 19, "CBT": True, "EnableUUID": True, "DNS Name": "web.example.org",
            "Connection state": "connected", "Consolidation Needed": False, "FT State": "notConfigured",
            "Latency Sensitivity": "normal", "Provisioned MiB": 160000, "In Use MiB": 70000,
            "Primary IP Address": "192.0.2.10", "Network #1": "VLAN 10", "Network #2": "Backup",
            "Resource pool": "/DC1/Prod/Resources", "vApp": "Shop", "Path": "[fast] web/web.vmx",
            "Annotation": "front end\nask ops", "Owner": "Ops", "Cost centre": "42",
            "OS according to the configuration file": "Other Linux (64-bit)", "OS according to the VMware Tools": LINUX,
            "SMBIOS UUID": "42000000-0000-4000-8000-000000000001",
        },
        "db": {
            "CPUs": 2, "Memory": 4096, "NICs": 1, "Disks": 2, "Total disk capacity MiB": 92160, "Firmware": "bios",
            "EFI Secure boot": False, "HW version": "vmx-13", "CBT": False, "Network #1": "VLAN 10",
            "OS according to the configuration file": WINDOWS, "Path": "[slow] db/db.vmx",
            "SMBIOS UUID": "42000000-0000-4000-8000-000000000002",
        },
        "tpl": {
            "CPUs": 1, "Memory": 1024, "NICs": 0, "Disks": 1, "Total disk capacity MiB": 10240, "Firmware": "bios",
            "OS according to the configuration file": LINUX,
        },
        "vcls": {"CPUs": 1, "Memory": 128, "NICs": 0, "Disks": 1, "Firmware": "efi"},
    }  # fmt: skip

    def disk(vm: Row, number: int, mib: float, **more: Any) -> Row:
        store = "fast" if vm is web else "slow"
        return {
            **vm, "Disk": f"Hard disk {number + 1}", "Disk Key": 2000 + number,
            "Disk UUID": f"6000C29{number}-0000-0000-0000-{vm['VM ID'][3:]:0>12}",
            "Disk Path": f"[{store}] {vm['VM']}/{vm['VM']}_{number}.vmdk", "Capacity MiB": mib, "Raw": False,
            "Disk Mode": "persistent", "Sharing mode": "sharingNone", "Thin": True, "Eagerly Scrub": False,
            "Split": False, "Controller": "SCSI controller 0", "Label": f"Hard disk {number + 1}", "SCSI Unit #": 7,
            "Unit #": number, "Shared Bus": "noSharing", **more,
        }  # fmt: skip

    def nic(vm: Row, number: int, **more: Any) -> Row:
        return {
            **vm, "NIC label": f"Network adapter {number}", "Adapter": "Vmxnet3", "Network": "VLAN 10", "Switch": "dvs",
            "Connected": True, "Starts Connected": True, "Mac Address": f"00:50:56:00:0{vm['VM ID'][3:]}:0{number}",
            "Type": "assigned", "Direct Path IO": False, **more,
        }  # fmt: skip

    return {
        "vInfo": [{**vm, **info[key]} for vm, key in ((web, "web"), (db, "db"), (tpl, "tpl"), (vcls, "vcls"))],
        "vCPU": [
            {**web, "CPUs": 4, "Sockets": 2, "Cores p/s": 2, "Reservation": 500, "Limit": -1, "Hot Add": True},
            {**db, "CPUs": 2, "Sockets": 2, "Cores p/s": 1, "Reservation": 0, "Limit": 3000, "Hot Add": False},
        ],
        "vMemory": [
            {**web, "Size MiB": 8192, "Reservation": 1024, "Hot Add": True},
            {**db, "Size MiB": 4096, "Reservation": 0, "Hot Add": False},
        ],
        "vDisk": [
            disk(web, 0, 51200),
            disk(web, 1, 102400, Thin=False, **{"Sharing mode": "sharingMultiWriter", "Eagerly Scrub": True}),
            disk(db, 0, 81920, Controller="IDE 0", Thin=False),
            disk(db, 1, 10240, Raw=True, **{"Disk Mode": "independent_persistent", "Raw Comp. Mode": "physicalMode"}),
            disk(tpl, 0, 10240, Controller="NVME controller 0"),
            disk(vcls, 0, 2048),
        ],
        "vPartition": [{**web, "Disk": "/", "Capacity MiB": 50000, "Consumed MiB": 20000, "Free MiB": 30000}],
        "vNetwork": [
            nic(web, 1, **{"IPv4 Address": "192.0.2.10, 192.0.2.11", "IPv6 Address": "2001:db8::1", "Type": "manual"}),
            nic(web, 2, Network="Backup", Adapter="E1000e", **{"Starts Connected": False}),
            nic(db, 1, Connected=False),
        ],
        "vCD": [
            {**web, "Device Node": "CD/DVD drive 1", "Connected": True, "Device Type": "ISO [iso] rhel/8.iso"},
            {**db, "Device Node": "CD/DVD drive 1", "Connected": False, "Device Type": "Remote device"},
        ],
        "vUSB": [{**db, "Device Node": "USB 1", "Device Type": "Dongle"}],
        "vSnapshot": [
            {**db, "Name": "before patch", "Description": "keep", "Date / time": "2024/03/01 10:11:12",
             "State": "poweredOn"}
        ],
        "vTools": [
            {**web, "Tools": "toolsOk", "Sync time": True},
            {**db, "Tools": "toolsNotRunning", "Sync time": False},
        ],
        "vHost": [
            {"Host": "esx0.example.org", "Cluster": "Prod", "ESX Version": "VMware ESXi 7.0.3",
             "in Maintenance Mode": True},
            {"Host": "esx1.example.org", "Cluster": "Prod", "ESX Version": "VMware ESXi 7.0.3",
             "in Maintenance Mode": False},
        ],
        "vDatastore": [
            {"Name": "fast", "Type": "VMFS", "Capacity MiB": 1048576, "Free MiB": 204800},
            {"Name": "slow", "Type": "NFS", "Capacity MiB": 2097152, "Free MiB": 1},
        ],
        "vPort": [
            {"Host": "esx0.example.org", "Port Group": "Backup", "Switch": "vSwitch0", "VLAN": 20},
            {"Host": "esx1.example.org", "Port Group": "Backup", "Switch": "vSwitch0", "VLAN": 20},
            {"Host": "esx1.example.org", "Port Group": "Trunk", "Switch": "vSwitch0", "VLAN": 4095},
        ],
        "dvPort": [
            {"Port": "VLAN 10", "Switch": "dvs", "VLAN": 10},
            {"Port": "Uplinks", "Switch": "dvs", "VLAN": "0-4094"},
        ],
        "vCluster": [{"Name": "Prod", "DRS enabled": True}],
        "vHealth": [{"Name": "web", "Message": "zombie", "Message type": "Zombie"}],
        "vMetaData": [
            {"RVTools version": "4.7.1.4", "xlsx creation datetime": "2026-05-04 03:02:01", "Server": "vc.example.org"}
        ],
    }  # fmt: skip


# In vInfo custom attributes stand between Annotation and Datacenter.
_VINFO_TAIL = ("Annotation", "Owner", "Cost centre", "Datacenter", "Cluster", "Host")


def headers(name: str, rows: Sequence[Row]) -> list[str]:
    found = list(dict.fromkeys(key for row in rows for key in row))
    if name != "vInfo":
        return found
    return [key for key in found if key not in _VINFO_TAIL] + [key for key in _VINFO_TAIL if key in found]


def old_headers(sheets: Sheets) -> Sheets:
    """As release 3.x: MB instead of MiB, other words, and none of the columns that came later."""
    words = {"OS according to the configuration file": "OS", "VI SDK UUID": "vCenter UUID",
             "EnableUUID": "disk.EnableUUID", "Disk Path": "Path", "Starts Connected": "Start Connected"}  # fmt: skip
    later = {"Shared Bus", "Sharing mode", "Disk UUID", "Disk Key", "SMBIOS UUID", "EFI Secure boot", "SRM Placeholder"}

    def rename(key: str) -> str:
        return words.get(key, key.replace("MiB", "MB"))

    return {
        f"tab{name}": [{rename(key): value for key, value in row.items() if key not in later} for row in rows]
        for name, rows in sheets.items()
    }


def database_headers(sheets: Sheets) -> Sheets:
    """As with -DBColumnNames: the sheet's name before, and no blanks."""
    words = {"VM": "VMName", "DNS Name": "GuestHostName", "OS according to the configuration file": "OS",
             "OS according to the VMware Tools": "OSTools", "Disks": "NumVirtualDisks", "VM UUID": "UUID",
             "NIC label": "Nic", "Network": "Name", "Cores p/s": "CoresPerSocket"}  # fmt: skip

    def rename(sheet: str, key: str) -> str:
        word = words.get(key, key) if key != "Network" or sheet == "vNetwork" else key
        if sheet in ("vHost", "vDatastore", "vPort", "dvPort", "vMetaData", "vCluster", "vHealth") or key in (
            "Owner",
            "Cost centre",
        ):
            word = key
        return sheet + "".join(sign for sign in word.title().replace(" ", "") if sign.isalnum())

    return {
        name: [{rename(name, key): value for key, value in row.items()} for row in rows]
        for name, rows in sheets.items()
    }


def german(sheets: Sheets) -> Sheets:
    """As a German Windows writes: Wahr and Falsch, 51.200 and 0,5, all of it text."""

    def word(value: Any) -> Any:
        if isinstance(value, bool):
            return "Wahr" if value else "Falsch"
        if isinstance(value, int | float):
            return f"{value:,}".replace(",", " ").replace(".", ",").replace(" ", ".")
        return value

    return {name: [{key: word(value) for key, value in row.items()} for row in rows] for name, rows in sheets.items()}


def without(sheets: Sheets, *names: str) -> Sheets:
    return {name: rows for name, rows in sheets.items() if name not in names}


def write_xlsx(path: Path, sheets: Mapping[str, Sequence[Row]]) -> Path:
    book = Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        page = book.create_sheet(name)
        titles = headers(name.removeprefix("tab"), rows)
        page.append(titles)
        for row in rows:
            page.append([row.get(title) for title in titles])
    book.save(path)
    return path


def write_csv(
    folder: Path, sheets: Mapping[str, Sequence[Row]], *, delimiter: str = ",", encoding: str = "utf-8-sig"
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in sheets.items():
        titles = headers(name, rows)
        with (folder / f"RVTools_tab{name}.csv").open("w", encoding=encoding, newline="") as file:
            writer = csv.writer(file, delimiter=delimiter)
            writer.writerow(titles)
            writer.writerows([_cell(row.get(title)) for title in titles] for row in rows)
    return folder


def _cell(value: Any) -> str:
    return "" if value is None else str(value)
