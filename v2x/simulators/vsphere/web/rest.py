# SPDX-License-Identifier: Apache-2.0
"""The REST API: sessions and tags, under /rest with wrapped values and, since 7.0 U2, under /api without."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from v2x.simulators.vsphere.web.connection import Connection


def serve(connection: "Connection") -> None:
    connection.page(404, "404 Not Found")
