# SPDX-License-Identifier: Apache-2.0
"""Tools that do not run."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import ASK_THE_GUEST
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity
from v2x.model.machine import PowerState, ToolsState


def check(context: Context) -> Iterator[Said]:
    machine = context.machine
    if machine.power_state is not PowerState.ON:
        return
    if machine.guest.tools in (ToolsState.INSTALLED, ToolsState.MISSING):
        yield Remark("The machine is running, its tools are not.")
    elif machine.guest.tools is ToolsState.UNKNOWN:
        yield Unknown("Whether tools run in the guest is not known.", ASK_THE_GUEST)


RULE = MachineRule(
    id="guest.tools-not-running",
    severity=Severity.WARNING,
    label="The tools of the source do not run in the guest",
    remedy=(
        "Start or repair them, or shut the guest down by hand: without them a clean shutdown is not sure, and "
        "addresses are not known."
    ),
    source="VMware Tools and Hyper-V integration services; Forklift: guest tools of a powered-on machine",
    sources=frozenset({"hyperv", "rvtools", "vsphere"}),
    check=check,
)
