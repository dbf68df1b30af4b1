# SPDX-License-Identifier: Apache-2.0
"""The second half of stage-then-send: a file to the sink at PORT by sendfile. `file_send.py PORT FILE`."""

import os
import socket
import sys
import time
from pathlib import Path

began = time.monotonic()
with Path(sys.argv[2]).open("rb") as file, socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:
    count = os.fstat(file.fileno()).st_size
    connection.sendfile(file)
    connection.shutdown(socket.SHUT_WR)
    received = int.from_bytes(connection.recv(8, socket.MSG_WAITALL), "big")
assert received == count
print(f'{{"bytes": {count}, "work_s": {time.monotonic() - began}}}')
