# SPDX-License-Identifier: Apache-2.0
"""Static addresses survive, because each interface keeps its name: it is tied to the MAC, which the machine keeps.

On Xen an adapter would be enX0 or eth0 where it was ens192 or eth0 before. A name given by the guest's own udev goes
before that, for every program that configures interfaces, so that their files stay as they are.
"""

import re
from collections.abc import Iterator

from v2x.convert.files import text_of
from v2x.convert.interface import Adapter, Edit, Facts, GuestFiles, Proposal, Remark
from v2x.convert.interfaces import Interface, configured, normal_mac, pinned

_LINKS = "/etc/systemd/network"
_RULES = "/etc/udev/rules.d/70-persistent-net.rules"
_CLOUD = "/etc/cloud/cloud.cfg.d"
_CLOUD_OFF = f"{_CLOUD}/99-v2x-network.cfg"
_WHY = "the interface keeps its name, and with it its addresses: adapters have other names on Xen"


def interface_names(files: GuestFiles, facts: Facts) -> Proposal:
    """Ties each configured name to its adapter's MAC, where it is certain which adapter it is."""
    interfaces = list(configured(files))
    remarks = list(_strangers(interfaces, facts.adapters))
    known = {mac: name for mac, name in pinned(files).items() if mac in {one.mac for one in facts.adapters}}
    wanted: dict[str, str] = {}
    for name in dict.fromkeys(one.name for one in interfaces if one.name):
        if name in known.values():
            continue
        mac = _adapter_of(name, interfaces, facts.adapters)
        if mac and mac not in known and mac not in wanted:
            wanted[mac] = name
        else:
            paths = ", ".join(dict.fromkeys(one.path for one in interfaces if one.name == name))
            remarks.append(
                Remark(
                    text=f"{name} in {paths}: which adapter it is, is not certain",
                    remedy=f"name its MAC in the guest, or expect it to be called enX0 or eth0 instead of {name}",
                )
            )
    return Proposal(edits=tuple(_edits(files, facts, wanted)), remarks=tuple(remarks))


def _strangers(interfaces: list[Interface], adapters: tuple[Adapter, ...]) -> Iterator[Remark]:
    macs = {one.mac for one in adapters}
    for one in interfaces:
        if one.mac and one.mac not in macs:
            yield Remark(
                text=f"{one.path} is for the MAC {one.mac}, which the machine will not have",
                remedy="keep the MAC, or correct the file in the guest",
            )


def _adapter_of(name: str, interfaces: list[Interface], adapters: tuple[Adapter, ...]) -> str:
    """The MAC of the adapter called `name`: as its configuration says, as the guest's agent said, as the only one, or
    by the number of a name that the kernel gives in the order of adapters. Empty if none of these tells."""
    macs = {one.mac for one in adapters}
    stated = {one.mac for one in interfaces if one.name == name and one.mac in macs}
    stated = stated or {one.mac for one in adapters if one.interface == name}
    if stated:
        return stated.pop() if len(stated) == 1 else ""
    names = {one.name for one in interfaces if one.name}
    if len(names) == len(adapters) == 1:
        return adapters[0].mac
    number = re.fullmatch(r"eth(\d+)", name)
    if number and all(re.fullmatch(r"eth\d+", one) for one in names) and int(number[1]) < len(adapters):
        return adapters[int(number[1])].mac
    return ""


def _edits(files: GuestFiles, facts: Facts, wanted: dict[str, str]) -> Iterator[Edit]:
    if facts.inspection.init == "systemd":
        for mac, name in wanted.items():
            path = f"{_LINKS}/10-v2x-{name}.link"
            # Type=ether leaves out bridges, VLANs and bonds, which often have their adapter's MAC.
            after = f"[Match]\nMACAddress={mac}\nType=ether\n\n[Link]\nName={name}\n"
            before = text_of(files, path)
            if before != after:
                yield Edit(path=path, before=before, after=after, why=_WHY)
    elif wanted:
        before = text_of(files, _RULES)
        kept = [line for line in (before or "").splitlines() if not _speaks_of(line, wanted)]
        kept += [
            'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", '
            f'ATTR{{address}}=="{mac}", ATTR{{type}}=="1", NAME="{name}"'
            for mac, name in wanted.items()
        ]
        yield Edit(path=_RULES, before=before, after="\n".join(kept) + "\n", why=_WHY)


def _speaks_of(rule: str, wanted: dict[str, str]) -> bool:
    found = re.search(r'ATTRS?\{address\}=="([^"]+)"', rule)
    return found is not None and normal_mac(found[1]) in wanted


def cloud_init(files: GuestFiles, facts: Facts) -> Proposal:
    """cloud-init keeps its hands off the network, which is configured already; and may take this for a new machine."""
    if not files.exists("/etc/cloud/cloud.cfg") or files.exists("/etc/cloud/cloud-init.disabled"):
        return Proposal()
    remark = Remark(
        text="cloud-init may take the machine for a new one, and make new host keys",
        remedy="add manual_cache_clean: true to a file in /etc/cloud/cloud.cfg.d, or disable cloud-init",
    )
    settings = [text_of(files, f"{_CLOUD}/{name}") or "" for name in files.listdir(_CLOUD) if name.endswith(".cfg")]
    off = any(
        re.search(r"^network:\s*(?:\{\s*config:\s*disabled\s*\}|\n\s+config:\s*disabled)", text, re.MULTILINE)
        for text in settings
    )
    if off or not any(True for _ in configured(files)):
        return Proposal(remarks=(remark,))
    edit = Edit(
        path=_CLOUD_OFF,
        before=None,
        after="network: {config: disabled}\n",
        why="cloud-init would write the network anew for adapters that it does not know",
    )
    return Proposal(edits=(edit,), remarks=(remark,))
