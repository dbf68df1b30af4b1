# SPDX-License-Identifier: Apache-2.0
"""`/nfc/<lease>/<disk>`: the disks of a lease as streamOptimized VMDK, in chunks and without a length."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from v2x.simulators.vsphere.web.connection import Connection


def serve(connection: "Connection") -> None:
    connection.page(404, "404 Not Found")
