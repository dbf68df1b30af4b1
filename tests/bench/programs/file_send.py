# SPDX-License-Identifier: Apache-2.0
"""The second half of stage-then-send: a file to the sink, by sendfile where it is not TLS.

`file_send.py [tls:]PORT FILE`.
"""

import os
import sys
import time
from pathlib import Path

from tests.bench.programs.outlet import outlet

PIECE_BYTES = 2 << 20

began = time.monotonic()
with Path(sys.argv[2]).open("rb", buffering=0) as file:
    count = os.fstat(file.fileno()).st_size
    with outlet(sys.argv[1], count) as connection:
        if sys.argv[1].isdigit():
            connection.sendfile(file)
        else:
            buffer = memoryview(bytearray(PIECE_BYTES))
            while got := file.readinto(buffer):
                connection.sendall(buffer[:got])
print(f'{{"bytes": {count}, "work_s": {time.monotonic() - began}}}')
