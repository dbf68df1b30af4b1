# SPDX-License-Identifier: Apache-2.0
"""Names of disks that change with the hypervisor, and what they become: a name that stays, or the name on Xen.

A disk behind xen-blkfront is /dev/xvda, /dev/xvdb… in the order of its device numbers, which v2x sets in the order of
the source's disks. Where the UUID of what lies on a partition is known, it is written instead: it holds on emulated
disks, too.
"""

import re
from collections.abc import Iterator, Mapping

from v2x.convert.files import text_of
from v2x.convert.interface import Facts, GuestFiles, Remark

_NAME = re.compile(
    r"(?<![\w/.-])/dev/(?:(?P<kind>[sh]d)(?P<letters>[a-z]{1,2})(?P<part>\d*)"
    r"|nvme(?P<controller>\d+)n(?P<space>\d+)(?:p(?P<slice>\d+))?)(?![\w/-])"
)
_WHERE_NAMES_STAND = ("/etc/fstab", "/etc/crypttab", "/etc/default/grub", "/boot/grub/grub.cfg", "/boot/grub2/grub.cfg")
_NO_DISK = re.compile(r"^\s*#|^\s*/dev/(?:fd\d|sr\d|cdrom|dvd)|\s(?:iso9660|udf)[\s,]")


def names_no_disk(line: str) -> bool:
    """Whether a line of fstab or crypttab is a comment, or speaks of a CD or floppy drive."""
    return not line.strip() or _NO_DISK.search(line) is not None


class DeviceNames:
    """Renames devices in the texts of one guest; `left` are names of which nothing certain is known: they stay.

    Where a guest has disks on buses of two kinds, no name tells which comes first on Xen: only `stable_names` help.
    """

    def __init__(self, files: GuestFiles, facts: Facts) -> None:
        self._stable: Mapping[str, str] = facts.stable_names
        self.left: list[str] = []
        lines = [line for path in _WHERE_NAMES_STAND for line in (text_of(files, path) or "").splitlines()]
        found = [one for line in lines if not names_no_disk(line) for one in _NAME.finditer(line)]
        self._one_kind = len({one["kind"] or "nvme" for one in found}) <= 1

    def renamed(self, text: str, *, disks_only: bool = False) -> str:
        """`text` with every name of a disk replaced. `disks_only` where only a device's name will do, not `UUID=`."""

        def replace(found: re.Match[str]) -> str:
            known = self._stable.get(found[0])
            if known is not None and not disks_only:
                return known
            made = _on_xen(found) if self._one_kind else None
            if made is None and found[0] not in self.left:
                self.left.append(found[0])
            return made or found[0]

        return _NAME.sub(replace, text)

    def remarks(self, place: str) -> Iterator[Remark]:
        """One remark for the names that could not be led anywhere."""
        if self.left:
            yield Remark(
                text=f"{', '.join(self.left)} in {place}: which disk this will be is not certain, so it was left",
                remedy="name it by UUID in the guest before the migration",
            )


def _on_xen(found: re.Match[str]) -> str | None:
    """None for an NVMe controller other than the first: how many disks come before it is not in its name."""
    if found["controller"] is None:
        return f"/dev/xvd{found['letters']}{found['part']}"
    place = int(found["space"]) - 1
    if found["controller"] != "0" or not 0 <= place < 26:
        return None
    return f"/dev/xvd{chr(ord('a') + place)}{found['slice'] or ''}"
