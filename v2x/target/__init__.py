# SPDX-License-Identifier: Apache-2.0
"""Where machines go. A target is one file or folder and one line in `TARGETS`; its modules load when it is opened."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from v2x.secrets import Secret
    from v2x.target.interface import Target
    from v2x.target.xapi.pool import XapiTarget
    from v2x.target.xva import XvaTarget
    from v2x.tls import Trust


def open_xapi(host: str, port: int, user: str, password: "Secret", trust: "Trust", **options: Any) -> "XapiTarget":
    """A pool by its coordinator's address; `options` are those of XapiTarget. Nothing is sent before it is entered."""
    from v2x.target.xapi.pool import XapiTarget

    return XapiTarget(host, port, user, password, trust, **options)


def open_xva(folder: str | Path, **options: Any) -> "XvaTarget":
    """A folder that takes one importable XVA file per machine; `options` are those of XvaTarget."""
    from v2x.target.xva import XvaTarget

    return XvaTarget(folder, **options)


TARGETS: dict[str, Callable[..., "Target"]] = {
    "xapi": open_xapi,
    "xva": open_xva,
}
