# SPDX-License-Identifier: Apache-2.0
"""Hyper-V integration in the guest."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import ASK_THE_GUEST
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity
from v2x.model.machine import ToolsState


def check(context: Context) -> Iterator[Said]:
    if context.machine.guest.tools in (ToolsState.RUNNING, ToolsState.INSTALLED):
        yield Remark("They are installed.")
    elif context.machine.guest.tools is ToolsState.UNKNOWN:
        yield Unknown("Whether integration services are installed is not known.", ASK_THE_GUEST)


RULE = MachineRule(
    id="guest.integration-services",
    severity=Severity.INFO,
    label="Hyper-V integration services are of no use on XCP-ng",
    remedy=(
        "On Linux remove hyperv-daemons or LIS packages after the move; in Windows they are part of the system and "
        "stay idle. Install the XCP-ng guest tools."
    ),
    source="XCP-ng documentation, migrate to XCP-ng: from Hyper-V",
    sources=frozenset({"hyperv"}),
    check=check,
)
