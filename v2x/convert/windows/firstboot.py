# SPDX-License-Identifier: Apache-2.0
"""What Windows does by itself at its first starts on the pool: numbered scripts, run once each by a service.

The scripts are fixed texts. What differs from guest to guest is data in settings.xml, which they read as XML: no word
from a guest or a hypervisor ever becomes part of a script.
"""

import hashlib
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from v2x.convert.files import text_of
from v2x.convert.interface import Addition, Edit, Proposal, Removal
from v2x.convert.registry import Hive, Kind, RegistryEdit, RegistryValue, ValueEdit, dword, string
from v2x.convert.windows.drives import Letter
from v2x.convert.windows.network import StaticInterface
from v2x.convert.windows.view import WindowsView, find, place

FOLDER = "/Program Files/v2x/firstboot"
SERVICE = "v2x-firstboot"
SCRIPTS = Path(__file__).with_name("scripts")
_COMMAND = "%SystemDrive%\\Program Files\\v2x\\firstboot\\firstboot.cmd"
_IMAGE = f'%SystemRoot%\\System32\\cmd.exe /d /c start "v2x" /b cmd.exe /d /c "{_COMMAND}"'
_WHY = "done by Windows itself at its first starts on the pool"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstBoot:
    """What is left for the first start; nothing in it, no service. `drivers` is a file of this machine."""

    uninstall: tuple[str, ...] = ()
    drivers: Path | None = None
    ghosts: tuple[str, ...] = ()
    network: tuple[StaticInterface, ...] = ()
    letters: tuple[Letter, ...] = ()
    rearm_bitlocker: bool = False

    @property
    def scripts(self) -> tuple[str, ...]:
        """Names of the scripts that have something to do, in their order."""
        wanted = {
            "10-vmware-tools.ps1": bool(self.uninstall),
            "20-xen-drivers.ps1": self.drivers is not None,
            "30-ghost-adapters.ps1": bool(self.ghosts),
            "40-network.ps1": bool(self.network),
            "50-disks.ps1": bool(self.letters),
            "60-bitlocker.ps1": self.rearm_bitlocker,
        }
        return tuple(name for name, has in wanted.items() if has)


def first_boot(view: WindowsView, todo: FirstBoot) -> Proposal:
    """Lays the scripts, their data and the drivers, and makes the service that runs them."""
    if not todo.scripts:
        return Proposal()
    folder = place(view.disk, FOLDER)
    texts = {f"{folder}/{name}": (SCRIPTS / name).read_text() for name in ("firstboot.cmd", "run.ps1")}
    texts |= {f"{folder}/scripts/{name}": (SCRIPTS / name).read_text() for name in todo.scripts}
    texts[f"{folder}/settings.xml"] = settings(todo)
    edits = []
    for path, text in texts.items():
        after = text.replace("\n", "\r\n")
        before = text_of(view.disk, path)
        if before != after:
            edits.append(Edit(path=path, before=before, after=after, why=_WHY, mode=0o600, private=True))
    service = tuple(_service(view))
    return Proposal(
        edits=tuple(edits),
        registry=service,
        removals=tuple(_markers(view, folder)) if service else (),
        additions=tuple(_drivers(view, todo, f"{folder}/drivers/xen-drivers.msi")),
    )


def _markers(view: WindowsView, folder: str) -> Iterator[Removal]:
    """Of an earlier migration of this guest: its scripts are to run again."""
    for name in view.names(f"{folder}/done"):
        yield Removal(path=f"{folder}/done/{name}", why="left by an earlier first boot, whose scripts run again")


def settings(todo: FirstBoot) -> str:
    """The data of all scripts; ASCII, since everything else is written as a character reference."""
    root = ElementTree.Element("v2x")
    uninstall = ElementTree.SubElement(root, "uninstall")
    for code in todo.uninstall:
        ElementTree.SubElement(uninstall, "product", code=code)
    ghosts = ElementTree.SubElement(root, "ghosts")
    for ghost in todo.ghosts:
        ElementTree.SubElement(ghosts, "device", id=_clean(ghost))
    network = ElementTree.SubElement(root, "network")
    for one in todo.network:
        adapter = ElementTree.SubElement(
            network, "adapter", mac=one.mac, name=_clean(one.name), suffix=_clean(one.suffix)
        )
        for address in one.addresses:
            held = ipaddress.ip_interface(address)
            ElementTree.SubElement(adapter, "address", ip=str(held.ip), mask=str(held.netmask))
        for tag, values in (("gateway", one.gateways), ("dns", one.dns)):
            for value in values:
                ElementTree.SubElement(adapter, tag, ip=value)
    letters = ElementTree.SubElement(root, "letters")
    for letter in todo.letters:
        if letter.guid:
            ElementTree.SubElement(letters, "partition", letter=letter.letter, guid=letter.guid)
        else:
            place_of = {"signature": str(letter.signature), "offset": str(letter.offset_bytes)}
            ElementTree.SubElement(letters, "partition", {"letter": letter.letter, **place_of})
    ElementTree.indent(root)
    made: bytes = ElementTree.tostring(root, encoding="us-ascii", xml_declaration=True)
    return made.decode() + "\n"


def _clean(text: str) -> str:
    """Without what XML cannot hold, so that no word of a guest's spoils the file."""
    return "".join(sign for sign in text if sign.isprintable() and not "\ud800" <= sign <= "\udfff")[:500]


def _service(view: WindowsView) -> Iterator[RegistryEdit]:
    """A service of the system that starts some minutes after Windows does, and whose program ends at once: what it has
    started goes on, whether or not the service manager takes it for a service."""
    wanted: dict[str, RegistryValue] = {
        "Type": dword(0x10),
        "Start": dword(2),
        "ErrorControl": dword(0),
        "ImagePath": string(_IMAGE, Kind.EXPAND_SZ),
        "DisplayName": string("v2x first boot"),
        "Description": string("Finishes the migration of this machine, then removes itself."),
        "ObjectName": string("LocalSystem"),
        "DelayedAutostart": dword(1),
    }
    for control_set in view.facts.control_sets:
        key = f"{control_set}\\Services\\{SERVICE}"
        there = view.registry.values(Hive.SYSTEM, key) or {}
        for name, value in wanted.items():
            if there.get(name) != value:
                before = there.get(name)
                yield ValueEdit(hive=Hive.SYSTEM, key=key, name=name, before=before, after=value, why=_WHY)


def _drivers(view: WindowsView, todo: FirstBoot, to: str) -> Iterator[Addition]:
    if todo.drivers is None:
        return
    with open(todo.drivers, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    there = find(view.disk, to)
    if there is None or view.disk.digest(there) != digest:
        yield Addition(source=todo.drivers, to=to, why="the PV drivers, to be installed at the first boot")
