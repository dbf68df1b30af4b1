# SPDX-License-Identifier: Apache-2.0
"""A TCP receiver that throws everything away; prints its port. Each sender gets the count of its bytes at the end."""

import socket

BUFFER_BYTES = 2 << 20

with socket.socket() as listening:
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    print(listening.getsockname()[1], flush=True)
    buffer = bytearray(BUFFER_BYTES)
    while True:
        connection, _ = listening.accept()
        with connection:
            count = 0
            while got := connection.recv_into(buffer):
                count += got
            connection.sendall(count.to_bytes(8, "big"))
