# SPDX-License-Identifier: Apache-2.0
"""The floor of sending: BYTES to the sink at PORT by sendall of one 2 MiB buffer. `floor_send.py PORT BYTES`."""

import os
import socket
import sys
import time

PIECE_BYTES = 2 << 20

port, count = int(sys.argv[1]), int(sys.argv[2])
began = time.monotonic()
piece = memoryview(os.urandom(PIECE_BYTES))
with socket.create_connection(("127.0.0.1", port)) as connection:
    left = count
    while left:
        connection.sendall(piece[: min(left, PIECE_BYTES)])
        left -= min(left, PIECE_BYTES)
    connection.shutdown(socket.SHUT_WR)
    received = int.from_bytes(connection.recv(8, socket.MSG_WAITALL), "big")
assert received == count
print(f'{{"bytes": {count}, "work_s": {time.monotonic() - began}}}')
