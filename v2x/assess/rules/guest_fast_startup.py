# SPDX-License-Identifier: Apache-2.0
"""Fast Startup."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.guest import is_windows_client, shown_name
from v2x.assess.rule import MachineRule, Remark, Said
from v2x.assess.unknowns import SYSTEM
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    if is_windows_client(context.machine.guest):
        yield Remark(f"{shown_name(context.machine.guest)} does so by default.")
    elif not shown_name(context.machine.guest):
        yield SYSTEM


RULE = MachineRule(
    id="guest.fast-startup",
    severity=Severity.WARNING,
    label="Windows may be hibernated rather than shut down",
    remedy=(
        "Shut down with shutdown /s /t 0, or turn Fast Startup off (powercfg /h off), before the move: a "
        "hibernated system meets new hardware badly."
    ),
    source="Microsoft: Fast Startup is on by default in Windows 8 to 11; virt-v2v refuses such disks",
    check=check,
)
