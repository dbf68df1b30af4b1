# SPDX-License-Identifier: Apache-2.0
"""A machine from its stored configuration: everything but what only its disks' files tell.

XML and VMCX hold the same tree. What a configuration holds in a form that is not known (a VLAN, for one) is named in
the machine's attribute `unknown`, never guessed. What generation 2 keeps in a VMCX was never read against a real file,
and so is told only when asked for.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from v2x.errors import BadImage
from v2x.model.machine import (
    CdDrive,
    Cpu,
    Device,
    DiskBus,
    Firmware,
    Machine,
    Memory,
    Nic,
    NicModel,
    PowerState,
)
from v2x.model.units import MIB
from v2x.sources.hyperv.settings import Settings

IDE: Final = "83f8638b-8dca-4152-9eda-2ca8b33039b4"
SCSI: Final = "d422512d-2bf2-4752-809d-7b82b5fcb1b4"
SYNTHETIC_NIC: Final = "2fc216b0-d2e2-4967-9b6d-b8a5c9ca2778"
BIOS: Final = "ac6b8dc1-3257-4a70-b1b2-a9c9215659ad"
TPM: Final = "736e6aa9-a3f8-49c0-9550-a963214d259a"
_DEVICES: Final = {
    "2fcc454e-a36a-4c77-bb5e-a2d75a51f02c": "passthrough",
    "99dcd00c-fbd6-42d3-9dfd-1b5ad7058f61": "vgpu",
}
_VLAN_FEATURE: Final = "952c5004-4465-451c-8cb8-fa9ab382b773"

MOST_CPUS: Final = 4096
MOST_MEMORY_MIB: Final = 64 << 20
_FULL_SHARE: Final = 100_000  # limit and reservation of processors are thousandths of a percent
_NORMAL_WEIGHT: Final = 100
_BOOT: Final = {"harddrive": "hd", "optical": "cd", "network": "network", "floppy": "floppy"}
# The numbers of the first WMI name space, which the files kept; the module's own begin with 2.
_START: Final = {0: "Nothing", 1: "StartIfRunning", 2: "Start"}
_STOP: Final = {0: "TurnOff", 1: "Save", 2: "ShutDown"}
_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """A place on a controller. `kind` is Hyper-V's word in upper case: VHD, ISO, VFD, NONE or another."""

    bus: DiskBus
    controller: int
    unit: int
    kind: str
    path: str
    shared: bool

    @property
    def id(self) -> str:
        """The place, which Hyper-V keeps unique: `scsi0:1`."""
        return f"{self.bus}{self.controller}:{self.unit}"


@dataclass(frozen=True, slots=True)
class _Part:
    """A device of the manifest with its settings."""

    device: str
    name: str
    settings: Settings


def is_checkpoint(settings: Settings) -> bool:
    """Whether it is the configuration of a checkpoint and not of a machine."""
    return settings.text("properties/type_id").lower() == "snapshots"


def owner_of(settings: Settings) -> str:
    """The id of the machine that a checkpoint belongs to, empty where it does not say."""
    return plain_guid(settings.text("settings/global/logical_id"))


def plain_guid(text: str) -> str:
    """Lower case without braces; empty for what is none."""
    plain = text.strip("{} \t").lower()
    return plain if _GUID.fullmatch(plain) else ""


def created_of(settings: Settings) -> str:
    """ISO time of making, from 100 ns since 1601; empty where it is not told or makes no sense."""
    ticks = int.from_bytes(settings.data("properties/creation_time")[:8], "little")
    try:
        made = datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks // 10)
    except OverflowError:
        return ""
    return made.isoformat(timespec="seconds") if ticks else ""


def _parts(settings: Settings) -> Iterator[_Part]:
    for _, entry in settings.at("manifest").numbered("vdev"):
        instance = plain_guid(entry.text("instance"))
        yield _Part(plain_guid(entry.text("device")), entry.text("name"), settings.at(f"_{instance}_"))


