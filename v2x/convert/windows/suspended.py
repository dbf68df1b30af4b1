# SPDX-License-Identifier: Apache-2.0
"""Opening a BitLocker volume whose protection is suspended: its key lies in its metadata, protected by nothing.

cryptsetup opens volumes by a recovery key, and none that has such a key without protection. So it is shown, for the
moment of opening, metadata in which that key is protected by a recovery key made up here; the volume's own metadata is
put back at once, so that Windows finds its protection suspended as it left it.
"""

import hashlib
import secrets
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from v2x.convert.windows.bitlocker import CLEAR, FIRST_ENTRY, Entry, entries_of, is_protector, protection_of
from v2x.secrets import Secret

_GROUPS = 8
_ROUNDS = 1 << 20
_NESTED_AT = 36
_STRETCHED, _SEALED, _PLAIN = 3, 5, 1
_CCM = 0x1000
_RECOVERY = 0x0800
_TAG_BYTES, _NONCE_BYTES = 16, 12


@dataclass(frozen=True, slots=True)
class Opening:
    """A recovery key, and a block of metadata for which it is one."""

    key: Secret
    block: bytes


def opening_of(block: bytes) -> Opening | None:
    """What opens the volume with this metadata; None where it is not suspended, or not as it is known to be."""
    entries = entries_of(block)
    if entries is None:
        return None
    clear = next((one for one in entries if is_protector(one) and protection_of(one) == CLEAR), None)
    master = _master_key(clear) if clear is not None else None
    if clear is None or master is None:
        return None
    numbers = [secrets.randbelow(1 << 16) for _ in range(_GROUPS)]
    salt = secrets.token_bytes(16)
    sealing = _sealed(_stretched(numbers, salt), master)
    nested = _entry(0, _STRETCHED, struct.pack("<I", _CCM) + salt) + _entry(0, _SEALED, sealing)
    about = clear.data[: _NESTED_AT - 8 - 2] + struct.pack("<H", _RECOVERY)
    made = Entry(kind=clear.kind, value=clear.value, version=clear.version, data=about + nested)
    kept = [one for one in entries if one is not clear]
    text = "-".join(f"{11 * number:06}" for number in numbers)
    return Opening(Secret(text), _rebuilt(block, [*kept, made]))


def _master_key(clear: Entry) -> bytes | None:
    """The sealed key's plain bytes, with its own header, opened by the key that stands beside it."""
    nested = entries_of(clear.data, _NESTED_AT - 8, len(clear.data)) or []
    keys = [one.data[4:] for one in nested if one.value == _PLAIN]
    sealed = [one.data for one in nested if one.value == _SEALED]
    if len(keys) != 1 or len(sealed) != 1 or len(keys[0]) != 32 or len(sealed[0]) <= _NONCE_BYTES + _TAG_BYTES:
        return None
    nonce, rest = sealed[0][:_NONCE_BYTES], sealed[0][_NONCE_BYTES:]
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESCCM

    try:
        return AESCCM(keys[0], tag_length=_TAG_BYTES).decrypt(nonce, rest[_TAG_BYTES:] + rest[:_TAG_BYTES], None)
    except InvalidTag:
        return None


def _sealed(with_key: bytes, plain: bytes) -> bytes:
    """Nonce, tag, ciphertext."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    from cryptography.hazmat.primitives.ciphers.aead import AESCCM

    done = AESCCM(with_key, tag_length=_TAG_BYTES).encrypt(nonce, plain, None)
    return nonce + done[-_TAG_BYTES:] + done[:-_TAG_BYTES]


def _stretched(numbers: Sequence[int], salt: bytes) -> bytes:
    first, last = hashlib.sha256(struct.pack("<8H", *numbers)).digest(), bytes(32)
    for count in range(_ROUNDS):
        last = hashlib.sha256(last + first + salt + struct.pack("<Q", count)).digest()
    return last


def _entry(kind: int, value: int, data: bytes) -> bytes:
    return struct.pack("<HHHH", len(data) + 8, kind, value, 1) + data


def _rebuilt(block: bytes, entries: Sequence[Entry]) -> bytes:
    """The block with these entries: its sizes, and the checksum behind it, are made anew."""
    body = b"".join(
        struct.pack("<HHHH", len(one.data) + 8, one.kind, one.value, one.version) + one.data for one in entries
    )
    whole = bytearray(block[:FIRST_ENTRY] + body)
    length = 48 + len(body)
    struct.pack_into("<I", whole, 64, length)
    struct.pack_into("<I", whole, 76, length)
    units = (len(whole) + 15) // 16
    struct.pack_into("<H", whole, 8, units)
    padded = bytes(whole).ljust(units * 16, b"\0")
    return (padded + struct.pack("<HHI", 8, 1, zlib.crc32(padded))).ljust(len(block), b"\0")[: len(block)]
