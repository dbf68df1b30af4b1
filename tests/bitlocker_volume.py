# SPDX-License-Identifier: Apache-2.0
"""A BitLocker volume made from its format's description, for tests: AES-XTS 128, with protectors of any kind.

The layout is that of libbde's documentation; cryptsetup, which has nothing of this code, has to open what comes out.
"""

import hashlib
import os
import struct
import zlib
from collections.abc import Sequence
from functools import cache

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

SECTOR = 512
CLEAR, TPM, TPM_PIN, RECOVERY, PASSWORD = 0x0000, 0x0100, 0x0500, 0x0800, 0x2000
BLOCK_BYTES = 1 << 16
HEADER_BYTES = 8192
TAIL_BYTES = 4 * BLOCK_BYTES
"""What a volume is larger than the file system in it: three blocks of metadata, and the first sectors moved away."""

RECOVERY_KEY = "-".join(f"{11 * number:06}" for number in (1111, 2222, 3333, 4444, 5555, 6000, 7000, 65000))
SALT = bytes(range(16))
_XTS_128, _CCM_256 = 0x8004, 0x2003
_GUID = bytes.fromhex("3bd66749292ed84a8399f6a339e3d001")


FVEK = bytes(range(32))
"""The key of all data: known, so that a test can look at what was written."""


def volume(plain: bytes, protectors: Sequence[int] = (TPM, RECOVERY)) -> bytes:
    """`plain` encrypted, with room for the metadata behind it."""
    fvek, vmk = FVEK, os.urandom(32)
    offsets = [len(plain) + number * BLOCK_BYTES for number in range(3)]
    moved = len(plain) + 3 * BLOCK_BYTES
    data = bytearray(len(plain) + TAIL_BYTES)
    data[: len(plain)] = plain
    data[moved : moved + HEADER_BYTES] = plain[:HEADER_BYTES]
    encrypted = bytearray(len(data))
    for at in range(0, len(data), SECTOR):
        tweak = struct.pack("<QQ", at // SECTOR, 0)
        cipher = Cipher(algorithms.AES(fvek), modes.XTS(tweak)).encryptor()
        encrypted[at : at + SECTOR] = cipher.update(bytes(data[at : at + SECTOR]))
    block = metadata(len(data), offsets, moved, protectors, fvek, vmk)
    for offset in offsets:
        encrypted[offset : offset + BLOCK_BYTES] = block.ljust(BLOCK_BYTES, b"\0")
    encrypted[:HEADER_BYTES] = boot_sector(offsets).ljust(HEADER_BYTES, b"\0")
    return bytes(encrypted)


def plain_of(data: bytes) -> bytes:
    """What was encrypted, without the metadata behind it."""
    plain = bytearray(len(data) - TAIL_BYTES)
    moved = len(plain) + 3 * BLOCK_BYTES
    for at in range(0, len(plain), SECTOR):
        there = at + moved if at < HEADER_BYTES else at
        cipher = Cipher(algorithms.AES(FVEK), modes.XTS(struct.pack("<QQ", there // SECTOR, 0))).decryptor()
        plain[at : at + SECTOR] = cipher.update(data[there : there + SECTOR])
    return bytes(plain)


def boot_sector(offsets: Sequence[int]) -> bytes:
    head = bytearray(SECTOR)
    head[:11] = b"\xeb\x58\x90-FVE-FS-"
    struct.pack_into("<HB", head, 11, SECTOR, 8)
    head[160:176] = _GUID
    struct.pack_into("<3Q", head, 176, *offsets)
    head[510:] = b"\x55\xaa"
    return bytes(head)


def metadata(
    size: int, offsets: Sequence[int], moved: int, protectors: Sequence[int], fvek: bytes, vmk: bytes
) -> bytes:
    entries = b"".join(protector(kind, vmk) for kind in protectors)
    entries += entry(3, 5, sealed(vmk, fvek, _XTS_128))
    entries += entry(0x0F, 0x0F, struct.pack("<QQ", moved, HEADER_BYTES))
    length = 48 + len(entries)
    head = b"-FVE-FS-" + struct.pack("<HHHHQII3QQ", 0, 2, 4, 4, size, 0, HEADER_BYTES // SECTOR, *offsets, moved)
    about = struct.pack("<IIII", length, 1, 48, length) + os.urandom(16) + struct.pack("<IHHQ", 1, _XTS_128, 0, 1 << 56)
    whole = bytearray(head + about + entries)
    struct.pack_into("<H", whole, 8, (len(whole) + 15) // 16)
    whole = whole.ljust((len(whole) + 15) // 16 * 16, b"\0")
    return bytes(whole) + struct.pack("<HHI", 8, 1, zlib.crc32(whole))


def entry(kind: int, value: int, data: bytes) -> bytes:
    return struct.pack("<HHHH", len(data) + 8, kind, value, 1) + data


def key(data: bytes, method: int) -> bytes:
    return struct.pack("<HHHHI", len(data) + 12, 0, 1, 1, method) + data


def sealed(with_key: bytes, what: bytes, method: int) -> bytes:
    """A key inside AES-CCM: nonce, tag, ciphertext."""
    nonce = os.urandom(12)
    done = AESCCM(with_key, tag_length=16).encrypt(nonce, key(what, method), None)
    return nonce + done[-16:] + done[:-16]


def protector(kind: int, vmk: bytes) -> bytes:
    inside = b""
    if kind == CLEAR:
        clear = os.urandom(32)
        inside = entry(0, 1, struct.pack("<I", _CCM_256) + clear) + entry(0, 5, sealed(clear, vmk, _CCM_256))
    elif kind in (RECOVERY, PASSWORD):
        salt = SALT
        stretched = entry(0, 3, struct.pack("<I", 0x1000) + salt)
        inside = stretched + entry(0, 5, sealed(stretch(RECOVERY_KEY, salt), vmk, _CCM_256))
    else:
        inside = entry(0, 6, struct.pack("<I", 0) + os.urandom(64))
    return entry(2, 8, os.urandom(16) + struct.pack("<QHH", 1 << 56, 0, kind) + inside)


@cache
def stretch(recovery: str, salt: bytes) -> bytes:
    words = struct.pack("<8H", *(int(group) // 11 for group in recovery.split("-")))
    first, last = hashlib.sha256(words).digest(), bytes(32)
    for count in range(1 << 20):
        last = hashlib.sha256(last + first + salt + struct.pack("<Q", count)).digest()
    return last