def drives_of(settings: Settings) -> tuple[Drive, ...]:
    """All drives, IDE before SCSI, each by controller and place: the order in which generation 1 boots."""
    found: list[Drive] = []
    scsi = 0
    for part in _parts(settings):
        if part.device not in {IDE, SCSI}:
            continue
        bus = DiskBus.IDE if part.device == IDE else DiskBus.SCSI
        # A SCSI controller is a device of its own, its settings speak of controller 0; IDE's two are one device.
        for number, controller in part.settings.numbered("controller"):
            for unit, drive in controller.numbered("drive"):
                found.append(
                    Drive(
                        bus=bus,
                        controller=number if bus is DiskBus.IDE else scsi + number,
                        unit=unit,
                        kind=drive.text("type").upper() or "NONE",
                        path=drive.text("pathname"),
                        shared=drive.flag("persistent_reservations_supported") is True,
                    )
                )
        scsi += bus is DiskBus.SCSI
    return tuple(sorted(found, key=lambda one: (one.bus is DiskBus.SCSI, one.controller, one.unit)))


def read_machine(settings: Settings, name: str, *, binary: bool, experimental: bool = False) -> Machine:
    """The machine without its disks, checkpoints and power state. BadImage for a configuration that contradicts.

    `binary` says that it comes from a VMCX, whose keys of generation 2 count only if `experimental`.
    """
    id = plain_guid(settings.text("properties/global_id")) or owner_of(settings)
    if not id:
        raise BadImage(f"{name} does not say which machine it is of", hint="export the machine again")
    generation = (settings.number("properties/subtype") or 0) + 1
    if generation not in {1, 2}:
        raise BadImage(f"{name} is of the unknown generation {generation}")
    parts = list(_parts(settings))
    guess = generation == 2 and binary and not experimental
    board = _board(settings, parts)
    merging = settings.flag("global_settings/disk_merge_pending")
    nics, strange = _nics(parts)
    unknown = [*strange, *(("secure boot", "its template", "boot order") if guess else ())]
    return Machine(
        id=id,
        reference=id,
        name=settings.text("properties/name") or id,
        cpu=_cpu(settings, name),
        memory=_memory(settings, name),
        firmware=Firmware.UEFI if generation == 2 else Firmware.BIOS,
        generation=generation,
        secure_boot=generation == 2 and not guess and board.flag("secure_boot_enabled") is True,
        secure_boot_template="" if guess else _template(board),
        vtpm=any(part.device == TPM for part in parts),
        uuid=plain_guid(board.text("bios_guid")),
        serial_number=board.text("bios_serial_number"),
        asset_tag=board.text("chassis/asset_tag"),
        power_state=PowerState.OFF,
        nics=nics,
        cd_drives=_cd_drives(settings),
        devices=tuple(_devices(parts)),
        boot_order=() if guess else _boot_order(board),
        notes=settings.text("properties/notes"),
        hardware_version=_version(settings),
        cluster_role=settings.flag("properties/highly_available"),
        start_action=_word(settings, "global_settings/power/host_startup/action", _START),
        stop_action=_word(settings, "global_settings/power/host_shutdown/action", _STOP),
        consolidation_needed=merging,
        locks=("disks are being merged",) if merging else (),
        attributes=_attributes(settings, unknown),
    )


def _word(settings: Settings, path: str, words: Mapping[int, str]) -> str:
    number = settings.number(path)
    return "" if number is None else words.get(number, str(number))


def _cpu(settings: Settings, name: str) -> Cpu:
    processors = settings.at("settings/processors")
    count = processors.number("count")
    if count is None or not 1 <= count <= MOST_CPUS:
        raise BadImage(f"{name} gives the machine {count} processors", hint="export the machine again")
    return Cpu(count=count, nested_virtualization=processors.flag("nested_virtualization/enabled") is True)


def _memory(settings: Settings, name: str) -> Memory:
    """Sizes are MiB. Least and most are filled where memory is not dynamic, too, and count only where it is."""
    bank = settings.at("settings/memory/bank")
    size = bank.number("size")
    if size is None or not 1 <= size <= MOST_MEMORY_MIB:
        raise BadImage(f"{name} gives the machine {size} MiB of memory", hint="export the machine again")
    least, most = bank.number("reservation"), bank.number("limit")
    if bank.flag("dynamic_memory_enabled") is not True:
        return Memory(size_bytes=size * MIB)
    return Memory(
        size_bytes=size * MIB,
        dynamic_min_bytes=least * MIB if least and least > 0 else None,
        dynamic_max_bytes=most * MIB if most and most > 0 else None,
    )


