# SPDX-License-Identifier: Apache-2.0
"""The network interfaces that a guest has configured, whichever of six programs it has for that."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from v2x.convert.files import text_of
from v2x.convert.interface import GuestFiles

_VIRTUAL = re.compile(r"^(?:lo$|bond|br|virbr|docker|veth|vlan|team|tun|tap|wg|dummy|ib|wl|ww)[\w-]*$|[.:@]")
_PLAIN = re.compile(r"^[A-Za-z][A-Za-z0-9_-]{0,14}$")
_MAC = re.compile(r"^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$")
_RED_HAT, _SUSE = "/etc/sysconfig/network-scripts", "/etc/sysconfig/network"
_KEYFILES, _NETPLAN, _NETWORKD = "/etc/NetworkManager/system-connections", "/etc/netplan", "/etc/systemd/network"
_RULES = "/etc/udev/rules.d"
_LONGEST_YAML = 1 << 20
_PORTS = re.compile(
    r"^\s*(?:bond-slaves|bond_slaves|slaves|bridge_ports|bridge-ports|vlan-raw-device|vlan_raw_device)\s+(.+)$",
    re.MULTILINE,
)
_NO_PORTS = {"none", "all", "regex", "noregex"}
"""Words of bridge-utils-interfaces(5) where names stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """A configured interface; `name` is empty where it is found by its MAC alone, `mac` where by its name alone."""

    name: str
    mac: str
    path: str


def configured(files: GuestFiles) -> Iterator[Interface]:
    """Physical interfaces only, as far as a configuration tells; each file's own view, so that one may come twice."""
    ways = (_ifupdown, _ifcfg, _keyfiles, _netplan, _networkd)
    for found in (one for way in ways for one in way(files)):
        name = found.name if _PLAIN.match(found.name) and not _VIRTUAL.search(found.name) else ""
        mac = normal_mac(found.mac)
        if name or (mac and not found.name):
            yield Interface(name=name, mac=mac, path=found.path)


def pinned(files: GuestFiles) -> dict[str, str]:
    """MAC to the name that the guest already gives it: systemd's .link files, udev's persistent rules, netplan."""
    names: dict[str, str] = {}
    for path in _in(files, _RULES, ".rules"):
        for line in (text_of(files, path) or "").splitlines():
            mac = re.search(r'ATTRS?\{address\}=="([^"]+)"', line)
            given = re.search(r'NAME:?="([^"]+)"', line)
            # A rule that asks for the old adapter's driver will never speak again.
            if mac and given and not line.lstrip().startswith("#") and not re.search(r'DRIVERS=="[^?]', line):
                names[normal_mac(mac[1])] = given[1]
    for path in _in(files, _NETWORKD, ".link"):
        sections = _ini(text_of(files, path) or "")
        address, name = sections.get("Match", {}).get("MACAddress", ""), sections.get("Link", {}).get("Name", "")
        if address and name:
            names[normal_mac(address)] = name
    for found, set_name in _netplan_entries(files):
        if found.mac and set_name:
            names[normal_mac(found.mac)] = set_name
    names.pop("", None)
    return names


def normal_mac(text: str) -> str:
    """Lower case with colons; empty for what is none."""
    made = text.strip().strip("\"'").lower().replace("-", ":")
    return made if _MAC.match(made) else ""


def _in(files: GuestFiles, folder: str, ending: str) -> list[str]:
    return [f"{folder}/{name}" for name in files.listdir(folder) if name.endswith(ending)]


def _ini(text: str) -> dict[str, dict[str, str]]:
    """Sections of an INI file as systemd and NetworkManager write them; the first of several values counts."""
    sections: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("[") and stripped.endswith("]"):
            current = sections.setdefault(stripped[1:-1], {})
        elif "=" in stripped and stripped[0] not in "#;":
            key, value = stripped.split("=", 1)
            current.setdefault(key.strip(), value.strip())
    return sections


def _ifupdown(files: GuestFiles) -> Iterator[Interface]:
    """Also those that only a bond, a bridge or a VLAN names."""
    folder = "/etc/network/interfaces.d"
    for path in ("/etc/network/interfaces", *(f"{folder}/{name}" for name in files.listdir(folder))):
        text = text_of(files, path) or ""
        for name in re.findall(r"^\s*iface\s+(\S+)\s+inet6?\s", text, re.MULTILINE):
            yield Interface(name=name.split(".")[0], mac="", path=path)
        for name in " ".join(_PORTS.findall(text)).split():
            if name not in _NO_PORTS:
                yield Interface(name=name.split(".")[0], mac="", path=path)


