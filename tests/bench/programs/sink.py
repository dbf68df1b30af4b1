# SPDX-License-Identifier: Apache-2.0
"""A receiver that throws everything away; prints its port. Each sender gets the count of its bytes at the end.

`sink.py [FOLDER]`: with a folder, it speaks TLS 1.3 by a certificate of its own that is made there.
"""

import socket
import ssl
import sys
import threading
from pathlib import Path

BUFFER_BYTES = 2 << 20


def context():
    from v2x.simulators.certificate import certificate_of

    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate_of(Path(sys.argv[1]), "sink"))
    return made


def receive(connection):
    with connection:
        buffer, count = bytearray(BUFFER_BYTES), 0
        wanted = int.from_bytes(connection.recv(8), "big")
        while count < wanted and (got := connection.recv_into(buffer)):
            count += got
        connection.sendall(count.to_bytes(8, "big"))
        connection.recv(1)


with socket.socket() as listening:
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    tls = context() if len(sys.argv) > 1 else None
    print(listening.getsockname()[1], flush=True)
    while True:
        connection, _ = listening.accept()
        if tls is not None:
            connection = tls.wrap_socket(connection, server_side=True)
        threading.Thread(target=receive, args=(connection,), daemon=True).start()
