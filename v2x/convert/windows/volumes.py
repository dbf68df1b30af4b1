# SPDX-License-Identifier: Apache-2.0
"""The volumes of a mounted guest that BitLocker protects: what protects them, and opening them."""

from collections.abc import Callable, Sequence

from v2x.convert.guestfs import MountedGuest
from v2x.convert.windows.bitlocker import Protection, metadata_blocks, protection
from v2x.convert.windows.suspended import opening_of
from v2x.errors import InputRefused, TargetError
from v2x.secrets import Secret

Read = Callable[[int, int], bytes]


def protected_volumes(guest: MountedGuest, keys: Sequence[Secret]) -> list[tuple[Protection, bool]]:
    """Each volume, and whether it was opened, by one of the keys or because its protection is suspended; the guest is
    mounted anew where one was.

    InputRefused BITLOCKER-KEY where keys were given, a volume needs one, and none of them opens anything.
    """
    found = []
    for device in [device for device, kind in guest.kinds.items() if kind == "BitLocker"]:

        def read(offset: int, count: int, device: str = device) -> bytes:
            return guest.device(device, offset, count)

        about = protection(device, read)
        opened = _opened_suspended(guest, device, read) if about.suspended else _opened(guest, device, keys)
        found.append((about, opened))
    locked = [about.device for about, opened in found if not about.suspended and not opened]
    if keys and locked and not any(opened for about, opened in found if not about.suspended):
        raise InputRefused(
            f"no recovery key that was given opens {', '.join(locked)}",
            hint="it has 48 digits, in eight groups with dashes; manage-bde -protectors -get C: shows it",
            code="BITLOCKER-KEY",
        )
    return found


def _opened(guest: MountedGuest, device: str, keys: Sequence[Secret]) -> bool:
    for key in keys:
        try:
            guest.unlock(device, key)
        except TargetError:
            continue
        return True
    return False


def _opened_suspended(guest: MountedGuest, device: str, read: Read) -> bool:
    """Shows other metadata for as long as the volume is opened; on an overlay, or on one that is thrown away."""
    blocks = list(metadata_blocks(read))
    opening = opening_of(blocks[0][1]) if blocks else None
    if opening is None:
        return False
    try:
        for offset, _ in blocks:
            guest.write_device(device, offset, opening.block)
        return _opened(guest, device, [opening.key])
    finally:
        for offset, block in blocks:
            guest.write_device(device, offset, block)
