# SPDX-License-Identifier: Apache-2.0
"""Services of the old hypervisor: switched off, not removed, so that the way back stays open."""

from collections.abc import Iterator

from v2x.convert.interface import Edit, Facts, GuestFiles, Proposal, Remark

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

_SCRIPTS = ("vmware-tools", "open-vm-tools", "hv_kvp_daemon", "hypervkvpd")
_FOLDERS = ("/usr/lib/systemd/system", "/lib/systemd/system", "/etc/systemd/system")
_OWN = "/etc/systemd/system"
_NOWHERE = "/dev/null"


def old_tools(files: GuestFiles, facts: Facts) -> Proposal:
    """Masks the units that are installed; without systemd, takes their links out of the run levels."""
    edits: list[Edit] = []
    remarks: list[Remark] = []
    if facts.inspection.init == "systemd":
        for maker, units in _UNITS.items():
            edits += _masked(files, maker, units, remarks)
    else:
        edits += _unlinked(files)
    if files.exists("/usr/bin/vmware-uninstall-tools.pl"):
        remarks.append(
            Remark(
                text="VMware Tools were installed from VMware's archive",
                remedy="run vmware-uninstall-tools.pl in the guest once it is not to go back",
            )
        )
    return Proposal(edits=tuple(edits), remarks=tuple(remarks))


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


def _unlinked(files: GuestFiles) -> Iterator[Edit]:
    for level in ("rc2.d", "rc3.d", "rc4.d", "rc5.d"):
        for folder in (f"/etc/{level}", f"/etc/rc.d/{level}"):
            if folder.startswith("/etc/rc.d") and files.link_of(f"/etc/{level}") is not None:
                continue  # /etc/rc3.d is a link to /etc/rc.d/rc3.d there, and was gone through already
            for name in files.listdir(folder):
                link = files.link_of(f"{folder}/{name}")
                if name.startswith("S") and name[3:] in _SCRIPTS and link is not None:
                    yield Edit(
                        path=f"{folder}/{name}", before=link, after=None, why="the hypervisor is another", link=True
                    )
