# SPDX-License-Identifier: Apache-2.0
"""What lies on disks where no operating system can be looked into: LUKS, pools of ZFS, nothing known.

Volumes of BitLocker are told of by windows/bitlocker.py.
"""

from collections.abc import Iterator

from v2x.convert.guestfs import MountedGuest
from v2x.convert.interface import Remark


def nothing_found(guest: MountedGuest) -> Iterator[Remark]:
    """Why no operating system was found, as far as it can be told; such a guest is copied as it is."""
    told = [*locked_disks(guest), *_others(guest)]
    if not told:
        yield Remark(
            text="no operating system was found on the disks",
            remedy="see to its drivers and names in the guest; it is copied as it is",
        )
    yield from told


def locked_disks(guest: MountedGuest) -> Iterator[Remark]:
    """The volumes that were not opened."""
    if guest.locked:
        yield Remark(
            text=f"{', '.join(guest.locked)}: encrypted with LUKS and not opened, so nothing there was looked at",
            remedy="give its passphrase with --luks-key-file (for a batch, luks_key_files in [guest] of v2x.toml), or "
            "see to its drivers and names in the guest",
        )


def _others(guest: MountedGuest) -> Iterator[Remark]:
    pools = [device for device, kind in guest.kinds.items() if kind == "zfs_member"]
    if pools:
        yield Remark(
            text=f"{', '.join(pools)}: a pool of ZFS, which cannot be looked into, so the guest is copied as it is",
            remedy="have xen-blkfront and nvme in its initial RAM disk before the migration",
        )
