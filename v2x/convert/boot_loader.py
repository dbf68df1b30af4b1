# SPDX-License-Identifier: Apache-2.0
"""Kernel command lines and what goes with them: root=, resume= and dump devices by names that stay."""

import re
from collections.abc import Iterator

from v2x.convert.device_names import DeviceNames
from v2x.convert.files import bytes_of, text_of
from v2x.convert.interface import Edit, Facts, GuestFiles, Proposal

_WHOLE_FILES = (
    "/etc/default/grub",
    "/etc/kernel/cmdline",
    "/boot/grub/grub.cfg",
    "/boot/grub2/grub.cfg",
    "/boot/grub/menu.lst",
    "/boot/grub/grub.conf",
    "/boot/grub2/grubenv",
    "/etc/initramfs-tools/conf.d/resume",
)
_ENTRIES = ("/boot/loader/entries", "/boot/efi/loader/entries", "/efi/loader/entries")
_DEVICE_MAPS = ("/boot/grub/device.map", "/boot/grub2/device.map")
_SETTING = re.compile(r"(?<![\w.])(root|resume|RESUME)(=)(\"?)(/dev/[\w/]+)")
_DUMP = re.compile(r"^(\s*(?:raw|ext[234]|xfs|btrfs)\s+)(/dev/\S+)", re.MULTILINE)
_GRUB_ENVIRONMENT_BYTES = 1024
_WHY = "the kernel would look for its root or swap under a name that it does not have on Xen"


def command_lines(files: GuestFiles, facts: Facts) -> Proposal:
    """`root=` and `resume=` wherever a command line is kept, kdump's target, and GRUB's map of drives."""
    names = DeviceNames(files, facts)
    entries = [f"{folder}/{name}" for folder in _ENTRIES for name in files.listdir(folder) if name.endswith(".conf")]
    edits: list[Edit] = []
    for path in (*_WHOLE_FILES, *entries):
        edits += _edit(files, path, names)
    edits += _dump_edit(files, names)
    edits += _map_edits(files, names)
    return Proposal(edits=tuple(edits), remarks=tuple(names.remarks("the boot configuration")))


def _edit(files: GuestFiles, path: str, names: DeviceNames) -> Iterator[Edit]:
    before = text_of(files, path)
    if before is None:
        return
    after = _SETTING.sub(lambda found: f"{found[1]}{found[2]}{found[3]}{names.renamed(found[4])}", before)
    if path.endswith("/grubenv"):
        after = _environment(after, otherwise=before)
    if after != before:
        yield Edit(path=path, before=before, after=after, why=_WHY)


def _environment(text: str, *, otherwise: str) -> str:
    """GRUB's environment block is exactly 1024 bytes, filled up with `#`; one that would not fit is not changed."""
    body = text.rstrip("#")
    room = _GRUB_ENVIRONMENT_BYTES - len(bytes_of(body))
    return body + "#" * room if room >= 0 else otherwise


def _dump_edit(files: GuestFiles, names: DeviceNames) -> Iterator[Edit]:
    before = text_of(files, "/etc/kdump.conf")
    if before is None:
        return
    after = _DUMP.sub(lambda found: found[1] + names.renamed(found[2]), before)
    if after != before:
        yield Edit(path="/etc/kdump.conf", before=before, after=after, why="crash dumps would find no disk")


def _map_edits(files: GuestFiles, names: DeviceNames) -> Iterator[Edit]:
    """Only disks stand in it, and only their names: those by id name the old hypervisor's disks, and go."""
    for path in _DEVICE_MAPS:
        before = text_of(files, path)
        if before is None:
            continue
        lines = [line for line in before.splitlines(keepends=True) if "/dev/disk/by-id/" not in line]
        after = names.renamed("".join(lines), disks_only=True)
        if after != before:
            yield Edit(path=path, before=before, after=after, why="grub-install would look for disks that are gone")
