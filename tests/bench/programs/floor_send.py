# SPDX-License-Identifier: Apache-2.0
"""The floor of sending: BYTES to the sink by sendall of one 2 MiB buffer. `floor_send.py [tls:]PORT BYTES`."""

import os
import sys
import time

from tests.bench.programs.outlet import outlet

PIECE_BYTES = 2 << 20

count = int(sys.argv[2])
began = time.monotonic()
piece = memoryview(os.urandom(PIECE_BYTES))
with outlet(sys.argv[1], count) as connection:
    left = count
    while left:
        connection.sendall(piece[: min(left, PIECE_BYTES)])
        left -= min(left, PIECE_BYTES)
print(f'{{"bytes": {count}, "work_s": {time.monotonic() - began}}}')
