# SPDX-License-Identifier: Apache-2.0
"""Network adapters and the other devices of a vSphere machine, and what its guest's agent tells of its networks."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from v2x.model.machine import Device, GuestAddress, Nic, NicModel, Other
from v2x.sources.ovf_items import mac_address
from v2x.sources.vsphere.names import decoded
from v2x.sources.vsphere.pages import TYPE, Plain, at, dicts, flag, many, number, reference, text

_NICS: Mapping[str, NicModel] = {
    "VirtualE1000": NicModel.E1000,
    "VirtualE1000e": NicModel.E1000E,
    "VirtualVmxnet": NicModel.VMXNET,
    "VirtualVmxnet2": NicModel.VMXNET2,
    "VirtualVmxnet3": NicModel.VMXNET3,
    "VirtualVmxnet3Vrdma": NicModel.VMXNET3,
    "VirtualPCNet32": NicModel.PCNET32,
    "VirtualSriovEthernetCard": NicModel.SRIOV,
}
_KINDS: Mapping[str, str] = {
    "VirtualFloppy": "floppy",
    "VirtualSerialPort": "serial",
    "VirtualParallelPort": "parallel",
    "VirtualUSB": "usb",
    "VirtualUSBController": "usb_controller",
    "VirtualUSBXHCIController": "usb_controller",
    "VirtualSCSIPassthrough": "passthrough",
    "VirtualPCIPassthrough": "passthrough",
    "VirtualSoundCard": "sound",
    "VirtualHdAudioCard": "sound",
    "VirtualEnsoniq1371": "sound",
    "VirtualSoundBlaster16": "sound",
    "VirtualWDT": "watchdog",
    "VirtualNVDIMM": "nvdimm",
    "VirtualPrecisionClock": "clock",
}
# What every machine has, what is read elsewhere, and what has no meaning outside of vSphere.
_ORDINARY = frozenset(
    {
        "VirtualDisk",
        "VirtualCdrom",
        "VirtualKeyboard",
        "VirtualPointingDevice",
        "VirtualMachineVMCIDevice",
        "VirtualMachineVideoCard",
        "VirtualTPM",
    }
)
_MANUAL = "manual"
MEGABIT = 1_000_000


class NetworkNames(Protocol):
    """The names of networks by what adapters refer to them with."""

    def network(self, reference_id: str) -> str:
        """By moref, key of a distributed port group, or id of an opaque network; an empty string if unknown."""
        ...


def is_nic(device: Plain) -> bool:
    kind = text(device, TYPE)
    return kind in _NICS or "EthernetCard" in kind or "macAddress" in device


def read_nics(devices: Sequence[Plain], guest_nets: Sequence[Plain], names: NetworkNames) -> Iterator[Nic]:
    """In the order of their keys, which is that of the guest's PCI slots as vSphere hands them out."""
    seen: dict[str, tuple[str, ...]] = {}
    for net in guest_nets:
        found = tuple(word for word in many(net.get("ipAddress")) if isinstance(word, str))
        seen[text(net, "deviceConfigId")] = seen[mac_address(text(net, "macAddress"))] = found
    cards = sorted((one for one in devices if is_nic(one)), key=lambda one: number(one, "key") or 0)
    for position, card in enumerate(cards):
        mac = mac_address(text(card, "macAddress"))
        kind = text(card, TYPE)
        limit = number(card, "resourceAllocation", "limit")
        yield Nic(
            position=position,
            label=text(card, "deviceInfo", "label") or text(card, "key"),
            model=_NICS.get(kind, Other(kind.removeprefix("Virtual"))),
            network=_network(card, names),
            mac=mac,
            mac_is_static=bool(mac) and text(card, "addressType").lower() == _MANUAL,
            connected=flag(card, "connectable", "startConnected") is not False,
            ip_addresses=seen.get(text(card, "key")) or seen.get(mac, ()),
            bandwidth_limit_bps=limit * MEGABIT if limit is not None and limit > 0 else None,
        )


def _network(card: Plain, names: NetworkNames) -> str:
    """The name the server has for it; else what the adapter itself says."""
    held = reference(card, "backing", "network")
    keys = (
        held.id if held else "",
        text(card, "backing", "port", "portgroupKey"),
        text(card, "backing", "opaqueNetworkId"),
    )
    found = next((names.network(key) for key in keys if key and names.network(key)), "")
    return found or decoded(text(card, "backing", "deviceName")) or next((key for key in keys if key), "")


def read_devices(devices: Sequence[Plain]) -> Iterator[Device]:
    for one in devices:
        kind = text(one, TYPE)
        label = text(one, "deviceInfo", "label") or kind
        if kind == "VirtualMachineVideoCard" and flag(one, "enable3DSupport"):
            yield Device(kind="video", label="3D graphics")
        elif kind == "VirtualPCIPassthrough" and text(one, "backing", "vgpu"):
            yield Device(kind="vgpu", label=text(one, "backing", "vgpu"))
        elif kind in _KINDS:
            told = text(one, "backing", "deviceName") if kind in {"VirtualUSB", "VirtualPCIPassthrough"} else ""
            yield Device(kind=_KINDS[kind], label=told or label)
        elif kind not in _ORDINARY and not kind.endswith("Controller") and not is_nic(one):
            yield Device(kind=kind.removeprefix("Virtual").lower() or "unknown", label=label)


def read_addresses(nets: Sequence[Plain], stacks: Sequence[Plain]) -> Iterator[GuestAddress]:
    """What the guest's agent says of each interface; a gateway is that of the default route over it."""
    gateways: dict[str, list[str]] = {}
    for stack in stacks:
        for route in dicts(at(stack, "ipRouteConfig", "ipRoute")):
            if text(route, "prefixLength") == "0" and text(route, "gateway", "ipAddress"):
                gateways.setdefault(text(route, "gateway", "device"), []).append(text(route, "gateway", "ipAddress"))
    shared = next((one for one in (at(stack, "dnsConfig") for stack in stacks) if isinstance(one, dict)), {})
    for index, net in enumerate(nets):
        dns = net.get("dnsConfig") if isinstance(net.get("dnsConfig"), dict) else shared
        yield GuestAddress(
            mac=mac_address(text(net, "macAddress")),
            addresses=tuple(
                f"{text(one, 'ipAddress')}/{text(one, 'prefixLength')}"
                for one in dicts(at(net, "ipConfig", "ipAddress"))
                if text(one, "ipAddress")
            ),
            gateways=tuple(gateways.get(str(index), ())),
            dns=tuple(one for one in many(at(dns, "ipAddress")) if isinstance(one, str)),
            search=tuple(one for one in many(at(dns, "searchDomain")) if isinstance(one, str)),
            dhcp=_dhcp(net),
        )


def _dhcp(net: Plain) -> bool | None:
    stated = flag(net, "ipConfig", "dhcp", "ipv4", "enable")
    origins = {text(one, "origin") for one in dicts(at(net, "ipConfig", "ipAddress"))} - {""}
    if stated is not None:
        return stated
    return "dhcp" in origins if origins else None