def _ifcfg(files: GuestFiles) -> Iterator[Interface]:
    """Red Hat's name it by DEVICE or HWADDR, SUSE's by the file's name."""
    for folder in (_RED_HAT, _SUSE):
        for file in files.listdir(folder):
            if not file.startswith("ifcfg-") or file.endswith((".bak", ".orig", ".rpmsave", "~")):
                continue
            text = text_of(files, f"{folder}/{file}") or ""
            yield from (Interface(name=name, mac="", path=f"{folder}/{file}") for name in _ports_in_ifcfg(text))
            values = dict(re.findall(r"^\s*([A-Z_0-9]+)\s*=\s*['\"]?([^'\"\n]*?)['\"]?\s*$", text, re.MULTILINE))
            if values.get("TYPE", "Ethernet").lower() != "ethernet" or values.keys() & {
                *("BONDING_MASTER", "BONDING_OPTS", "ETHERDEVICE", "TEAM_RUNNER"),
            }:
                continue
            if "yes" in {values.get("VLAN"), values.get("BRIDGE")}:
                continue
            mac = values.get("HWADDR", "")
            name = values.get("DEVICE", "" if folder == _RED_HAT and mac else file.removeprefix("ifcfg-"))
            yield Interface(name=name, mac=mac, path=f"{folder}/{file}")


def _ports_in_ifcfg(text: str) -> Iterator[str]:
    """What a VLAN, a bridge or a bond of Red Hat's or SUSE's is made of."""
    setting = r"^\s*(?:PHYSDEV|ETHERDEVICE|BRIDGE_PORTS|BONDING_SLAVE_?\d+)\s*=\s*['\"]?([^'\"\n]*)"
    for value in re.findall(setting, text, re.MULTILINE):
        yield from (name.split(".")[0] for name in value.split())


def _keyfiles(files: GuestFiles) -> Iterator[Interface]:
    for path in _in(files, _KEYFILES, ""):
        sections = _ini(text_of(files, path) or "")
        connection = sections.get("connection", {})
        parent = sections.get("vlan", {}).get("parent", "")
        if parent:
            yield Interface(name=parent, mac="", path=path)
        if connection.get("type") not in {"ethernet", "802-3-ethernet"}:
            continue
        wired = sections.get("ethernet", {}) or sections.get("802-3-ethernet", {})
        name, mac = connection.get("interface-name", ""), wired.get("mac-address", "")
        if name or mac:
            yield Interface(name=name, mac=mac, path=path)


def _networkd(files: GuestFiles) -> Iterator[Interface]:
    for path in _in(files, _NETWORKD, ".network"):
        match = _ini(text_of(files, path) or "").get("Match", {})
        macs = match.get("MACAddress", "").split() or [""]
        for name in match.get("Name", "").split() or [""]:
            yield Interface(name=name, mac=macs[0], path=path)


def _netplan(files: GuestFiles) -> Iterator[Interface]:
    for found, set_name in _netplan_entries(files):
        yield Interface(name=set_name or found.name, mac=found.mac, path=found.path)


def _netplan_entries(files: GuestFiles) -> Iterator[tuple[Interface, str]]:
    """Each entry of `ethernets:`, with its set-name.

    An entry with `match:` is no interface's name; then only what it matches and sets counts.
    """
    for path in _in(files, _NETPLAN, ".yaml"):
        for key, entry in _ethernets(text_of(files, path) or "").items():
            match = _mapping(entry.get("match"))
            name = _plain(match.get("name")) if match else key
            found = Interface(name=name, mac=_plain(match.get("macaddress")), path=path)
            yield found, _plain(entry.get("set-name"))


def _ethernets(text: str) -> dict[str, dict[str, Any]]:
    """Entries by name; none of a file that netplan would not read either."""
    if len(text) > _LONGEST_YAML:
        return {}
    try:
        # Texts only, and nothing else made of them: a MAC of digits alone would become a number.
        read = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506  # nosec B506  # makes texts only
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    entries = _mapping(_mapping(_mapping(read).get("network")).get("ethernets"))
    return {str(key): _mapping(entry) for key, entry in entries.items()}


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else ""
