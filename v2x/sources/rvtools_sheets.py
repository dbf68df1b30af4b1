# SPDX-License-Identifier: Apache-2.0
"""The sheets of an RVTools export that v2x reads, their columns under all names they have had, and what each tells.

Headers differ between releases (MB, then MiB), by option (`-DBColumnNames` writes vInfoVMName instead of VM) and in
case. They are compared without case, blanks, signs, the sheet's name before and the unit after.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_COMMON = {
    "vm": "vm vmname",
    "vmid": "vmid vmref",
    "uuid": "vmuuid uuid",
    "sdk": "visdkuuid vcenteruuid",
    "host": "host",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """`columns` maps a key to the plain headers it may stand under, the preferred one first.

    `tells` says in words what is unknown without the sheet, and `needs` maps a key to what is unknown without that
    column; both are empty for what is not missed.
    """

    name: str
    columns: Mapping[str, str]
    tells: str = ""
    needs: Mapping[str, str] = field(default_factory=dict)

    def choose(self, headers: Mapping[int, str]) -> dict[int, str]:
        """Column number → key. Of two columns for one key that of the preferred header counts."""
        plain: dict[str, int] = {}
        for column, header in headers.items():
            plain.setdefault(plain_header(header, self.name), column)
        chosen: dict[int, str] = {}
        for key, names in self.columns.items():
            places = [plain[each] for each in names.split() if each in plain]
            if places and places[0] not in chosen:
                chosen[places[0]] = key
        return chosen


def plain_header(header: str, sheet: str) -> str:
    """`Provisioned MiB`, `Provisioned MB` and `vInfoProvisioned` are all `provisioned`."""
    plain = re.sub("[^a-z0-9]", "", header[:200].lower())
    prefix = sheet.lower()
    if plain.startswith(prefix) and len(plain) > len(prefix):
        plain = plain[len(prefix) :]
    return re.sub("(?<=[a-z])mi?b$", "", plain)


INFO = Sheet(
    name="vInfo",
    columns={
        **_COMMON,
        "smbios": "smbiosuuid",
        "server": "visdkserver",
        "power": "powerstate",
        "template": "template",
        "srm": "srmplaceholder",
        "dns": "dnsname guesthostname",
        "connection": "connectionstate",
        "consolidation": "consolidationneeded",
        "cpus": "cpus",
        "memory": "memory",
        "nics": "nics",
        "disks": "disks numvirtualdisks",
        "capacity": "totaldiskcapacity",
        "latency": "latencysensitivity",
        "enableuuid": "enableuuid diskenableuuid",
        "cbt": "cbt changetracking",
        "ip": "primaryipaddress ipaddress",
        **{f"network{number}": f"network{number}" for number in range(1, 9)},
        "pool": "resourcepool",
        "folder": "folder",
        "vapp": "vapp",
        "ft": "ftstate",
        "provisioned": "provisioned",
        "inuse": "inuse",
        "secureboot": "efisecureboot efisecurebootenabled",
        "firmware": "firmware",
        "hardware": "hwversion",
        "path": "path",
        "annotation": "annotation annotations notes",
        "datacenter": "datacenter",
        "cluster": "cluster",
        "osconfig": "osaccordingtotheconfigurationfile osconfig os",
        "ostools": "osaccordingtothevmwaretools ostools",
    },
    needs={
        "firmware": "BIOS or UEFI",
        "secureboot": "Secure Boot",
        "cbt": "changed block tracking",
        "power": "whether machines run",
        "osconfig": "guest systems",
        "template": "which are templates",
    },
)
CPU = Sheet(
    name="vCPU",
    columns={
        **_COMMON,
        "cpus": "cpus",
        "cores": "coresps corespersocket",
        "reservation": "reservation",
        "limit": "limit",
        "hotadd": "hotadd",
    },
    tells="cores per socket, CPU hot add, CPU reservations and limits",
)
MEMORY = Sheet(
    name="vMemory",
    columns={**_COMMON, "size": "size", "reservation": "reservation", "hotadd": "hotadd"},
    tells="memory hot add and memory reservations",
)
DISK = Sheet(
    name="vDisk",
    columns={
        **_COMMON,
        "disk": "disk name",
        "key": "diskkey key",
        "diskuuid": "diskuuid",
        "file": "diskpath path",
        "capacity": "capacity",
        "raw": "raw",
        "mode": "diskmode mode",
        "sharing": "sharingmode",
        "thin": "thin",
        "eager": "eagerlyscrub",
        "split": "split",
        "controller": "controller",
        "label": "label",
        "unit": "unit",
        "bus": "sharedbus",
        "rawmode": "rawcompmode",
    },
    tells="disks, their sizes, controllers and modes",
    needs={
        "capacity": "sizes of disks",
        "controller": "controllers of disks",
        "mode": "independent disks",
        "raw": "raw device mappings",
        "sharing": "disks shared by several writers",
    },
)
NETWORK = Sheet(
    name="vNetwork",
    columns={
        **_COMMON,
        "label": "niclabel nic",
        "adapter": "adapter",
        "network": "network name",
        "connected": "connected",
        "start": "startsconnected startconnected",
        "mac": "macaddress mac",
        "type": "type",
        "ip4": "ipv4address ip4address ipaddress",
        "ip6": "ipv6address ip6address",
        "direct": "directpathio",
    },
    tells="MAC addresses and models of network cards, and whether they are connected",
    needs={"mac": "MAC addresses", "adapter": "models of network cards", "start": "cards that start disconnected"},
)
CD = Sheet(
    name="vCD",
    columns={**_COMMON, "node": "devicenode", "connected": "connected", "type": "devicetype"},
    tells="CD drives and the images in them",
)
USB = Sheet(
    name="vUSB",
    columns={**_COMMON, "node": "devicenode", "type": "devicetype"},
    tells="USB devices",
)
SNAPSHOT = Sheet(
    name="vSnapshot",
    columns={**_COMMON, "name": "name", "description": "description", "time": "datetime", "state": "state"},
    tells="snapshots",
)
TOOLS = Sheet(
    name="vTools",
    columns={**_COMMON, "tools": "tools status", "sync": "synctime"},
    tells="whether VMware Tools run and synchronise the clock",
)
HOST = Sheet(
    name="vHost",
    columns={
        "host": "host name",
        "cluster": "cluster",
        "version": "esxversion",
        "maintenance": "inmaintenancemode",
    },
    tells="versions of hosts, and hosts in maintenance",
)
DATASTORE = Sheet(
    name="vDatastore",
    columns={"name": "name", "type": "type", "capacity": "capacity", "free": "free freespace"},
    tells="kinds of datastores and their free space",
)
PORT = Sheet(
    name="vPort",
    columns={"name": "portgroup name", "vlan": "vlan"},
    tells="VLANs of standard port groups",
)
DVPORT = Sheet(
    name="dvPort",
    columns={"name": "port name", "vlan": "vlan", "switch": "switch"},
    tells="VLANs of distributed port groups",
)
META = Sheet(
    name="vMetaData",
    columns={
        "version": "rvtoolsversion rvtoolsmajorversion",
        "time": "xlsxcreationdatetime csvcreationdatetime creationdatetime",
    },
)

OF_MACHINES = (CPU, MEMORY, DISK, NETWORK, CD, USB, SNAPSHOT, TOOLS)
OF_ESTATE = (HOST, DATASTORE, PORT, DVPORT, META)

# Compared with the names of files, the longest first: RVTools_tabdvPort.csv also ends in vPort.csv.
SHEETS = tuple(sorted((INFO, *OF_MACHINES, *OF_ESTATE), key=lambda sheet: -len(sheet.name)))


def sheet_named(title: str) -> Sheet | None:
    """The sheet that a tab (`vInfo`, `tabvInfo`) or a CSV file without extension (`RVTools_tabvInfo`) stands for."""
    lowered = title.strip().lower()
    for sheet in SHEETS:
        name = sheet.name.lower()
        head = lowered.removesuffix(name)
        if lowered.endswith(name) and (head in ("", "tab") or re.search(r"(?:[^a-z]|[^a-z]tab)$", head)):
            return sheet
    return None
