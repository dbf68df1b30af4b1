# SPDX-License-Identifier: Apache-2.0
"""The floor of writing a file: BYTES of one 2 MiB buffer into FILE. `floor_write.py FILE BYTES`."""

import os
import sys
import time
from pathlib import Path

PIECE_BYTES = 2 << 20

began = time.monotonic()
count = left = int(sys.argv[2])
piece = memoryview(os.urandom(PIECE_BYTES))
with Path(sys.argv[1]).open("wb", buffering=0) as file:
    while left:
        left -= file.write(piece[: min(left, PIECE_BYTES)])
print(f'{{"bytes": {count}, "work_s": {time.monotonic() - began}}}')
