# SPDX-License-Identifier: Apache-2.0
"""A parsed VMX as a Machine. Keys and defaults as VMware products write and read them."""

import re
import uuid
from collections.abc import Iterable, Iterator

from v2x.errors import BadImage, Unsupported
from v2x.model.inventory import SourceProblem
from v2x.model.machine import (
    Cpu,
    Device,
    Firmware,
    Guest,
    GuestIdKind,
    Machine,
    Memory,
    Nic,
    NicModel,
    Other,
    PowerState,
    Snapshot,
    ToolsState,
)
from v2x.model.units import MIB
from v2x.sources.ovf_dialects import boot_words, plain_uuid
from v2x.sources.ovf_items import mac_address
from v2x.sources.vmx_disks import SlotReader
from v2x.sources.vmx_file import VmxFile

NAMESPACE = uuid.UUID("b0a1d3e2-52a4-5f0e-8b5d-9f1b6a1c4d22")
DEFAULT_MEMORY_MIB = 32
MOST_MEMORY_MIB = 64 * 1024 * 1024
MOST_CPUS = 4_096

_NIC_MODELS = {
    "": NicModel.UNKNOWN,
    "vlance": NicModel.PCNET32,
    "vmxnet": NicModel.VMXNET,
    "vmxnet2": NicModel.VMXNET2,
    "vmxnet3": NicModel.VMXNET3,
    "e1000": NicModel.E1000,
    "e1000e": NicModel.E1000E,
    "sriov": NicModel.SRIOV,
}
_SIMPLE_DEVICES = (
    (r"floppy[0-9](?=\.)", "floppy"),
    (r"serial[0-9]{1,2}(?=\.)", "serial"),
    (r"parallel[0-9](?=\.)", "parallel"),
    (r"nvdimm[0-9]:[0-9]{1,2}(?=\.)", "nvdimm"),
)


def read_machine(
    vmx: VmxFile, slots: SlotReader, snapshots: tuple[Snapshot, ...], power: PowerState, is_template: bool
) -> Machine:
    """BadImage, naming the key, for impossible values; Unsupported for a configuration that is encrypted."""
    if "encryption.data" in vmx:
        raise Unsupported(
            f"{vmx.name} is encrypted",
            hint="remove the encryption of the machine with VMware, then copy its folder again",
        )
    firmware = vmx.get("firmware").strip().lower()
    if firmware not in {"", "bios", "efi"}:
        raise BadImage(f"{vmx.name}: firmware is {firmware[:40]!r}, neither bios nor efi", hint="correct the line")
    identity = plain_uuid(vmx.get("uuid.bios")) or plain_uuid(vmx.get("vc.uuid"))
    stem = vmx.name.rpartition(".")[0]
    return Machine(
        id=identity or str(uuid.uuid5(NAMESPACE, f"{vmx.name}:{vmx.get('displayName')}")),
        name=vmx.get("displayName").strip() or stem,
        uuid=identity,
        cpu=_cpu(vmx),
        memory=_memory(vmx, slots.problems),
        firmware=Firmware.UEFI if firmware == "efi" else Firmware.BIOS,
        # VMware's default is BIOS, and it leaves the key out then.
        firmware_stated=True,
        secure_boot=vmx.flag("uefi.secureBoot.enabled"),
        # Fusion and Workstation add the device themselves where this key names an implementation.
        vtpm=vmx.flag("vtpm.present") or vmx.get("managedVM.autoAddVTPM").lower() not in {"", "false", "none"},
        power_state=power,
        is_template=is_template,
        guest=_guest(vmx),
        disks=slots.disks(),
        nics=tuple(_nics(vmx)),
        cd_drives=tuple(slots.cd_drives()),
        devices=tuple(_devices(vmx, slots.passed_through())),
        snapshots=snapshots,
        boot_order=boot_words(re.split(r"[,\s]+", _boot_list(vmx))),
        notes=vmx.get("annotation"),
        attributes=_attributes(vmx),
        hardware_version=_hardware(vmx),
        exporter="VMware",
    )


def _hardware(vmx: VmxFile) -> str:
    version = vmx.number("virtualHW.version", 0, 0, 999)
    return f"vmx-{version:02d}" if version else ""


def _boot_list(vmx: VmxFile) -> str:
    """`bios.bootOrder`; its words may carry a class, as `ethernet0` or `hdd`."""
    words = vmx.get("bios.bootOrder").lower()
    words = re.sub(r"ethernet[0-9]*", "network", words)
    return re.sub(r"\bhdd\b", "disk", words)


def _cpu(vmx: VmxFile) -> Cpu:
    cores = vmx.number("cpuid.coresPerSocket", 0, 0, MOST_CPUS)
    affinity = vmx.get("sched.cpu.affinity").strip()
    word = vmx.get("sched.cpu.max").strip().lower()
    limit = 0 if word == "unlimited" else vmx.number("sched.cpu.max", 0, -1)
    return Cpu(
        count=vmx.number("numvcpus", 1, 1, MOST_CPUS),
        cores_per_socket=cores or None,
        hot_add=vmx.flag("vcpu.hotadd"),
        affinity="" if affinity.lower() == "all" else affinity,
        limit_mhz=limit if limit > 0 else None,
        reservation_mhz=vmx.number("sched.cpu.min", 0) or None,
        nested_virtualization=vmx.flag("vhv.enable"),
    )


