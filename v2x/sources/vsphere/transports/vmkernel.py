# SPDX-License-Identifier: Apache-2.0
"""The network that disks leave a host by: the address of one of its VMkernel adapters, in place of its own.

The adapter is named by its port group, by its device (vmk2), or by the network it is in (10.20.0.0/24). Only transports
that connect to the host itself can be led over it: exports (nfc) and SSH. Source: vSphere API, HostNetworkInfo.vnic.
"""

import ipaddress
from typing import Any

from pyVmomi import vim

from v2x.errors import InputRefused
from v2x.sources.vsphere.session import VsphereSession
from v2x.sources.vsphere.transports.place import DiskPlace

CODE = "SOURCE-NETWORK"


def address_on(session: VsphereSession, place: DiskPlace, network: str) -> str:
    """The address of the machine's host on `network`. InputRefused SOURCE-NETWORK lists its adapters otherwise."""
    adapters = _adapters(session, place)
    found = [address for adapter, address in adapters if _is_on(adapter, address, network)]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(f"{one.device} {one.portgroup or ''} {address}".replace("  ", " ") for one, address in adapters)
    what = "no adapter" if not found else f"{len(found)} adapters"
    raise InputRefused(
        f"{place.host} has {what} on {network}",
        code=CODE,
        hint=f"its adapters are: {listed or 'not told to this account'}; name one by port group, device or network",
    )


def _adapters(session: VsphereSession, place: DiskPlace) -> list[tuple[Any, str]]:
    found = next(session.retrieve(vim.VirtualMachine, ["runtime.host"], objects=[place.machine_ref]), None)
    host = found.values.get("runtime.host") if found is not None else None
    if host is None:
        return []
    told = next(session.retrieve(vim.HostSystem, ["config.network.vnic"], objects=[host]), None)
    adapters = (told.values.get("config.network.vnic") if told is not None else None) or []
    return [(one, str(one.spec.ip.ipAddress)) for one in adapters if one.spec.ip and one.spec.ip.ipAddress]


def _is_on(adapter: Any, address: str, network: str) -> bool:
    if network in {adapter.device, adapter.portgroup}:
        return True
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
