# SPDX-License-Identifier: Apache-2.0
"""VMware Tools are installed."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.machine import ToolsState


def check(context: Context) -> Iterator[Remark]:
    tools = context.machine.guest.tools
    if tools in (ToolsState.RUNNING, ToolsState.INSTALLED) and context.estate.inventory.source.kind != "hyperv":
        yield Remark("VMware Tools are running." if tools is ToolsState.RUNNING else "VMware Tools are installed.")


RULE = MachineRule(
    id="guest.vmware-tools",
    severity=Severity.INFO,
    label="VMware Tools are of no use on XCP-ng",
    remedy="Remove VMware Tools, best before the move, and install the XCP-ng guest tools after it.",
    source="XCP-ng documentation, migrate to XCP-ng",
    check=check,
)