def _memory(vmx: VmxFile, problems: list[SourceProblem]) -> Memory:
    if not vmx.get("memsize").strip():
        text = f"{vmx.name} states no memsize; VMware's default of {DEFAULT_MEMORY_MIB} MiB is taken"
        problems.append(SourceProblem(subject=vmx.name, code="ASSUMED", text=text))
    size = vmx.number("memsize", DEFAULT_MEMORY_MIB, 1, MOST_MEMORY_MIB)
    reserved = vmx.number("sched.mem.min", 0, 0, MOST_MEMORY_MIB)
    return Memory(size_bytes=size * MIB, hot_add=vmx.flag("mem.hotadd"), reservation_bytes=reserved * MIB or None)


def _guest(vmx: VmxFile) -> Guest:
    os_id = vmx.get("guestOS").strip()
    detail = vmx.get("guestOS.detailed.data") or vmx.get("guestInfo.detailed.data")
    pretty = re.search(r"prettyName='([^']{1,200})'", detail)
    state = ToolsState.INSTALLED if vmx.get("guestinfo.vmtools.versionNumber") else ToolsState.UNKNOWN
    if vmx.flag("tools.remindInstall"):
        state = ToolsState.MISSING
    return Guest(
        os_id=os_id,
        os_id_kind=GuestIdKind.VMWARE if os_id else GuestIdKind.NONE,
        os_name=pretty[1] if pretty else "",
        tools=state,
        time_sync=vmx.flag("tools.syncTime") if "tools.syncTime" in vmx else None,
    )


def _nics(vmx: VmxFile) -> Iterator[Nic]:
    present = [match[0] for match in vmx.groups(r"ethernet[0-9]{1,2}(?=\.)") if vmx.flag(f"{match[0]}.present")]
    for position, key in enumerate(present):
        kind = vmx.get(f"{key}.addressType").strip().lower()
        stated, generated = (
            mac_address(vmx.get(f"{key}.address")),
            mac_address(vmx.get(f"{key}.generatedAddress")),
        )
        mac = (stated or generated) if kind == "static" else (generated or stated)
        model = vmx.get(f"{key}.virtualDev").strip().lower()
        passed = vmx.get(f"{key}.pciPassthru.present") or model == "pcipassthru"
        yield Nic(
            position=position,
            label=key,
            model=NicModel.SRIOV if passed else _NIC_MODELS.get(model, Other(model)),
            network=_network(vmx, key),
            mac=mac,
            mac_is_static=kind == "static" and bool(mac),
            connected=vmx.flag(f"{key}.startConnected", True),
        )


def _network(vmx: VmxFile, key: str) -> str:
    """The port group's name or id on ESXi; on Workstation the virtual switch or the kind of connection."""
    for name in ("networkName", "dvs.portgroupId", "opaqueNetwork.id", "vnet"):
        if vmx.get(f"{key}.{name}").strip():
            return vmx.get(f"{key}.{name}").strip()
    return vmx.get(f"{key}.connectionType").strip()


def _devices(vmx: VmxFile, passed: Iterable[str]) -> Iterator[Device]:
    for pattern, kind in _SIMPLE_DEVICES:
        for match in vmx.groups(pattern):
            if vmx.flag(f"{match[0]}.present"):
                yield Device(kind=kind, label=match[0])
    for match in vmx.groups(r"pcipassthru[0-9]{1,3}(?=\.)"):
        if vmx.flag(f"{match[0]}.present"):
            profile = vmx.get(f"{match[0]}.vgpu").strip()
            yield Device(kind="vgpu" if profile else "passthrough", label=profile or match[0])
    for key in passed:
        yield Device(kind="passthrough", label=key)
    yield from _usb(vmx)
    if vmx.flag("sound.present"):
        yield Device(kind="sound", label=vmx.get("sound.virtualDev") or "sound")
    if vmx.flag("mks.enable3d"):
        yield Device(kind="video", label="3D graphics")
    if vmx.flag("vwdt.present"):
        yield Device(kind="watchdog", label="vwdt")


def _usb(vmx: VmxFile) -> Iterator[Device]:
    for key in ("usb", "ehci", "usb_xhci"):
        if vmx.flag(f"{key}.present"):
            yield Device(kind="usb_controller", label=key)
    for match in vmx.groups(r"usb(?:_xhci)?:[0-9]{1,3}(?=\.)"):
        # Hubs and the pointing device belong to the virtual board.
        kind = vmx.get(f"{match[0]}.deviceType").strip().lower()
        if vmx.flag(f"{match[0]}.present") and kind not in {"hub", "hid"}:
            yield Device(kind="usb", label=vmx.get(f"{match[0]}.fileName") or match[0])
    for match in vmx.groups(r"usb(?:_xhci)?\.autoconnect\.device[0-9]{1,3}"):
        if vmx.get(match[0]).strip():
            yield Device(kind="usb", label=vmx.get(match[0]).strip())


def _attributes(vmx: VmxFile) -> dict[str, str]:
    keys = (
        *("nvram", "tools.upgrade.policy", "sched.cpu.shares", "sched.mem.shares", "disk.EnableUUID"),
        "rtc.diffFromUTC",
    )
    found = {f"vmx.{key}": vmx.get(key) for key in keys if vmx.get(key)}
    if "encryption.keysafe" in vmx:
        found["vmx.encryption"] = "keySafe"
    return found
