# SPDX-License-Identifier: Apache-2.0
"""One collected machine as the model's noun."""

from v2x.model.machine import (
    Cpu,
    Device,
    Estate,
    Firmware,
    Guest,
    GuestIdKind,
    Machine,
    Memory,
    PowerState,
    Snapshot,
    ToolsState,
)
from v2x.sources.hyperv.disks import read_cd_drives, read_disks
from v2x.sources.hyperv.fields import Fields
from v2x.sources.hyperv.nics import native_vlans, read_addresses, read_nics
from v2x.sources.hyperv.words import (
    BIOS_DEVICES,
    BOOT_TYPES,
    CHECKPOINT_TYPES,
    CHECKPOINTS,
    ON_OFF,
    REPLICATION_MODES,
    REPLICATION_STATES,
    START_ACTIONS,
    STATES,
    STATUSES,
    STOP_ACTIONS,
)

# Integration services by the end of their id; their names are in the host's language.
_TIME_SYNC = "2497f4de-e9fa-4204-80e4-4b75c46419c0"
_HEARTBEAT = "84eaae65-2f2e-45f5-9bb5-0e857dc8eb47"

_POWER = {
    "Running": PowerState.ON,
    "Off": PowerState.OFF,
    "Saved": PowerState.SUSPENDED,
    "Paused": PowerState.SUSPENDED,
    "FastSaved": PowerState.SUSPENDED,
}
_BUSY = {
    "CreatingSnapshot": "a checkpoint is being made",
    "ApplyingSnapshot": "a checkpoint is being applied",
    "DeletingSnapshot": "a checkpoint is being deleted",
    "MergingDisks": "disks are being merged",
    "ExportingVirtualMachine": "the machine is being exported",
    "MigratingVirtualMachine": "the machine is being moved",
    "MigratingPlannedVm": "the machine is being moved",
    "BackingUpVirtualMachine": "a backup is running",
    "StorageMigrationPhaseOne": "its storage is being moved",
    "StorageMigrationPhaseTwo": "its storage is being moved",
}
_DEVICES = {
    "dda": "passthrough",
    "gpup": "vgpu",
    "remotefx": "vgpu",
    "fibrechannel": "fibre_channel",
    "pmem": "persistent_memory",
}
_BOOT_WORDS = {"IDE": "hd", "Drive": "hd", "LegacyNetworkAdapter": "network", "NetworkAdapter": "network"}
_TRACKING_VERSION = 8.0
"""Resilient change tracking needs the configuration version of Windows Server 2016."""


def power_state(word: str) -> PowerState:
    """What a state of Hyper-V is; a critical or passing one is UNKNOWN, for nothing may be copied then."""
    return _POWER.get(word, PowerState.UNKNOWN)


def locks_of(statuses: tuple[str, ...], recovery: tuple[str, ...]) -> tuple[str, ...]:
    """Why no copy may start now: what the host is doing with the machine, and the checkpoints of a backup."""
    busy = [_BUSY[status] for status in statuses if status in _BUSY]
    return (*dict.fromkeys(busy), *(f"a backup holds the recovery checkpoint {name}" for name in recovery))


def read_machine(row: Fields, host: str, role: Fields, cluster: str) -> Machine:
    """The machine of one entry of `vms`; `role` is its group of the failover cluster, where it has one."""
    state = row.word("state", STATES)
    generation = row.number("generation") or 1
    firmware, security = row.row("firmware"), row.row("security")
    snapshots = _snapshots(row)
    recovery = tuple(one.name or one.id for one in snapshots if one.kind == "recovery")
    statuses = row.words("operationalStatus", STATUSES)
    power = power_state(state)
    shadow = _shadow(row)
    tracking = _tracking(row.text("version"))
    shielded, encrypted = security.flag("shielded"), security.flag("encrypted")
    # Before Windows Server 2016 there was neither, and nobody to ask.
    untold = False if tracking is False else None
    return Machine(
        id=row.text("id").strip("{}").lower(),
        name=row.text("name"),
        reference=row.text("id").strip("{}").lower(),
        cpu=_cpu(row.row("cpu")),
        memory=_memory(row.row("memory")),
        firmware=Firmware.UEFI if generation > 1 else Firmware.BIOS,
        generation=generation,
        secure_boot=firmware.word("secureBoot", ON_OFF) == "On",
        secure_boot_template=firmware.text("template"),
        vtpm=bool(security.flag("tpm")),
        shielded=untold if shielded is None else shielded,
        encrypted=untold if encrypted is None else encrypted,
        uuid=row.text("biosGuid").strip("{}").lower(),
        serial_number=row.text("biosSerial"),
        asset_tag=row.text("assetTag"),
        power_state=power,
        power_state_text=state if power is PowerState.UNKNOWN else "",
        guest=_guest(row),
        disks=read_disks(row),
        nics=read_nics(row),
        cd_drives=read_cd_drives(row),
        devices=_devices(row),
        snapshots=snapshots,
        boot_order=_boot_order(firmware),
        notes=row.text("notes"),
        hardware_version=row.text("version"),
        host=row.text("host") or host,
        cluster=cluster,
        cluster_role=bool(role) or row.flag("isClustered"),
        start_action=row.word("startAction", START_ACTIONS),
        start_delay_seconds=row.number("startDelay"),
        stop_action=row.word("stopAction", STOP_ACTIONS),
        replication=_replication(row),
        consolidation_needed="MergingDisks" in statuses,
        change_tracking_supported=tracking,
        locks=locks_of(statuses, recovery),
        attributes=_attributes(row, role) | native_vlans(row),
        estate=Estate.BACKUP_REPLICA if shadow else None,
        estate_reason=shadow,
    )


