# SPDX-License-Identifier: Apache-2.0
"""What the bench's own senders share: a connection to the sink, plain or by TLS."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def outlet(place: str, length: int) -> Iterator[socket.socket]:
    """A connection for `length` bytes to PORT or tls:PORT on this machine; the sink must have got all at the end."""
    kind, _, port = place.rpartition(":")
    with socket.create_connection(("127.0.0.1", int(port))) as plain:
        connection = _trusting().wrap_socket(plain) if kind == "tls" else plain
        connection.sendall(length.to_bytes(8, "big"))
        yield connection
        received = int.from_bytes(connection.recv(8), "big")
        connection.close()
    assert received == length, f"{received} of {length} bytes came through"


def _trusting() -> ssl.SSLContext:
    """For loopback only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
