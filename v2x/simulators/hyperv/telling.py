# SPDX-License-Identifier: Apache-2.0
"""What collect.ps1 would write on a described host: the contract of schema v2x.hyperv/1, by its own hand.

It writes as Windows PowerShell does: keys in no order, missing properties as null, enumerations by name.
"""

import json
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from v2x.simulators.hyperv.described import Adapter, Checkpoint, Estate, HardDisk, Host, Image, VirtualMachine
from v2x.simulators.hyperv.profiles import Profile

_SPACE = uuid.UUID("1f1d6e20-52ce-4f6b-9d39-6e6f0b3a8c55")
_INTEGRATION = (
    ("2a34b1c2-fd73-4043-8a5b-dd2159bc743f", True),
    ("9f8233ac-be49-4c79-8ee3-e7e1985b2077", True),
    ("2497f4de-e9fa-4204-80e4-4b75c46419c0", True),
    ("5ced1297-4598-4915-a5fc-ad21bb4d02a4", True),
    ("84eaae65-2f2e-45f5-9bb5-0e857dc8eb47", True),
    ("6c09bb55-d683-4da0-8931-c9bf705f6480", False),
)
_OPTIONAL = {
    "dda": "Get-VMAssignableDevice",
    "gpup": "Get-VMGpuPartitionAdapter",
    "pmem": "Get-VMPmemController",
}
Locate = Callable[[str], Path | None]
"""From a path of the host to the file of this machine that stands for it."""


