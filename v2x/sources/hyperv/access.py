# SPDX-License-Identifier: Apache-2.0
"""How the network shares of a Hyper-V host are reached. Loads nothing that speaks to them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from v2x.disks.smb.paths import SMB_PORT, Authentication, ShareRule
from v2x.errors import LoginError
from v2x.secrets import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareOptions:
    """How the host's files are reached. `password` is asked for only when a file is; None takes a Kerberos ticket.

    `rules` say where folders of the host are found, each as --share takes it. `refusals` are shared by all sources of a
    run, so that a password that was refused is not tried again for each machine.
    """

    user: str = ""
    password: Callable[[], Secret] | None = None
    rules: tuple[ShareRule, ...] = ()
    port: int = SMB_PORT
    encryption: bool = True
    authentication: Authentication = "negotiate"
    timeout_seconds: float = 60.0
    refusals: dict[tuple[str, int], LoginError] = field(default_factory=dict)
