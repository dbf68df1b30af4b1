# SPDX-License-Identifier: Apache-2.0
"""Bytes of files and disks on their way out: throttled, counted, cut where a fault wants it."""

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from v2x.simulators.vsphere.ledger import Transfer

if TYPE_CHECKING:
    from v2x.simulators.vsphere.web.connection import Connection


def pour(
    connection: "Connection",
    pieces: Iterable[bytes],
    transfer: Transfer,
    *,
    rate: int,
    framed: Callable[[bytes], bytes] = bytes,
    alive: Callable[[int], str] = lambda _sent: "",
) -> bool:
    """Sends `pieces`, each `framed`; False and a cut connection when it must end early.

    `alive` is told what was sent and says why the transfer must end, or "". `rate` is bytes per second.
    """
    ledger, state = connection.state.ledger, connection.state
    cut = state.faults.take("cut", transfer.kind)
    started = time.monotonic()
    outcome = "lost"
    try:
        for piece in pieces:
            end = alive(transfer.sent_bytes) or ("stopped" if state.stopping.is_set() else "")
            if end:
                outcome = end
                return False
            part = piece
            if cut is not None and transfer.sent_bytes + len(piece) > cut.at:
                part = piece[: max(0, cut.at - transfer.sent_bytes)]
            if part:
                connection.wfile.write(framed(part))
                transfer.sent_bytes += len(part)
            if len(part) < len(piece):
                outcome = "cut"
                return False
            if rate:
                ahead = transfer.sent_bytes / rate - (time.monotonic() - started)
                if ahead > 0:
                    connection.wfile.flush()
                    state.stopping.wait(ahead)
        connection.wfile.flush()
        outcome = "done"
        return True
    finally:
        ledger.close_transfer(transfer, outcome)
        if outcome not in ("done", "lost"):
            connection.cut()
