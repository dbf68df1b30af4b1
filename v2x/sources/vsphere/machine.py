# SPDX-License-Identifier: Apache-2.0
"""One row of the bulk listing as a Machine."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from v2x.model.machine import (
    Cpu,
    Firmware,
    Guest,
    GuestIdKind,
    GuestVolume,
    Machine,
    Memory,
    PowerState,
    Snapshot,
    ToolsState,
)
from v2x.model.units import MIB
from v2x.sources.ovf_dialects import plain_uuid
from v2x.sources.vsphere.backups import SNAPSHOT_NAMES
from v2x.sources.vsphere.devices import read_addresses, read_devices, read_nics
from v2x.sources.vsphere.drives import Hardware, read_cd_drives, read_disks
from v2x.sources.vsphere.estate import estate_of
from v2x.sources.vsphere.names import decoded
from v2x.sources.vsphere.pages import TYPE, Plain, Row, at, dicts, flag, many, number, reference, text
from v2x.sources.vsphere.surroundings import Surroundings

LIGHT_PATHS = ("name", "parent", "parentVApp", "config.instanceUuid", "config.files.vmPathName")
PATHS = (
    *LIGHT_PATHS,
    *("resourcePool", "customValue", "disabledMethod", "recentTask", "snapshot"),
    *("runtime.powerState", "runtime.connectionState", "runtime.host", "runtime.consolidationNeeded"),
    *("runtime.faultToleranceState", "capability.changeTrackingSupported"),
    *("config.uuid", "config.version", "config.template", "config.firmware", "config.annotation", "config.guestId"),
    *("config.guestFullName", "config.bootOptions", "config.extraConfig", "config.managedBy", "config.keyId"),
    *("config.hardware.numCPU", "config.hardware.numCoresPerSocket", "config.hardware.memoryMB"),
    *("config.hardware.device", "config.cpuHotAddEnabled", "config.cpuHotRemoveEnabled"),
    *("config.memoryHotAddEnabled", "config.cpuAllocation", "config.memoryAllocation", "config.cpuAffinity"),
    *("config.nestedHVEnabled", "config.latencySensitivity", "config.changeTrackingEnabled", "config.repConfig"),
    *("config.tools.syncTimeWithHost", "config.flags.vbsEnabled", "config.vAppConfig.product"),
    *("guest.toolsRunningStatus", "guest.toolsVersionStatus2", "guest.toolsVersion", "guest.guestFullName"),
    *("guest.hostName", "guest.ipAddress", "guest.net", "guest.ipStack", "guest.disk"),
    *("layoutEx.file", "layoutEx.disk"),
)
_POWER = {"poweredOn": PowerState.ON, "poweredOff": PowerState.OFF, "suspended": PowerState.SUSPENDED}
_BOOT = {
    "VirtualMachineBootOptionsBootableDiskDevice": "disk",
    "VirtualMachineBootOptionsBootableCdromDevice": "cdrom",
    "VirtualMachineBootOptionsBootableEthernetDevice": "network",
    "VirtualMachineBootOptionsBootableFloppyDevice": "floppy",
}
_MOST_CPUS, _MOST_MIB, _MOST_SNAPSHOTS = 4_096, 64 << 20, 1_000


@dataclass(slots=True, kw_only=True)
class Start:
    """How a machine starts with its host or vApp."""

    order: int | None = None
    delay_seconds: int | None = None
    start_action: str = ""
    stop_action: str = ""


@dataclass(slots=True, kw_only=True)
class Around:
    """What is known of machines beside their own rows; the keys are morefs."""

    surroundings: Surroundings
    fields: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    starts: Mapping[str, Start] = field(default_factory=dict)
    priorities: Mapping[str, str] = field(default_factory=dict)


def machine_id(row: Row, repeated: frozenset[str] | set[str]) -> str:
    """The instanceUuid, which vCenter keeps unique; the moref where it is absent or `repeated`."""
    instance = plain_uuid(text(row.values, "config.instanceUuid"))
    return instance if instance and instance not in repeated else row.ref.id


def read_machine(row: Row, around: Around, repeated: frozenset[str] | set[str] = frozenset()) -> Machine:
    values, moref = row.values, row.ref.id
    devices = dicts(values.get("config.hardware.device"))
    extra = {text(one, "key"): text(one, "value") for one in dicts(values.get("config.extraConfig"))}
    boots = dicts(at(values, "config.bootOptions", "bootOrder"))
    layout = {"file": values.get("layoutEx.file"), "disk": values.get("layoutEx.disk")}
    config = Hardware(devices, [text(one, "deviceKey") for one in boots if text(one, "deviceKey")], layout)
    nets, stacks = dicts(values.get("guest.net")), dicts(values.get("guest.ipStack"))
    firmware, power = text(values, "config.firmware"), text(values, "runtime.powerState")
    near, start = around.surroundings, around.starts.get(moref, Start())
    host, pool = reference(values, "runtime.host"), reference(values, "resourcePool")
    vapp = reference(values, "parentVApp") or (pool if pool and pool.kind == "VirtualApp" else None)
    estate, reason = estate_of(values, extra)
    snapshots = tuple(_snapshots(values.get("snapshot")))
    return Machine(
        id=machine_id(row, repeated),
        reference=moref,
        name=decoded(text(values, "name")),
        uuid=plain_uuid(text(values, "config.uuid")),
        cpu=_cpu(values, extra),
        memory=_memory(values),
        firmware=Firmware.UEFI if firmware == "efi" else Firmware.BIOS,
        firmware_stated=bool(firmware),
        secure_boot=flag(values, "config.bootOptions", "efiSecureBootEnabled") is True and firmware == "efi",
        vtpm=any(text(one, TYPE) == "VirtualTPM" for one in devices),
        power_state=_POWER.get(power, PowerState.UNKNOWN),
        power_state_text="" if power in _POWER else power,
        connection_state=text(values, "runtime.connectionState"),
        is_template=flag(values, "config.template") is True,
        guest=_guest(values, nets, stacks, config),
        disks=read_disks(config),
        nics=tuple(read_nics(devices, nets, near)),
        cd_drives=tuple(read_cd_drives(config)),
        devices=tuple(read_devices(devices)),
        snapshots=snapshots,
        boot_order=tuple(dict.fromkeys(_BOOT[text(one, TYPE)] for one in boots if text(one, TYPE) in _BOOT)),
        notes=text(values, "config.annotation"),
        tags=around.tags.get(moref, ()),
        attributes=_attributes(values, around.fields),
        hardware_version=text(values, "config.version"),
        exporter="VMware",
        folder=near.folder(reference(values, "parent") or vapp),
        host=near.name(host),
        cluster=near.cluster(host),
        resource_pool=near.pool(pool),
        group=near.name(vapp),
        start_order=start.order,
        start_delay_seconds=start.delay_seconds,
        start_action=start.start_action,
        stop_action=start.stop_action,
        ha_priority=around.priorities.get(moref, ""),
        encrypted=isinstance(values.get("config.keyId"), dict),
        change_tracking=flag(values, "config.changeTrackingEnabled"),
        change_tracking_supported=flag(values, "capability.changeTrackingSupported"),
        consolidation_needed=flag(values, "runtime.consolidationNeeded"),
        fault_tolerance=_fault_tolerance(values),
        latency_sensitivity=_latency(values),
        disk_uuid_enabled=_truth(extra.get("disk.EnableUUID")),
        virtualization_based_security=flag(values, "config.flags.vbsEnabled"),
        replication="vSphere Replication" if isinstance(values.get("config.repConfig"), dict) else "",
        locks=_locks(values, snapshots),
        estate=estate,
        estate_reason=reason,
    )


def _truth(word: str | None) -> bool | None:
    return None if word is None else word.strip().lower() in {"true", "1", "yes"}


def _cpu(values: Plain, extra: Mapping[str, str]) -> Cpu:
    shares, limit = number(values, "config.cpuAllocation", "shares", "shares"), _limit(values, "config.cpuAllocation")
    affinity = [one for one in many(at(values, "config.cpuAffinity", "affinitySet")) if isinstance(one, str)]
    return Cpu(
        count=min(number(values, "config.hardware.numCPU") or 0, _MOST_CPUS),
        cores_per_socket=number(values, "config.hardware.numCoresPerSocket") or None,
        hot_add=flag(values, "config.cpuHotAddEnabled") is True,
        hot_remove=flag(values, "config.cpuHotRemoveEnabled") is True,
        affinity=",".join(affinity),
        numa_affinity=extra.get("numa.nodeAffinity", ""),
        shares=shares if text(values, "config.cpuAllocation", "shares", "level") == "custom" else None,
        limit_mhz=limit,
        reservation_mhz=number(values, "config.cpuAllocation", "reservation") or None,
        nested_virtualization=flag(values, "config.nestedHVEnabled") is True,
    )


def _memory(values: Plain) -> Memory:
    limit, reserved = (
        _limit(values, "config.memoryAllocation"),
        number(values, "config.memoryAllocation", "reservation"),
    )
    shares = number(values, "config.memoryAllocation", "shares", "shares")
    return Memory(
        size_bytes=min(number(values, "config.hardware.memoryMB") or 0, _MOST_MIB) * MIB,
        hot_add=flag(values, "config.memoryHotAddEnabled") is True,
        reservation_bytes=reserved * MIB if reserved else None,
        limit_bytes=limit * MIB if limit is not None else None,
        shares=shares if text(values, "config.memoryAllocation", "shares", "level") == "custom" else None,
    )


def _limit(values: Plain, allocation: str) -> int | None:
    """-1 stands for no limit."""
    found = number(values, allocation, "limit")
    return found if found is not None and found >= 0 else None


def _guest(values: Plain, nets: Sequence[Plain], stacks: Sequence[Plain], config: Hardware) -> Guest:
    os_id = text(values, "config.guestId")
    addresses = [word for net in nets for word in many(net.get("ipAddress")) if isinstance(word, str)]
    first = text(values, "guest.ipAddress")
    return Guest(
        os_id=os_id,
        os_id_kind=GuestIdKind.VMWARE if os_id else GuestIdKind.NONE,
        os_name=text(values, "guest.guestFullName") or text(values, "config.guestFullName"),
        hostname=text(values, "guest.hostName"),
        tools=_tools(values),
        tools_version=text(values, "guest.toolsVersion"),
        ip_addresses=tuple(dict.fromkeys([*([first] if first else []), *addresses])),
        time_sync=flag(values, "config.tools.syncTimeWithHost"),
        volumes=tuple(
            GuestVolume(
                path=text(one, "diskPath"),
                capacity_bytes=number(one, "capacity"),
                free_bytes=number(one, "freeSpace"),
                filesystem=text(one, "filesystemType"),
                disks=tuple(
                    key for key in (text(each, "key") for each in dicts(one.get("mappings"))) if key in config.disks
                ),
            )
            for one in dicts(values.get("guest.disk"))
        ),
        addresses=tuple(read_addresses(nets, stacks)),
    )


def _tools(values: Plain) -> ToolsState:
    if text(values, "guest.toolsRunningStatus") == "guestToolsRunning":
        return ToolsState.RUNNING
    installed = text(values, "guest.toolsVersionStatus2")
    if installed == "guestToolsNotInstalled":
        return ToolsState.MISSING
    return ToolsState.INSTALLED if installed else ToolsState.UNKNOWN


def _snapshots(info: Any) -> Iterator[Snapshot]:
    """The tree, parents first."""
    current = reference(info, "currentSnapshot")
    waiting = [("", one) for one in reversed(dicts(at(info, "rootSnapshotList")))]
    for _ in range(_MOST_SNAPSHOTS):
        if not waiting:
            return
        parent, node = waiting.pop()
        held = reference(node, "snapshot")
        moref = held.id if held else ""
        yield Snapshot(
            id=moref,
            name=decoded(text(node, "name")),
            created=text(node, "createTime"),
            description=text(node, "description"),
            parent=parent,
            current=current is not None and current.id == moref,
            with_memory=text(node, "state") == "poweredOn",
            kind="quiesced" if flag(node, "quiesced") else "",
        )
        waiting += [(moref, one) for one in reversed(dicts(node.get("childSnapshotList")))]


def _attributes(values: Plain, fields: Mapping[str, str]) -> dict[str, str]:
    found = {
        f"custom.{fields.get(text(one, 'key'), text(one, 'key'))}": text(one, "value")
        for one in dicts(values.get("customValue"))
    }
    found["vsphere.path"] = text(values, "config.files.vmPathName")
    return {key: value for key, value in found.items() if value}


def _fault_tolerance(values: Plain) -> bool | None:
    state = text(values, "runtime.faultToleranceState")
    return state != "notConfigured" if state else None


def _latency(values: Plain) -> str:
    level = text(values, "config.latencySensitivity", "level")
    return "" if level == "normal" else level


def _locks(values: Plain, snapshots: Sequence[Snapshot]) -> tuple[str, ...]:
    """Backup products forbid a machine's relocation while they read it, and keep a snapshot of a name of their own."""
    found = [f"snapshot {one.name} of a backup" for one in snapshots if SNAPSHOT_NAMES.search(one.name)]
    usual = text(values, "runtime.connectionState") == "connected" and flag(values, "config.template") is not True
    if usual and "RelocateVM_Task" in many(values.get("disabledMethod")):
        found.append("a backup or another product forbids its relocation")
    return tuple(found)
