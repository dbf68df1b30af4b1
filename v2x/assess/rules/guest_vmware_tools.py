# SPDX-License-Identifier: Apache-2.0
"""VMware Tools are installed."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import ASK_THE_GUEST
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity
from v2x.model.machine import ToolsState


def check(context: Context) -> Iterator[Said]:
    tools = context.machine.guest.tools
    if tools in (ToolsState.RUNNING, ToolsState.INSTALLED) and not context.estate.from_hyperv:
        yield Remark("VMware Tools are running." if tools is ToolsState.RUNNING else "VMware Tools are installed.")
    elif tools is ToolsState.UNKNOWN and not context.estate.from_hyperv:
        yield Unknown("The source does not tell whether VMware Tools are installed.", ASK_THE_GUEST)


RULE = MachineRule(
    id="guest.vmware-tools",
    severity=Severity.INFO,
    label="VMware Tools are of no use on XCP-ng",
    remedy="Remove VMware Tools, best before the move, and install the XCP-ng guest tools after it.",
    source="XCP-ng documentation, migrate to XCP-ng",
    check=check,
)