def _cpu(row: Fields) -> Cpu:
    return Cpu(count=row.number("count") or 0, nested_virtualization=bool(row.flag("nested")))


def _memory(row: Fields) -> Memory:
    """Minimum and maximum are filled, with 512 MiB and 1 TiB, where memory is not dynamic; they count only then."""
    dynamic = bool(row.flag("dynamic"))
    return Memory(
        size_bytes=row.number("startup") or 0,
        dynamic_min_bytes=row.positive("minimum") if dynamic else None,
        dynamic_max_bytes=row.positive("maximum") if dynamic else None,
        demand_bytes=(row.positive("demand") or row.positive("assigned")) if dynamic else None,
    )


def _snapshots(row: Fields) -> tuple[Snapshot, ...]:
    current = row.text("parentCheckpoint").lower()
    return tuple(
        Snapshot(
            id=one.text("id").lower(),
            name=one.text("name"),
            created=one.time("created"),
            description=one.text("notes"),
            parent=one.text("parentId").lower(),
            current=bool(current) and one.text("id").lower() == current,
            with_memory=one.word("state", STATES) in {"Saved", "Running", "FastSaved"},
            kind=one.word("type", CHECKPOINTS).lower(),
        )
        for one in row.rows("checkpoints")
    )


def _guest(row: Fields) -> Guest:
    kvp = row.row("kvp")
    services = {one.text("id").lower()[-36:]: one for one in row.rows("integration")}
    addresses = read_addresses(row)
    seen = [address for nic in row.rows("nics") for address in nic.texts("addresses")]
    seen += [one for key in ("NetworkAddressIPv4", "NetworkAddressIPv6") for one in kvp.text(key).split(";") if one]
    os_name = kvp.text("OSName")
    clock = services.get(_TIME_SYNC)
    return Guest(
        os_id=os_name,
        os_id_kind=GuestIdKind.HYPERV if os_name else GuestIdKind.NONE,
        os_name=os_name,
        hostname=kvp.text("FullyQualifiedDomainName"),
        tools=_tools(kvp, services),
        tools_version=kvp.text("IntegrationServicesVersion"),
        ip_addresses=tuple(dict.fromkeys(one.strip() for one in seen)),
        time_sync=clock.flag("enabled") if clock else None,
        addresses=addresses,
    )


def _tools(kvp: Fields, services: dict[str, Fields]) -> ToolsState:
    """A guest that answers has them; of one that is off nothing can be said."""
    if kvp:
        return ToolsState.RUNNING
    heartbeat = services.get(_HEARTBEAT)
    return ToolsState.RUNNING if heartbeat and heartbeat.word("status", STATUSES) == "Ok" else ToolsState.UNKNOWN


def _devices(row: Fields) -> tuple[Device, ...]:
    found = [
        Device(kind=_DEVICES.get(one.text("kind").lower(), one.text("kind").lower()), label=one.text("label"))
        for one in row.rows("devices")
    ]
    return tuple(found)


def _boot_order(firmware: Fields) -> tuple[str, ...]:
    """The kinds of device in their order: hd, network, cd, floppy or file. Generation 1 names them, 2 lists devices."""
    words = (
        *firmware.words("startupOrder", BIOS_DEVICES),
        *(one.word("type", BOOT_TYPES) for one in firmware.rows("bootOrder")),
    )
    return tuple(dict.fromkeys(_BOOT_WORDS.get(word, word.lower()) for word in words if word))


def _replication(row: Fields) -> str:
    state = row.word("replicationState", REPLICATION_STATES)
    if not state or state == "Disabled":
        return ""
    mode = row.word("replicationMode", REPLICATION_MODES)
    detail = row.rows("replication")
    to = next((one.text("replica") for one in detail if one.text("replica")), "")
    said = ", ".join(part for part in (mode, state) if part and part != "None")
    return f"{said}, to {to}" if to else said


def _shadow(row: Fields) -> str:
    """Why the machine is another one's replica, which is off for good; empty for one of its own."""
    if row.word("replicationMode", REPLICATION_MODES) not in {"Replica", "ExtendedReplica"}:
        return ""
    primary = next((one.text("primary") for one in row.rows("replication") if one.text("primary")), "")
    return f"Hyper-V Replica of the machine on {primary}" if primary else "Hyper-V Replica of another machine"


def _tracking(version: str) -> bool | None:
    try:
        return float(version) >= _TRACKING_VERSION
    except ValueError:
        return None


def _attributes(row: Fields, role: Fields) -> dict[str, str]:
    """What has no field of its own and may be asked for later; empty values are left out."""
    cpu, security = row.row("cpu"), row.row("security")
    limit, reserve, weight = cpu.number("maximum"), cpu.number("reserve"), cpu.number("weight")
    told = {
        "path": row.text("path"),
        "checkpoint_type": row.word("checkpointType", CHECKPOINT_TYPES),
        "created": row.time("created"),
        "cluster.group": role.text("name"),
        "cluster.priority": role.text("priority"),
        "cpu.limit_percent": str(limit) if limit not in (None, 0, 100) else "",
        "cpu.reserve_percent": str(reserve) if reserve else "",
        "cpu.weight": str(weight) if weight not in (None, 0, 100) else "",
        "cpu.compatibility": "on" if cpu.flag("compatibility") else "",
        "security.key_protector": "present" if security.flag("keyProtector") else "",
        "security.vbs_opt_out": "on" if security.flag("vbsOptOut") else "",
        "secure_boot_template_id": row.row("firmware").text("templateId"),
        "kvp.OSVersion": row.row("kvp").text("OSVersion"),
        "kvp.ProcessorArchitecture": row.row("kvp").text("ProcessorArchitecture"),
    }
    return {key: value for key, value in told.items() if value}
