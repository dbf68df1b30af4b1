# SPDX-License-Identifier: Apache-2.0
"""What an export sends: raw, a dynamic or differencing VHD, or the checksummed chunks of a tar.

Facts: xapi, vhd-tool impl.ml, vhd_format f.ml, stream_vdi.ml, export_raw_vdi.ml.
"""

import hashlib
import struct
import uuid as uuid_module
from collections.abc import Callable

from v2x.simulators.xapi.ledger import BLOCK_BYTES
from v2x.simulators.xapi.transfer.tarball import END, member
from v2x.simulators.xapi.volumes import Volume

Send = Callable[[bytes], None]
_PIECE_BYTES = 1024 * 1024
_SECTOR = 512


def send_raw(volume: Volume, send: Send) -> None:
    for at in range(0, volume.size, _PIECE_BYTES):
        send(volume.read(at, min(_PIECE_BYTES, volume.size - at)))


def _with_checksum(raw: bytearray, at: int) -> bytes:
    struct.pack_into(">I", raw, at, ~sum(raw) & 0xFFFFFFFF)
    return bytes(raw)


def _footer(size: int, kind: int, ident: bytes) -> bytes:
    """Creator `tap`, as the real exporter writes; other readers take current_size from such a footer as it stands."""
    raw = bytearray(_SECTOR)
    struct.pack_into(">8sIIQI4sI4s", raw, 0, b"conectix", 2, 0x00010000, _SECTOR, 0, b"tap\0", 0x00010003, b"\0" * 4)
    struct.pack_into(">QQHBBI", raw, 40, size, size, 65535, 16, 255, kind)
    raw[68:84] = ident
    return _with_checksum(raw, 64)


def data_blocks(volume: Volume, unit: int) -> list[int]:
    """The blocks of `unit` bytes that hold data, ascending."""
    blocks = {n for at, length in volume.data() for n in range(at // unit, -(-(at + length) // unit))}
    return sorted(blocks)


def changed_blocks(volume: Volume, base: Volume | None, unit: int) -> list[int]:
    """The blocks that hold data, or those whose content differs from `base`."""
    if base is None:
        return data_blocks(volume, unit)

    def differs(block: int) -> bool:
        return volume.read(block * unit, unit) != base.read(block * unit, unit)

    return [n for n in sorted({*data_blocks(volume, unit), *data_blocks(base, unit)}) if differs(n)]


def _header(entries: int, parent: str) -> bytes:
    header = bytearray(1024)
    struct.pack_into(">8sQQIII", header, 0, b"cxsparse", 2**64 - 1, 1536, 0x00010000, entries, BLOCK_BYTES)
    if parent:
        header[40:56] = uuid_module.UUID(parent).bytes
        name = f"{parent}.vhd".encode("utf-16-be")
        header[64 : 64 + len(name)] = name
    return _with_checksum(header, 36)


def send_vhd(volume: Volume, send: Send, base: Volume | None = None) -> None:
    """A dynamic VHD of the 2 MiB blocks that hold data; with `base` a differencing one of those that differ."""
    entries = -(-volume.size // BLOCK_BYTES)
    blocks = [n for n in changed_blocks(volume, base, BLOCK_BYTES) if n < entries]
    table = bytearray(b"\xff" * (-(-entries * 4 // _SECTOR) * _SECTOR))
    at = 1536 + len(table)
    for block in blocks:
        struct.pack_into(">I", table, block * 4, at // _SECTOR)
        at += _SECTOR + BLOCK_BYTES
    footer = _footer(volume.size, 3 if base is None else 4, uuid_module.UUID(volume.path.stem).bytes)
    send(footer + _header(entries, base.path.stem if base is not None else "") + bytes(table))
    for block in blocks:
        data = volume.read(block * BLOCK_BYTES, min(BLOCK_BYTES, volume.size - block * BLOCK_BYTES))
        send(b"\xff" * _SECTOR + data.ljust(BLOCK_BYTES, b"\0"))
    send(footer)


def send_tar(volume: Volume, send: Send) -> None:
    """Chunks of 1 MiB with their SHA-1; the first and the last are always there."""
    chunks = -(-volume.size // _PIECE_BYTES)
    for number in range(chunks):
        data = volume.read(number * _PIECE_BYTES, min(_PIECE_BYTES, volume.size - number * _PIECE_BYTES))
        if 0 < number < chunks - 1 and not any(data):
            continue
        name = f"vdi/{number:08d}"
        digest = hashlib.sha1(data, usedforsecurity=False).hexdigest().encode()
        send(member(name, data) + member(f"{name}.checksum", digest))
    send(END)
