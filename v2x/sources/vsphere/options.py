# SPDX-License-Identifier: Apache-2.0
"""What a user may choose about a vSphere source. Imports no pyVmomi, so that `--help` is quick."""

from collections.abc import Callable
from dataclasses import dataclass, field

from v2x.sources.vsphere.transports.options import TransportOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class VsphereOptions:
    """`quiesce` asks the guest to write everything out before a snapshot. `progress` takes how many machines were
    listed since its last call, and 0 at the end. `proxy` is HOST:PORT of an HTTP proxy, empty for none.
    """

    quiesce: bool = False
    proxy: str = ""
    transport: TransportOptions = field(default_factory=TransportOptions)
    progress: Callable[[int], None] | None = None
