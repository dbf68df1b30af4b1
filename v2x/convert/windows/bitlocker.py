# SPDX-License-Identifier: Apache-2.0
"""BitLocker: what protects a volume, read from its own metadata, and whether it can start on other hardware.

The layout is that of libbde's documentation and of cryptsetup: a boot sector with the signature -FVE-FS- at 3, three
offsets of metadata blocks at 176 (Windows 7 and later), and in each block entries from byte 112 on. Nothing here
decrypts.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from v2x.convert.interface import Refusal, Remark
from v2x.errors import TargetError

SIGNATURE = b"-FVE-FS-"
BLOCK_BYTES = 1 << 16
FIRST_ENTRY = 112
CLEAR = 0x0000
_OFFSETS_AT = 176
_KEY_ENTRY, _KEY_VALUE = 2, 8
_TPM = 0x0100
_PROTECTORS = {
    0x0000: "none: it is suspended",
    0x0100: "TPM",
    0x0200: "startup key",
    0x0500: "TPM and PIN",
    0x0800: "recovery password",
    0x1000: "certificate",
    0x2000: "password",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """A volume's protectors by their numbers; None where its metadata cannot be read.

    One of them without any secret (0) is what suspending adds: whoever has the disk can read it, and so can Windows.
    """

    device: str
    protectors: frozenset[int] | None

    @property
    def suspended(self) -> bool:
        return self.protectors is not None and CLEAR in self.protectors

    @property
    def sealed(self) -> bool:
        """Whether a TPM opens it, alone or with something else: what only a volume with a system has."""
        return self.protectors is not None and any(one & _TPM for one in self.protectors)

    @property
    def shown(self) -> str:
        if self.protectors is None:
            return "unknown"
        return ", ".join(_PROTECTORS.get(one, f"kind {one:#06x}") for one in sorted(self.protectors)) or "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Of a block of metadata, or of what is nested in one of its entries."""

    kind: int
    value: int
    version: int
    data: bytes


def protection(device: str, read: Callable[[int, int], bytes]) -> Protection:
    """What `read` (offset, count) of the volume tells. Never fails: what is damaged is unknown."""
    for _, block in metadata_blocks(read):
        entries = entries_of(block)
        if entries is not None and all(len(one.data) >= 28 for one in entries if is_protector(one)):
            found = frozenset(protection_of(one) for one in entries if is_protector(one))
            return Protection(device=device, protectors=found)
    return Protection(device=device, protectors=None)


def metadata_blocks(read: Callable[[int, int], bytes]) -> Iterator[tuple[int, bytes]]:
    """Offset and bytes of each of the three copies, as far as they can be read."""
    head = read(0, 512)
    if len(head) < 512 or head[3:11] != SIGNATURE:
        return
    for offset in dict.fromkeys(struct.unpack_from("<3Q", head, _OFFSETS_AT)):
        if not 512 <= offset < 1 << 63:
            continue
        try:
            block = read(offset, BLOCK_BYTES)
        except TargetError:  # beyond the end of a damaged volume
            continue
        if len(block) >= FIRST_ENTRY and block[:8] == SIGNATURE:
            yield offset, block


def entries_of(block: bytes, at: int = FIRST_ENTRY, end: int | None = None) -> list[Entry] | None:
    """All entries; None for what contradicts itself. Each has its size, type, value type and version (2 bytes each)."""
    if end is None:
        end = 64 + struct.unpack_from("<I", block, 64)[0]
    found: list[Entry] = []
    if end > len(block):
        return None
    while at + 8 <= end:
        size, kind, value, version = struct.unpack_from("<HHHH", block, at)
        if size < 8 or at + size > end:
            return None
        found.append(Entry(kind=kind, value=value, version=version, data=block[at + 8 : at + size]))
        at += size
    return found


def is_protector(entry: Entry) -> bool:
    """Whether it holds the volume's master key, protected by something."""
    return entry.kind == _KEY_ENTRY and entry.value == _KEY_VALUE


def protection_of(entry: Entry) -> int:
    """By what: after the protector's id (16 bytes), its time (8) and two more."""
    return int(struct.unpack_from("<H", entry.data, 26)[0]) if len(entry.data) >= 28 else -1


def judged(volume: Protection, *, unlocked: bool, confirmed: bool) -> Refusal | Remark:
    """A system sealed to a TPM may only move suspended, or with its recovery key; anything else asks for its key."""
    named = f"BitLocker protects {volume.device} ({volume.shown})"
    if volume.suspended and not unlocked:
        return Remark(
            text=f"{named}; protection is suspended, so that it starts, but it could not be opened to look into it",
            remedy="see that storahci, stornvme, atapi, intelide start at boot in the guest, and have its key at hand",
        )
    if volume.suspended:
        return Remark(
            text=f"{named}; protection is suspended, and the first boot switches it on again if there is a TPM",
            remedy="if it was suspended for one restart only, suspend it with manage-bde -protectors -disable C: -rc 0",
        )
    if unlocked:
        return Remark(
            text=f"{named}; it was opened with the recovery key",
            remedy="Windows will ask for that key at its first boot, on the console; have it there",
        )
    if volume.protectors is None and confirmed:
        return Remark(
            text=f"{named}, which the disk does not tell; you said that it is suspended",
            remedy="have its recovery key at hand for the first boot",
        )
    if volume.sealed or volume.protectors is None:
        return Refusal(
            code="WINDOWS-BITLOCKER",
            text=f"{named}, and protection is not suspended: without the old TPM it would not start",
            remedy="run manage-bde -protectors -disable C: -rc 0 at the source and shut down, or give the recovery key "
            "(--bitlocker-key-file; for a batch, bitlocker_key_files in [guest] of v2x.toml)",
        )
    return Remark(
        text=f"{named}; nothing in it was looked at",
        remedy="have its key at hand; a volume with data is unlocked in the guest",
    )