class Teller:
    """Writes the document of one host. `rights` is False for an account that may not list machines."""

    def __init__(
        self, estate: Estate, host: Host, profile: Profile, locate: Locate, account: str, *, rights: bool = True
    ) -> None:
        self._estate = estate
        self._host = host
        self._profile = profile
        self._locate = locate
        self._account = account
        self._rights = rights
        self._warnings: list[dict[str, str]] = []

    def pieces(self, ids: Sequence[str] = ()) -> list[str]:
        """The pieces that the script writes one after the other."""
        wanted = {one.lower() for one in ids}
        machines = [
            one
            for one in self._estate.machines
            if self._rights and one.host == self._host.name and (not wanted or one.id in wanted)
        ]
        for lost in sorted(wanted - {one.id for one in machines}):
            self._warn(f"machine {lost}", "Hyper-V findet kein Objekt mit dieser ID.", "InvalidParameter,GetVM")
        rows = [json.dumps(self._machine(one), ensure_ascii=False) for one in machines]
        head = json.dumps(self._head(), ensure_ascii=False)
        comma = [("," if number else "") + row for number, row in enumerate(rows)]
        return [head[:-1] + ',"vms":[', *comma, "]}"]

    def _warn(self, subject: str, text: str, id: str) -> None:
        self._warnings.append({"subject": subject, "text": text, "id": id})

    def _head(self) -> dict[str, Any]:
        profile, host, estate = self._profile, self._host, self._estate
        return {
            "psVersion": profile.powershell,
            "host": host.name,
            "schema": "v2x.hyperv/1",
            "collected": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z",
            "domain": estate.domain or None,
            "osVersion": profile.version,
            "osCaption": profile.caption,
            "hyperv": True,
            "memory": host.memory,
            "cpuModel": "Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz",
            "cores": host.cores,
            "account": {
                "name": self._account,
                "administrator": self._rights,
                "hypervAdministrator": self._rights,
            },
            "switches": [
                {"id": one.id, "name": one.name, "type": one.type, "iov": False, "team": False, "uplinks": one.uplinks}
                for one in host.switches
            ],
            "volumes": [
                {"path": "C:", "label": "", "filesystem": "NTFS", "size": 256 << 30, "free": 180 << 30},
                {"path": "D:", "label": "VMs", "filesystem": "ReFS", "size": 4 << 40, "free": host.free},
            ],
            "shares": [{"name": "C$", "path": "C:\\"}, {"name": "D$", "path": "D:\\"}],
            "cluster": self._cluster(),
            "warnings": self._warnings,
        }

    def _cluster(self) -> dict[str, Any] | None:
        estate = self._estate
        if not estate.cluster:
            return None
        return {
            "name": estate.cluster,
            "nodes": [{"name": one.name, "state": "Up"} for one in estate.hosts],
            "groups": [
                {
                    "name": f"SCVMM {one.name} Resources",
                    "owner": one.host,
                    "state": one.role_state or ("Online" if one.state == "Running" else "Offline"),
                    "priority": one.role_priority,
                    "vmId": one.id,
                }
                for one in estate.machines
                if one.role_priority is not None
            ],
            "volumes": [
                {
                    "name": "Cluster Disk 1",
                    "owner": estate.hosts[0].name,
                    "path": "C:\\ClusterStorage\\Volume1",
                    "size": 8 << 40,
                    "free": 5 << 40,
                }
            ],
        }

    def _machine(self, vm: VirtualMachine) -> dict[str, Any]:
        running = vm.state == "Running"
        old = self._profile.old
        return {
            "id": vm.id,
            "name": vm.name,
            "generation": vm.generation,
            "version": self._profile.newest,
            "state": vm.state,
            "operationalStatus": vm.status,
            "host": self._host.name.upper(),
            "path": f"D:\\VMs\\{vm.name}",
            "configuration": f"D:\\VMs\\{vm.name}",
            "created": "2024-05-06T07:08:09.1234567Z",
            "notes": vm.notes,
            "isClustered": vm.role_priority is not None,
            "startAction": vm.start_action,
            "startDelay": vm.start_delay,
            "stopAction": vm.stop_action,
            "checkpointType": None if old else vm.checkpoint_type,
            "parentCheckpoint": vm.current_checkpoint or None,
            "replicationState": vm.replication.get("state", "Disabled"),
            "replicationMode": vm.replication.get("mode", "None"),
            "replication": [vm.replication] if vm.replication else [],
            "biosGuid": "{" + vm.bios_guid.upper() + "}",
            "biosSerial": vm.bios_serial,
            "assetTag": vm.asset_tag,
            "cpu": {
                "count": vm.cpus,
                "nested": None if old else vm.nested,
                "compatibility": False,
                "reserve": 0,
                "maximum": vm.cpu_limit,
                "weight": 100,
                "threadsPerCore": None if old else 0,
            },
            "memory": {
                "dynamic": vm.dynamic,
                "startup": vm.startup,
                "minimum": vm.minimum,
                "maximum": vm.maximum,
                "buffer": 20,
                "assigned": (vm.assigned or vm.startup) if running else 0,
                "demand": vm.demand if running else 0,
            },
            "firmware": self._firmware(vm),
            "security": None if old else self._security(vm),
            "disks": [self._disk(vm, one) for one in vm.disks],
            "dvds": [
                {
                    "id": _drive_id(vm, one.controller, one.number, one.location),
                    "media": "ISO" if one.path else "None",
                    "path": one.path or None,
                    "controllerType": one.controller,
                    "controllerNumber": one.number,
                    "location": one.location,
                }
                for one in vm.dvds
            ],
            "nics": [self._adapter(vm, number, one) for number, one in enumerate(vm.adapters)],
            "checkpoints": [_checkpoint(one) for one in vm.checkpoints],
            "integration": [self._service(vm, id, default) for id, default in _INTEGRATION],
            "devices": [one for one in vm.devices if self._has(_OPTIONAL.get(one["kind"], ""))],
            "kvp": vm.kvp if running and vm.kvp else None,
            "guestNetwork": [
                {"nic": _nic_guid(vm, number), **one.guest} for number, one in enumerate(vm.adapters) if one.guest
            ]
            if running
            else [],
        }

    def _has(self, command: str) -> bool:
        return not command or command in self._profile.commands

    def _firmware(self, vm: VirtualMachine) -> dict[str, Any]:
        if vm.generation < 2:
            return {"startupOrder": vm.boot or ["CD", "IDE", "LegacyNetworkAdapter", "Floppy"]}
        first = [
            {"type": "Drive", "device": _drive_id(vm, one.controller, one.number, one.location), "path": "\\x"}
            for one in vm.disks[:1]
        ]
        order = [{"type": "File", "device": None, "path": "\\EFI\\Microsoft\\Boot\\bootmgfw.efi"}, *first]
        if vm.boot:
            places = [one.split(":") for one in vm.boot]
            order = [
                {"type": "Drive", "device": _drive_id(vm, kind, int(number), int(location)), "path": "\\x"}
                for kind, number, location in places
            ]
        order.append({"type": "Network", "device": f"Microsoft:{vm.id.upper()}\\{_nic_guid(vm, 0)}", "path": "\\y"})
        return {
            "secureBoot": vm.secure_boot,
            "template": None if self._profile.old else vm.template,
            "templateId": "1734c6e8-3154-4dda-ba5f-a874cc483422",
            "bootOrder": order,
        }

    def _security(self, vm: VirtualMachine) -> dict[str, Any]:
        return {
            "tpm": vm.tpm and vm.generation > 1,
            "shielded": vm.shielded,
            "encrypted": vm.encrypted,
            "vbsOptOut": False,
            "keyProtector": vm.tpm and vm.generation > 1,
        }

    def _service(self, vm: VirtualMachine, id: str, default: bool) -> dict[str, Any]:
        enabled = vm.time_sync if id.startswith("2497f4de") else default
        alive = vm.state == "Running" and vm.kvp and enabled
        return {
            "id": f"Microsoft:{vm.id.upper()}\\{id.upper()}",
            "enabled": enabled,
            "status": "Ok" if alive else "NoContact",
        }

    def _disk(self, vm: VirtualMachine, disk: HardDisk) -> dict[str, Any]:
        chain: list[dict[str, Any]] = []
        if disk.disk_number is None:
            chain = [self._image(one) for one in self._estate.chain(disk.path)]
        path = disk.path or f"Disk {disk.disk_number} 100.00 GB Bus 0 Lun 0 Target 1"
        return {
            "id": _drive_id(vm, disk.controller, disk.number, disk.location),
            "controllerType": disk.controller,
            "controllerNumber": disk.number,
            "location": disk.location,
            "path": path,
            "diskNumber": disk.disk_number,
            "maximumIops": disk.maximum_iops,
            "shared": disk.shared,
            "chain": chain,
        }

    def _image(self, image: Image | str) -> dict[str, Any]:
        """A file that is not there tells what Get-VHD says of it, in the host's language."""
        path = image if isinstance(image, str) else image.path
        file = self._locate(path)
        if isinstance(image, str) or file is None or not file.is_file():
            text = "Das System kann die angegebene Datei nicht finden."
            self._warn(path, text, "InvalidParameter,Microsoft.Vhd.PowerShell.Cmdlets.GetVHD")
            return {"path": path, "error": text, "there": False}
        found = file.stat()
        return {
            "path": image.path,
            "format": image.format,
            "type": image.type,
            "size": image.size,
            "fileSize": found.st_size,
            "blockSize": image.block,
            "logicalSector": image.logical,
            "physicalSector": image.physical,
            "parent": image.parent,
            "diskIdentifier": image.identifier.upper(),
            "attached": False,
            "rctId": image.rct or None,
            "length": found.st_size,
            "written": datetime.fromtimestamp(found.st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z",
        }

    def _adapter(self, vm: VirtualMachine, number: int, nic: Adapter) -> dict[str, Any]:
        switch = next((one for one in self._host.switches if one.name == nic.switch), None)
        vlan: dict[str, Any] = {
            "vlanMode": "Untagged",
            "accessVlan": 0,
            "nativeVlan": 0,
            "allowedVlans": "",
            "privateVlanMode": None,
            "primaryVlan": 0,
            "secondaryVlan": 0,
            "secondaryVlans": "",
        }
        return {
            "id": f"Microsoft:{vm.id.upper()}\\{_nic_guid(vm, number)}",
            "name": nic.name,
            "legacy": nic.legacy,
            "mac": nic.mac,
            "dynamicMac": nic.dynamic_mac,
            "macSpoofing": nic.spoofing,
            "switchName": switch.name if switch else None,
            "switchId": switch.id if switch else "",
            "connected": nic.connected and switch is not None,
            "iovWeight": nic.iov_weight,
            "teaming": nic.teaming,
            "maximumBandwidth": nic.bandwidth or None,
            "addresses": nic.addresses if vm.state == "Running" else [],
            "isolationMode": None if not self._has("Get-VMNetworkAdapterIsolation") else "None",
            "isolationId": 0,
            **vlan,
            **nic.vlan,
        }


def _checkpoint(one: Checkpoint) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "type": one.type,
        "created": one.created,
        "parentId": one.parent or None,
        "notes": "",
        "state": one.state,
    }


def _nic_guid(vm: VirtualMachine, number: int) -> str:
    return str(uuid.uuid5(_SPACE, f"{vm.id} adapter {number}")).upper()


def _drive_id(vm: VirtualMachine, controller: str, number: int, location: int) -> str:
    guid = str(uuid.uuid5(_SPACE, f"{vm.id} {controller} {number}")).upper()
    return f"Microsoft:{vm.id.upper()}\\{guid}\\0\\{location}\\D"
