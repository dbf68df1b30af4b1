# SPDX-License-Identifier: Apache-2.0
"""The HTTP handlers by method and path."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from v2x.simulators.xapi.transfer import export_vdi, export_xva, import_metadata, import_vdi, import_xva
from v2x.simulators.xapi.transfer.request import Request

if TYPE_CHECKING:
    from v2x.simulators.xapi.transfer.connection import Connection

HttpHandler = Callable[["Connection", Request], None]
_HANDLERS: dict[tuple[str, str], HttpHandler] = {
    ("PUT", "/import_raw_vdi"): import_vdi.handle,
    ("PUT", "/import"): import_xva.handle,
    ("PUT", "/import_metadata"): import_metadata.handle,
    ("GET", "/export_raw_vdi"): export_vdi.handle,
    ("GET", "/export"): export_xva.handle,
    ("GET", "/export_metadata"): export_xva.handle_metadata,
}


def find(method: str, path: str) -> HttpHandler | None:
    """The handler; a slash behind the path is let pass, as real servers take it from Xen Orchestra."""
    return _HANDLERS.get((method, path.rstrip("/")))
