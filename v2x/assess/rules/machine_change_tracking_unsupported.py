# SPDX-License-Identifier: Apache-2.0
"""Hardware too old to track changes."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    if context.machine.change_tracking_supported is False:
        version = context.machine.hardware_version
        yield Remark(f"Virtual hardware {version}." if version else "The source says so.")
    elif context.machine.change_tracking_supported is None:
        yield Unknown("The source does not tell whether the machine can track changes.", LOOK_AT_THE_SOURCE)


RULE = MachineRule(
    id="machine.change-tracking-unsupported",
    severity=Severity.WARNING,
    label="The machine cannot track changes, so it cannot be moved warm",
    remedy=(
        "Move it with the machine off, or upgrade its virtual hardware (vSphere: version 7, Hyper-V: configuration "
        "version 6.2) first."
    ),
    source="vSphere API: VirtualMachineCapability.changeTrackingSupported; Forklift: warm without CBT",
    sources=frozenset({"hyperv", "vsphere"}),
    check=check,
)
