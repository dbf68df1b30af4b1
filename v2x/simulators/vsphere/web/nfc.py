# SPDX-License-Identifier: Apache-2.0
"""`/nfc/<ticket>/<disk>`: the disks of a lease as streamOptimized VMDK, in chunks and without a length.

The ticket is the right to read: no cookie is asked for. A host of a vCenter serves its own leases only; the vCenter's
port serves all, as it stands in for a host named `*`.
"""

import hashlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from v2x.errors import UsageError
from v2x.simulators.vsphere import events, leases
from v2x.simulators.vsphere.web.sending import pour

if TYPE_CHECKING:
    from v2x.simulators.vsphere.web.connection import Connection

_KIND = "application/x-vnd.vmware-streamVmdk"


def serve(connection: "Connection") -> None:
    """One request for a disk of a lease."""
    if connection.troubled("nfc"):
        return
    state = connection.state
    parts = unquote(urlsplit(connection.path).path).split("/")[2:]
    lease = leases.by_path(state, parts[0]) if len(parts) == 2 else None
    here = connection.site.host
    if lease is not None and parts[1] == "nvram" and lease.nvram:
        connection.send(200, lease.nvram, "application/octet-stream")
        return
    if lease is None or parts[1] not in lease.files or (here and here != lease.host):
        connection.page(404, "404 Not Found")
        return
    if connection.command not in ("GET", "HEAD"):
        connection.page(405, "405 Method Not Allowed")
        return
    connection.head(200, {"Content-Type": _KIND, "Transfer-Encoding": "chunked"})
    if connection.command == "GET":
        _send(connection, lease, lease.files[parts[1]])


def _send(connection: "Connection", lease: leases.Lease, leased: leases.LeasedDisk) -> None:
    state = connection.state
    digest = hashlib.sha1(usedforsecurity=False)
    transfer = state.ledger.open_transfer("nfc", f"{lease.machine.moid} {leased.key}", "")

    def hashed() -> Iterator[bytes]:
        for piece in leased.stream():
            digest.update(piece)
            yield piece

    done = pour(
        connection,
        hashed(),
        transfer,
        rate=state.settings.nfc_rate,
        framed=lambda piece: b"%x\r\n%b\r\n" % (len(piece), piece),
        alive=_watch(connection, lease),
    )
    if done:
        connection.wfile.write(b"0\r\n\r\n")
        leased.sha1, leased.sent_bytes = digest.hexdigest(), transfer.sent_bytes


def _watch(connection: "Connection", lease: leases.Lease) -> Callable[[int], str]:
    """Says why a transfer must end: the lease is over, the machine has moved, the host is down."""
    state = connection.state
    happenings: list[tuple[Any, Callable[[], object]]] = [
        (state.faults.take("vmotion", lease.machine.moid), lambda: events.vmotion(state, lease.machine)),
        (
            state.faults.take("host_reboot", lease.machine.moid),
            lambda: events.host_down(state, _host(connection, lease)),
        ),
    ]

    def alive(sent: int) -> str:
        for number, (fault, happen) in enumerate(happenings):
            if fault is not None and sent >= fault.at:
                happenings[number] = (None, happen)
                try:
                    happen()
                except UsageError as error:
                    return str(error)
        if lease.moid not in state.leases:
            return "lease over"
        if state.store.value(lease.machine, "runtime").host._moId != lease.host:
            return "moved"
        return "host down" if lease.host in state.closed_hosts else ""

    return alive


def _host(connection: "Connection", lease: leases.Lease) -> Any:
    return connection.state.store.find(lease.host)
