# SPDX-License-Identifier: Apache-2.0
"""Static addresses: Windows keeps them by adapter, not by MAC, and on the pool each adapter is another one.

What the registry says of the old adapters is kept for the first boot, by the MAC that the machine keeps.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from v2x.convert.interface import Adapter, Remark
from v2x.convert.registry import Hive, RegistryValue
from v2x.convert.windows.view import WindowsView

_INTERFACES = "Services\\Tcpip\\Parameters\\Interfaces"
_CONNECTIONS = "Control\\Network\\{4D36E972-E325-11CE-BFC1-08002BE10318}"
_KERNEL = "Control\\NetworkSetup2\\Interfaces"
_NET_CLASS = "{4d36e972-e325-11ce-bfc1-08002be10318}"
_BUSES = ("PCI", "VMBUS")


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticInterface:
    """What an adapter has by hand: `addresses` as ADDRESS/PREFIX; none where it asks DHCP and only the servers for
    names are set. `name` is the connection's in the guest."""

    guid: str
    name: str = ""
    mac: str = ""
    addresses: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    suffix: str = ""


def static_interfaces(view: WindowsView) -> tuple[list[StaticInterface], list[Remark]]:
    """Those whose adapter is certain, with its MAC; a remark for each other one."""
    found = list(_configured(view))
    tied: list[StaticInterface] = []
    remarks: list[Remark] = []
    for one in found:
        mac = _mac_of(view, one, found)
        if mac and mac not in {other.mac for other in tied}:
            tied.append(_with_mac(one, mac))
        else:
            shown = ", ".join(one.addresses or one.dns)
            remarks.append(
                Remark(
                    text=f"{one.name or one.guid} has {shown}: which adapter that is, is not certain",
                    remedy="set it by hand after the first boot",
                )
            )
    return tied, remarks


def old_adapters(view: WindowsView) -> list[str]:
    """Instance ids of the network adapters of the old hypervisor, as the first boot finds their rests."""
    found: list[str] = []
    for bus in _BUSES:
        base = f"{view.control_set}\\Enum\\{bus}"
        for device in view.registry.subkeys(Hive.SYSTEM, base):
            for instance in view.registry.subkeys(Hive.SYSTEM, f"{base}\\{device}"):
                kind = view.registry.value(Hive.SYSTEM, f"{base}\\{device}\\{instance}", "ClassGUID")
                if kind is not None and kind.text.casefold() == _NET_CLASS:
                    found.append(f"{bus}\\{device}\\{instance}")
    return found


def _configured(view: WindowsView) -> Iterator[StaticInterface]:
    base = f"{view.control_set}\\{_INTERFACES}"
    for guid in view.registry.subkeys(Hive.SYSTEM, base):
        values = view.registry.values(Hive.SYSTEM, f"{base}\\{guid}") or {}
        connection = view.setting(f"{_CONNECTIONS}\\{guid}\\Connection", "Name")
        if connection is None:
            continue  # the settings of an adapter that was removed
        dhcp = values["EnableDHCP"].number if "EnableDHCP" in values else 1
        dns = tuple(_addresses(_text(values, "NameServer").replace(",", " ").split()))
        addresses = () if dhcp else tuple(_networks(_texts(values, "IPAddress"), _texts(values, "SubnetMask")))
        if not addresses and not dns:
            continue
        yield StaticInterface(
            guid=guid,
            name=connection.text,
            addresses=addresses,
            gateways=() if dhcp else tuple(_addresses(_texts(values, "DefaultGateway"))),
            dns=dns,
            suffix=_text(values, "Domain"),
        )


def _with_mac(one: StaticInterface, mac: str) -> StaticInterface:
    return StaticInterface(
        guid=one.guid,
        name=one.name,
        mac=mac,
        addresses=one.addresses,
        gateways=one.gateways,
        dns=one.dns,
        suffix=one.suffix,
    )


def _mac_of(view: WindowsView, one: StaticInterface, others: list[StaticInterface]) -> str:
    """The MAC that the adapter will have: as the guest itself noted it, as its agent told of the addresses, or as the
    only one. Empty if none of these tells. Where no machine is known, what the guest noted."""
    kernel = view.registry.values(Hive.SYSTEM, f"{view.control_set}\\{_KERNEL}\\{one.guid}\\Kernel") or {}
    noted = {_mac(kernel[name]) for name in ("PermanentAddress", "CurrentAddress") if name in kernel} - {""}
    by_note = {adapter.mac for adapter in view.adapters if _before(adapter) in noted}
    told = {adapter.mac for adapter in view.adapters if set(adapter.addresses) & set(one.addresses)}
    for macs in (by_note, told):
        if macs:
            return macs.pop() if len(macs) == 1 else ""
    if noted and not view.adapters:
        return min(noted)
    if noted:
        return ""  # of an adapter that the machine does not have any more
    return view.adapters[0].mac if len(view.adapters) == len(others) == 1 else ""


def _before(adapter: Adapter) -> str:
    return (adapter.source_mac or adapter.mac).casefold()


def _mac(value: RegistryValue) -> str:
    return value.data.hex(":") if len(value.data) == 6 else ""


def _text(values: dict[str, RegistryValue], name: str) -> str:
    return values[name].text if name in values else ""


def _texts(values: dict[str, RegistryValue], name: str) -> tuple[str, ...]:
    return values[name].texts if name in values else ()


def _addresses(texts: tuple[str, ...] | list[str]) -> Iterator[str]:
    for text in texts:
        try:
            address = ipaddress.ip_address(text.strip())
        except ValueError:
            continue
        if not address.is_unspecified:
            yield str(address)


def _networks(addresses: tuple[str, ...], masks: tuple[str, ...]) -> Iterator[str]:
    for address, mask in zip(addresses, masks, strict=False):
        try:
            found = ipaddress.IPv4Interface(f"{address}/{mask}")
        except ValueError:
            continue
        if not found.ip.is_unspecified:
            yield str(found)
