# SPDX-License-Identifier: Apache-2.0
"""The drivers that find the root disk on Xen, in every kernel's initial RAM disk; the old one stays beside."""

import re
from collections.abc import Iterator

from v2x.convert.files import text_of
from v2x.convert.inspect import DRIVERS
from v2x.convert.interface import (
    Command,
    Edit,
    Facts,
    Family,
    FileCopy,
    GuestFiles,
    Initramfs,
    Kernel,
    Proposal,
    Remark,
)

_KEPT = ".pre-v2x"
_DRACUT = "/etc/dracut.conf.d/v2x-xen.conf"
_MODULES = "/etc/initramfs-tools/modules"
_MKINITCPIO = "/etc/mkinitcpio.conf"
_ARRAY = re.compile(r"^(\s*MODULES=)(\(([^)]*)\)|\"([^\"]*)\")", re.MULTILINE)
_WHY = "without these drivers the initial RAM disk finds neither disks nor adapters on Xen"
_REBUILD = "rebuilt with the drivers for Xen; the old one stays under the name of the copy"


def boot_drivers(files: GuestFiles, facts: Facts) -> Proposal:
    """The drivers are listed where the guest's own tool reads them, and each kernel's image is built anew.

    Only drivers that a kernel has as modules are listed: what is built in needs no listing, and what is missing would
    be an error of the tool. Nothing is rebuilt where the list was complete already.
    """
    inspection = facts.inspection
    wanted = [name for name in DRIVERS if any(name in kernel.modules for kernel in inspection.kernels)]
    remarks = list(_missing(inspection.kernels))
    if inspection.initramfs is Initramfs.UNKNOWN or not inspection.kernels:
        remarks.append(
            Remark(
                text="no kernel, or no known tool for its initial RAM disk, was found: no driver was added",
                remedy="make sure that xen-blkfront and xen-netfront are in it before the migration",
            )
        )
        return Proposal(remarks=tuple(remarks))
    listed = {
        Initramfs.INITRAMFS_TOOLS: _listed_debian,
        Initramfs.DRACUT: _listed_dracut,
        Initramfs.MKINITCPIO: _listed_arch,
    }[inspection.initramfs]
    edits = tuple(listed(files, wanted))
    commands = tuple(_rebuilds(files, facts)) if edits else ()
    return Proposal(edits=edits, commands=commands, remarks=tuple(remarks))


def _missing(kernels: tuple[Kernel, ...]) -> Iterator[Remark]:
    for kernel in kernels:
        absent = [name for name in DRIVERS[:2] if name not in kernel.modules | kernel.built_in]
        if absent:
            yield Remark(
                text=f"kernel {kernel.version} has no {' and no '.join(absent)}: with it, the machine runs on emulated "
                "devices, which are slower",
                remedy="boot a kernel of the distribution that has them",
            )


def _listed_debian(files: GuestFiles, wanted: list[str]) -> Iterator[Edit]:
    before = text_of(files, _MODULES)
    present = {line.split()[0].replace("_", "-") for line in (before or "").splitlines() if line.split()}
    new = [name for name in wanted if name.replace("_", "-") not in present]
    if new:
        text = before or ""
        joint = "" if not text or text.endswith("\n") else "\n"
        after = text + joint + "".join(f"{name}\n" for name in new)
        yield Edit(path=_MODULES, before=before, after=after, why=_WHY)


def _listed_dracut(files: GuestFiles, wanted: list[str]) -> Iterator[Edit]:
    before = text_of(files, _DRACUT)
    after = f'add_drivers+=" {" ".join(wanted)} "\n'
    if wanted and after != before:
        yield Edit(path=_DRACUT, before=before, after=after, why=_WHY)


def _listed_arch(files: GuestFiles, wanted: list[str]) -> Iterator[Edit]:
    before = text_of(files, _MKINITCPIO) or ""
    found = _ARRAY.search(before)
    listed = ((found[3] or found[4] or "") if found else "").split()
    present = {name.replace("_", "-") for name in listed}
    new = [name for name in wanted if name.replace("_", "-") not in present]
    if not new:
        return
    whole = f"MODULES=({' '.join([*listed, *new])})"
    after = before[: found.start()] + whole + before[found.end() :] if found else f"{before}{whole}\n"
    yield Edit(path=_MKINITCPIO, before=before or None, after=after, why=_WHY)


def _rebuilds(files: GuestFiles, facts: Facts) -> Iterator[Command]:
    tool, family = facts.inspection.initramfs, facts.inspection.family
    if tool is Initramfs.MKINITCPIO:
        presets = [
            name.removesuffix(".preset") for name in files.listdir("/etc/mkinitcpio.d") if name.endswith(".preset")
        ]
        for preset in presets:
            image = f"/boot/initramfs-{preset}.img"
            yield _command(files, ("mkinitcpio", "-p", preset), image)
        return
    for kernel in facts.inspection.kernels:
        version = kernel.version
        if tool is Initramfs.INITRAMFS_TOOLS:
            yield _command(files, ("update-initramfs", "-u", "-k", version), f"/boot/initrd.img-{version}")
        else:
            image = f"/boot/initrd-{version}" if family is Family.SUSE else f"/boot/initramfs-{version}.img"
            yield _command(files, ("dracut", "--force", image, version), image)


def _command(files: GuestFiles, argv: tuple[str, ...], image: str) -> Command:
    kept = (FileCopy(path=image, to=image + _KEPT, why="the way back"),) if files.exists(image) else ()
    return Command(argv=argv, why=_REBUILD, copies=kept)
