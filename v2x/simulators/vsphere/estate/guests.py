# SPDX-License-Identifier: Apache-2.0
"""What VMware Tools tell of a guest, or would if they ran."""

from collections.abc import Mapping, Sequence
from typing import Any

from pyVmomi import vim

from v2x.simulators.vsphere.estate.specs import MachineSpec
from v2x.simulators.vsphere.store import Entity

_VERSION = 12389
_OLD_VERSION = 10272
_STATUS = {
    "running": ("toolsOk", "guestToolsCurrent", "guestToolsRunning", _VERSION),
    "old": ("toolsOld", "guestToolsNeedUpgrade", "guestToolsRunning", _OLD_VERSION),
    "not-running": ("toolsNotRunning", "guestToolsCurrent", "guestToolsNotRunning", _VERSION),
    "none": ("toolsNotInstalled", "guestToolsNotInstalled", "guestToolsNotRunning", 0),
}


def tools_config(spec: MachineSpec) -> Any:
    return vim.vm.ToolsConfigInfo(
        toolsVersion=_STATUS[spec.tools][3],
        toolsInstallType="guestToolsTypeOpenVMTools" if spec.tools != "none" else None,
        afterPowerOn=True,
        beforeGuestShutdown=True,
        toolsUpgradePolicy="manual",
        syncTimeWithHost=False,
        syncTimeWithHostAllowed=True,
    )


def guest(spec: MachineSpec, cards: Sequence[Any], networks: Mapping[str, Entity]) -> Any:
    """The guest as far as it is known: of a machine that is off only what the Tools said last of themselves."""
    status, version_status, running, version = _STATUS[spec.tools]
    on = spec.power == "poweredOn"
    speaks = on and running == "guestToolsRunning"
    if spec.tools != "none" and not on:
        status, running = "toolsNotRunning", "guestToolsNotRunning"
    made = vim.vm.GuestInfo(
        toolsStatus=status,
        toolsVersionStatus=version_status,
        toolsVersionStatus2=version_status,
        toolsRunningStatus=running,
        toolsVersion=str(version),
        guestState="running" if speaks else "notRunning",
        guestOperationsReady=speaks,
        guestStateChangeSupported=speaks,
    )
    if spec.tools != "none":
        made.toolsInstallType = "guestToolsTypeOpenVMTools"
    if not speaks:
        return made
    made.guestId, made.guestFullName = spec.guest_id, spec.guest_name
    made.guestFamily = "windowsGuest" if spec.guest_id.startswith("win") else "linuxGuest"
    made.hostName = spec.host_name or spec.name.lower().replace(" ", "-")
    made.ipAddress = spec.addresses[0] if spec.addresses else None
    names = list(networks)
    made.net = [_card(spec, card, names[min(n, len(names) - 1)], n == 0) for n, card in enumerate(cards)]
    made.disk = [_volume(spec, path, size, number) for number, (path, size) in enumerate(spec.filesystems.items())]
    made.ipStack = [
        vim.vm.GuestInfo.StackInfo(
            dnsConfig=vim.net.DnsConfigInfo(
                dhcp=spec.dhcp,
                hostName=made.hostName,
                domainName="example.test",
                ipAddress=["192.0.2.53"],
                searchDomain=["example.test", "corp.example.test"],
            ),
            ipRouteConfig=vim.net.IpRouteConfigInfo(ipRoute=_routes(spec)),
        )
    ]
    return made


def _routes(spec: MachineSpec) -> list[Any]:
    if not spec.gateway:
        return []
    gateway = vim.net.IpRouteConfigInfo.Gateway(ipAddress=spec.gateway, device="0")
    return [vim.net.IpRouteConfigInfo.IpRoute(network="0.0.0.0", prefixLength=0, gateway=gateway)]  # nosec B104  # a route


def _volume(spec: MachineSpec, path: str, size: int, number: int) -> Any:
    """A file system on the disk with the same number."""
    mapped = [vim.vm.GuestInfo.VirtualDiskMapping(key=2000 + number)] if number < len(spec.disks) else []
    return vim.vm.GuestInfo.DiskInfo(
        diskPath=path,
        capacity=size,
        freeSpace=size // 3,
        filesystemType="NTFS" if spec.guest_id.startswith("win") else "ext4",
        mappings=mapped,
    )


def _card(spec: MachineSpec, card: Any, network: str, first: bool) -> Any:
    """The first card has the addresses."""
    addresses = list(spec.addresses) if first else []
    options = vim.net.DhcpConfigInfo.DhcpOptions(enable=spec.dhcp)
    return vim.vm.GuestInfo.NicInfo(
        network=network,
        ipAddress=addresses,
        macAddress=card.macAddress,
        connected=True,
        deviceConfigId=card.key,
        ipConfig=vim.net.IpConfigInfo(
            dhcp=vim.net.DhcpConfigInfo(ipv4=options),
            ipAddress=[
                vim.net.IpConfigInfo.IpAddress(
                    ipAddress=a,
                    prefixLength=64 if ":" in a else 24,
                    state="preferred",
                    origin="dhcp" if spec.dhcp else "manual",
                )
                for a in addresses
            ],
        ),
    )
