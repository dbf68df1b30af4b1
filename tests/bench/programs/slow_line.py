# SPDX-License-Identifier: Apache-2.0
"""A line of 1 Gbit/s with a round trip, to a port of this machine: `slow_line.py PORT SECONDS [SOCKET]`.

It listens at a port of its own, which it prints, or at the Unix socket.

What comes in is let out when its turn on the line has come, and half the round trip later. All connections share the
line, each direction for itself. A connection's buffers hold what a line holds, and no more than 64 MiB.
"""

import queue
import socket
import sys
import threading
import time

BYTES_PER_SECOND = 125e6
_PIECE_BYTES = 64 << 10
_HELD_PIECES = 1024


class Line:
    """One direction: says when a piece has passed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free_at = 0.0

    def passed(self, length: int) -> float:
        with self._lock:
            self._free_at = max(time.monotonic(), self._free_at) + length / BYTES_PER_SECOND
            return self._free_at


def carry(source: socket.socket, target: socket.socket, line: Line, delay: float) -> None:
    held: queue.Queue[tuple[float, bytes]] = queue.Queue(_HELD_PIECES)

    def let_out() -> None:
        while True:
            due, piece = held.get()
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                if not piece:
                    target.shutdown(socket.SHUT_WR)
                    return
                target.sendall(piece)
            except OSError:
                return

    threading.Thread(target=let_out, daemon=True).start()
    piece = b"-"
    while piece:
        try:
            piece = source.recv(_PIECE_BYTES)
        except OSError:
            piece = b""
        held.put((line.passed(len(piece)) + delay, piece))


def main(port: int, round_trip: float, path: str = "") -> None:
    there, back = Line(), Line()
    with socket.socket(socket.AF_UNIX if path else socket.AF_INET) as listening:
        listening.bind(path or ("127.0.0.1", 0))
        listening.listen()
        print(path or listening.getsockname()[1], flush=True)
        while True:
            near, _ = listening.accept()
            far = socket.create_connection(("127.0.0.1", port))
            for one in (near, far):
                if one.family == socket.AF_INET:
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=carry, args=(near, far, there, round_trip / 2), daemon=True).start()
            threading.Thread(target=carry, args=(far, near, back, round_trip / 2), daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), *sys.argv[3:])
