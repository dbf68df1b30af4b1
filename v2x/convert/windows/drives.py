# SPDX-License-Identifier: Apache-2.0
"""Drive letters: Windows ties them to disks' own identities, so that they survive as soon as the disks are online."""

import struct
import uuid
from dataclasses import dataclass

from v2x.convert.registry import Hive
from v2x.convert.windows.view import WindowsView

_PREFIX = "\\DosDevices\\"
_GPT = b"DMIO:ID:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A drive letter and the partition it is for: a GPT partition's own `guid`, or an MBR disk's `signature` and the
    partition's `offset_bytes`."""

    letter: str
    guid: str = ""
    signature: int = 0
    offset_bytes: int = 0


def letters(view: WindowsView) -> list[Letter]:
    """As mountmgr keeps them in MountedDevices; CD drives and floppies are left out.

    Of an MBR disk, the value is its signature (4 bytes) and the partition's offset (8); of a GPT disk, `DMIO:ID:` and
    the partition's GUID.
    """
    found = []
    for name, value in (view.registry.values(Hive.SYSTEM, "MountedDevices") or {}).items():
        letter = name.removeprefix(_PREFIX)
        if not name.startswith(_PREFIX) or len(letter) != 2 or letter[1] != ":" or not letter[0].isascii():
            continue
        if not letter[0].isalpha():
            continue
        data = value.data
        if len(data) == 12:
            signature, offset = struct.unpack("<IQ", data)
            found.append(Letter(letter=letter[0].upper(), signature=signature, offset_bytes=offset))
        elif len(data) == 24 and data.startswith(_GPT):
            found.append(Letter(letter=letter[0].upper(), guid=str(uuid.UUID(bytes_le=data[8:]))))
    return sorted(found, key=lambda one: one.letter)
