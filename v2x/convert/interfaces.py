# SPDX-License-Identifier: Apache-2.0
"""The network interfaces that a guest has configured, whichever of six programs it has for that."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from v2x.convert.files import text_of
from v2x.convert.interface import GuestFiles

_VIRTUAL = re.compile(r"^(?:lo$|bond|br|virbr|docker|veth|vlan|team|tun|tap|wg|dummy|ib|wl|ww)[\w-]*$|[.:@]")
_PLAIN = re.compile(r"^[A-Za-z][A-Za-z0-9_-]{0,14}$")
_MAC = re.compile(r"^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$")
_RED_HAT, _SUSE = "/etc/sysconfig/network-scripts", "/etc/sysconfig/network"
_KEYFILES, _NETPLAN, _NETWORKD = "/etc/NetworkManager/system-connections", "/etc/netplan", "/etc/systemd/network"
_RULES = "/etc/udev/rules.d"


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
    folder = "/etc/network/interfaces.d"
    for path in ("/etc/network/interfaces", *(f"{folder}/{name}" for name in files.listdir(folder))):
        for name in re.findall(r"^\s*iface\s+(\S+)\s+inet6?\s", text_of(files, path) or "", re.MULTILINE):
            yield Interface(name=name, mac="", path=path)


def _ifcfg(files: GuestFiles) -> Iterator[Interface]:
    """Red Hat's name it by DEVICE or HWADDR, SUSE's by the file's name."""
    for folder in (_RED_HAT, _SUSE):
        for file in files.listdir(folder):
            if not file.startswith("ifcfg-") or file.endswith((".bak", ".orig", ".rpmsave", "~")):
                continue
            text = text_of(files, f"{folder}/{file}") or ""
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


def _keyfiles(files: GuestFiles) -> Iterator[Interface]:
    for path in _in(files, _KEYFILES, ""):
        sections = _ini(text_of(files, path) or "")
        connection = sections.get("connection", {})
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
    """Each entry of `ethernets:`, with its set-name. Netplan's files are written in YAML's block style, by indentation.

    An entry with `match:` is no interface's name; then only what it matches and sets counts.
    """
    for path in _in(files, _NETPLAN, ".yaml"):
        for key, block in _blocks(text_of(files, path) or ""):
            mac = re.search(r"^\s*macaddress:\s*(\S+)", block, re.MULTILINE)
            set_name = re.search(r"^\s*set-name:\s*[\"']?([\w-]+)", block, re.MULTILINE)
            matches = re.search(r"^(\s*)match:", block, re.MULTILINE)
            inside = re.search(r"^\s*name:\s*[\"']?([\w-]+)[\"']?\s*$", block, re.MULTILINE)
            name = (inside[1] if inside else "") if matches else key
            found = Interface(name=name, mac=mac[1] if mac and matches else "", path=path)
            yield found, set_name[1] if set_name else ""


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """The keys directly below `ethernets:`, each with the lines below it."""
    within = entry = -1
    key, block = "", ""
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        indent = len(line) - len(line.lstrip())
        if within >= 0 and indent <= within:
            if key:
                yield key, block
            within, entry, key, block = -1, -1, "", ""
        if within < 0:
            within = indent if re.match(r"\s*ethernets:\s*$", line) else -1
        elif entry < 0 or indent <= entry:
            if key:
                yield key, block
            entry, key, block = indent, line.strip().rstrip(":").strip("\"'"), ""
        else:
            block += line + "\n"
    if key:
        yield key, block
