# SPDX-License-Identifier: Apache-2.0
"""The floor of streamOptimized: its grains read front to back and inflated by two threads, thrown away.

`floor_inflate.py VMDK`. No tables, no order, no checks: what inflating alone costs.
"""

import json
import os
import struct
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import deflate

THREADS = 2
BATCH_BYTES = 1 << 20
SECTOR = 512
GRAIN_BYTES = 64 << 10
MARKER = struct.Struct("<QI")
TABLE = 1
SLACK = 128 << 10


def inflated(grains: list[memoryview]) -> int:
    return sum(len(deflate.zlib_decompress(grain, GRAIN_BYTES)) for grain in grains)


def batches(fd: int, at: int, end: int):
    while at < end:
        window = memoryview(os.pread(fd, BATCH_BYTES + SLACK, at))
        grains, inside = [], 0
        while inside < BATCH_BYTES and at + inside < end:
            number, size = MARKER.unpack_from(window, inside)
            if size == 0:
                kind = window[inside + 12]
                if kind != TABLE:
                    end = 0
                    break
                inside += SECTOR * (1 + number)
                continue
            grains.append(window[inside + MARKER.size : inside + MARKER.size + size])
            inside += -(-(MARKER.size + size) // SECTOR) * SECTOR
        at += inside
        yield grains


began = time.monotonic()
with Path(sys.argv[1]).open("rb") as file, ThreadPoolExecutor(THREADS) as pool:
    header = file.read(SECTOR)
    first = struct.unpack_from("<Q", header, 64)[0] * SECTOR
    waiting, count = [], 0
    for grains in batches(file.fileno(), first, os.fstat(file.fileno()).st_size):
        waiting.append(pool.submit(inflated, grains))
        if len(waiting) > 4:
            count += waiting.pop(0).result()
    count += sum(future.result() for future in waiting)
print(json.dumps({"bytes": count, "work_s": time.monotonic() - began}))
