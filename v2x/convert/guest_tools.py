# SPDX-License-Identifier: Apache-2.0
"""Services of the old hypervisor: switched off, so that the way back stays open, or removed where that is wished."""

import re
from collections.abc import Iterator, Mapping

from v2x.convert.files import text_of
from v2x.convert.interface import Command, Edit, Facts, GuestFiles, Otherwise, Proposal, Remark

_UNITS = {
    "VMware": (
        "open-vm-tools.service",
        "vmtoolsd.service",
        "vgauthd.service",
        "vgauth.service",
        "vmware-tools.service",
        "vmware-tools-thinprint.service",
        "run-vmblock\\x2dfuse.mount",
        "vmware-vmblock-fuse.service",
    ),
    "Hyper-V": (
        *("hv-kvp-daemon.service", "hv-vss-daemon.service", "hv-fcopy-daemon.service"),
        *("hypervkvpd.service", "hypervvssd.service", "hypervfcopyd.service"),
        *("hv_kvp_daemon.service", "hv_vss_daemon.service", "hv_fcopy_daemon.service"),
    ),
}
"""Units as Debian and Ubuntu, Red Hat and SUSE name them."""

_DEBIAN_PACKAGES = {
    "VMware": ("open-vm-tools-desktop", "open-vm-tools-containerinfo", "open-vm-tools-sdmp", "open-vm-tools"),
    "Hyper-V": ("hyperv-daemons",),
}
_OTHER_PACKAGES: Mapping[str, Mapping[str, str]] = {
    "VMware": {"open-vm-tools-desktop": "/usr/bin/vmware-user-suid-wrapper", "open-vm-tools": "/usr/bin/vmtoolsd"},
    "Hyper-V": {
        **{name: f"/usr/sbin/{name}" for name in ("hypervkvpd", "hypervvssd", "hypervfcopyd")},
        "hyper-v": "/usr/sbin/hv_kvp_daemon",
    },
}
"""Packages with a file of each: which of them are installed stands in a database that is no text."""

# Each refuses where another package needs what is to go, so that nothing else ever goes with it.
_REMOVALS = {
    "apt": ("env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "--remove"),
    "dnf": ("rpm", "--erase"),
    "yum": ("rpm", "--erase"),
    "zypper": ("rpm", "--erase"),
    "rpm": ("rpm", "--erase"),
    "pacman": ("pacman", "--remove", "--noconfirm"),
}
_UNINSTALLER = "/usr/bin/vmware-uninstall-tools.pl"

_SCRIPTS = {"VMware": ("vmware-tools", "open-vm-tools"), "Hyper-V": ("hv_kvp_daemon", "hypervkvpd")}
_FOLDERS = ("/usr/lib/systemd/system", "/lib/systemd/system", "/etc/systemd/system")
_OWN = "/etc/systemd/system"
_NOWHERE = "/dev/null"


def old_tools(files: GuestFiles, facts: Facts) -> Proposal:
    """Masks the units that are installed; without systemd, takes their links out of the run levels. Where packages are
    to be removed, that is what happens if they cannot be."""
    edits: list[Edit] = []
    commands: list[Command] = []
    remarks: list[Remark] = []
    for maker, units in _UNITS.items():
        if facts.inspection.init == "systemd":
            off = tuple(_masked(files, maker, units, remarks))
        else:
            off = tuple(_unlinked(files, maker))
        removal = _removal(files, facts, maker, off) if facts.wishes.remove_tools else None
        if removal is None:
            edits += off
        else:
            commands.append(removal)
    if files.exists(_UNINSTALLER):
        remedy = "run vmware-uninstall-tools.pl in the guest once it is not to go back"
        if facts.wishes.remove_tools:
            otherwise = Otherwise(text="VMware's own uninstaller failed", remedy=remedy)
            commands.append(Command(argv=(_UNINSTALLER,), why="VMware is gone", otherwise=otherwise))
        else:
            remarks.append(Remark(text="VMware Tools were installed from VMware's archive", remedy=remedy))
    return Proposal(edits=tuple(edits), commands=tuple(commands), remarks=tuple(remarks))


def has_old_tools(files: GuestFiles) -> bool:
    """Whether programs of the old hypervisor are installed, which set the guest's clock by its host's."""
    paths = (path for packages in _OTHER_PACKAGES.values() for path in packages.values())
    units = (f"{folder}/{unit}" for folder in _FOLDERS for named in _UNITS.values() for unit in named)
    return any(files.exists(path) for path in (*paths, *units, _UNINSTALLER))


def _removal(files: GuestFiles, facts: Facts, maker: str, off: tuple[Edit, ...]) -> Command | None:
    manager = facts.inspection.package_manager
    if manager == "apt":
        installed = _installed_by_dpkg(files)
        packages = [name for name in _DEBIAN_PACKAGES[maker] if name in installed]
    else:
        packages = [name for name, path in _OTHER_PACKAGES[maker].items() if files.exists(path)]
    if not packages or manager not in _REMOVALS:
        return None
    names = ", ".join(packages)
    return Command(
        argv=(*_REMOVALS[manager], *packages),
        why=f"{maker} is gone; install {names} for the way back",
        otherwise=Otherwise(
            text=f"{names} could not be removed, and was switched off instead",
            remedy="remove it in the guest",
            edits=off,
        ),
    )


def _installed_by_dpkg(files: GuestFiles) -> set[str]:
    text = text_of(files, "/var/lib/dpkg/status") or ""
    return set(re.findall(r"^Package: (\S+)\nStatus: \S+ ok installed$", text, re.MULTILINE))


def _masked(files: GuestFiles, maker: str, units: tuple[str, ...], remarks: list[Remark]) -> Iterator[Edit]:
    for unit in units:
        mask = f"{_OWN}/{unit}"
        link = files.link_of(mask)
        if link == _NOWHERE or not any(files.exists(f"{folder}/{unit}") for folder in _FOLDERS):
            continue
        if link is None and files.exists(mask):
            remarks.append(
                Remark(
                    text=f"{mask} is a file of the guest's own and was left",
                    remedy=f"systemctl disable {unit}",
                )
            )
            continue
        yield Edit(
            path=mask, before=link, after=_NOWHERE, why=f"{maker} is gone; unmask {unit} for the way back", link=True
        )


def _unlinked(files: GuestFiles, maker: str) -> Iterator[Edit]:
    for level in ("rc2.d", "rc3.d", "rc4.d", "rc5.d"):
        for folder in (f"/etc/{level}", f"/etc/rc.d/{level}"):
            if folder.startswith("/etc/rc.d") and files.link_of(f"/etc/{level}") is not None:
                continue  # /etc/rc3.d is a link to /etc/rc.d/rc3.d there, and was gone through already
            for name in files.listdir(folder):
                link = files.link_of(f"{folder}/{name}")
                if name.startswith("S") and name[3:] in _SCRIPTS[maker] and link is not None:
                    yield Edit(
                        path=f"{folder}/{name}", before=link, after=None, why="the hypervisor is another", link=True
                    )
