# SPDX-License-Identifier: Apache-2.0
"""Raw streams: a plain copy from offset 0, and the chunked form (xapi: vhd-tool chunked.ml)."""

import struct

from v2x.simulators.xapi.failure import StreamBroken
from v2x.simulators.xapi.transfer.body import BUFFER_BYTES, Body, Progress, Write

_CHUNK_LIMIT = 2**31
_SECTOR = 512


def receive(body: Body, write: Write, device_size: int, progress: Progress) -> None:
    """Content-Length bytes, or as many as the device holds; zeros are written like anything else."""
    total = body.length if body.length is not None else device_size
    view = memoryview(bytearray(BUFFER_BYTES))
    done = 0
    while done < total:
        part = view[: min(len(view), total - done)]
        body.read_into(part)
        write(part, done)
        done += len(part)
        if body.length is not None:
            progress(done / total)


def receive_chunked(body: Body, write: Write) -> None:
    """Chunks of (offset, length, data) in any order until twelve zero bytes."""
    view = memoryview(bytearray(BUFFER_BYTES))
    while True:
        offset, length = struct.unpack("<QI", body.read(12))
        if offset == 0 and length == 0:
            return
        if length >= _CHUNK_LIMIT:
            raise StreamBroken(f"chunk of {length} bytes")
        if offset % _SECTOR or length % _SECTOR:
            raise StreamBroken(f"chunk at {offset} of {length} bytes is not aligned to {_SECTOR}")
        while length:
            part = view[: min(len(view), length)]
            body.read_into(part)
            write(part, offset)
            offset, length = offset + len(part), length - len(part)