def _board(settings: Settings, parts: list[_Part]) -> Settings:
    """The firmware's settings: generation 2 has a device of its own, known by the keys that it keeps."""
    for part in parts:
        if part.settings.flag("secure_boot_enabled") is not None or part.settings.text("bios_guid"):
            return part.settings
    return settings.at(f"_{BIOS}_")


def _template(board: Settings) -> str:
    template = plain_guid(board.text("secure_boot_template_id"))
    return "" if template.replace("-", "").strip("0") == "" else template


def _boot_order(board: Settings) -> tuple[str, ...]:
    words = (entry.value for _, entry in board.at("boot").numbered("device"))
    known = (_BOOT.get(word.strip().lower(), "") for word in words if isinstance(word, str))
    return tuple(dict.fromkeys(word for word in known if word))


def _nics(parts: list[_Part]) -> tuple[tuple[Nic, ...], list[str]]:
    """The adapters, and what of them is there but not understood."""
    nics: list[Nic] = []
    unknown: list[str] = []
    for part in parts:
        synthetic = part.device == SYNTHETIC_NIC
        if not synthetic and "ethernet" not in part.name.lower():
            continue
        kept = part.settings
        label = kept.text("FriendlyName") or part.name
        mac = plain_mac(kept.text("MacAddress"))
        network = kept.text("Connection/AltSwitchName") or kept.text("SwitchName")
        if not synthetic and not kept.text("MacAddress"):
            unknown.append(f"MAC address of {label}")
        if any(_VLAN_FEATURE in child.name.lower() for child in kept.at("Connection").children):
            unknown.append(f"VLAN of {label}")
        nics.append(
            Nic(
                position=len(nics),
                label=label,
                model=NicModel.SYNTHETIC if synthetic else NicModel.LEGACY,
                network=network,
                mac=mac,
                mac_is_static=kept.flag("MacAddressIsStatic") is True,
                connected=bool(network) and kept.flag("IsConnected") is not False,
            )
        )
    return tuple(nics), unknown


def plain_mac(text: str) -> str:
    """Lower case with colons; empty for none and for 00-00-00-00-00-00, which stands before the first start."""
    digits = re.sub(r"[:.\-\s]", "", text).lower()
    if not re.fullmatch(r"[0-9a-f]{12}", digits) or digits == "0" * 12:
        return ""
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def _cd_drives(settings: Settings) -> tuple[CdDrive, ...]:
    found = [one for one in drives_of(settings) if one.kind == "ISO"]
    return tuple(
        CdDrive(position=position, bus=one.bus, image=one.path, connected=bool(one.path))
        for position, one in enumerate(found)
    )


def _devices(parts: list[_Part]) -> Iterator[Device]:
    for part in parts:
        kind = _DEVICES.get(part.device) or ("fibre_channel" if "fibre" in part.name.lower() else "")
        if kind:
            yield Device(kind=kind, label=part.name or part.device)


def _version(settings: Settings) -> str:
    number = settings.number("properties/version")
    return f"{number >> 8}.{number & 0xFF}" if number is not None and 0 < number < 1 << 16 else ""


def _attributes(settings: Settings, unknown: list[str]) -> dict[str, str]:
    """What has no field of its own and may be asked for later; what is as usual is left out."""
    processors = settings.at("settings/processors")
    limit, reserve, weight = (processors.number(key) for key in ("limit", "reservation", "weight"))
    told = {
        "created": created_of(settings),
        "cpu.limit_percent": f"{limit / 1000:g}" if limit and 0 < limit < _FULL_SHARE else "",
        "cpu.reserve_percent": f"{reserve / 1000:g}" if reserve and reserve > 0 else "",
        "cpu.weight": str(weight) if weight and weight != _NORMAL_WEIGHT else "",
        "unknown": ", ".join(unknown),
    }
    return {key: value for key, value in told.items() if value}
