# SPDX-License-Identifier: Apache-2.0
"""An encrypted machine."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    if context.machine.encrypted:
        yield Remark("Its configuration or state is sealed.")
    elif context.machine.encrypted is None:
        yield Unknown("The source does not tell whether the machine is encrypted.", LOOK_AT_THE_SOURCE)


RULE = MachineRule(
    id="machine.encrypted",
    severity=Severity.BLOCKER,
    label="The machine is encrypted by the source",
    remedy="Decrypt the machine at the source, then assess again.",
    source=(
        "vSphere VM encryption and Hyper-V encrypted state seal configuration and disks to their own key server or host"
    ),
    sources=frozenset({"hyperv", "rvtools", "vsphere"}),
    check=check,
)
