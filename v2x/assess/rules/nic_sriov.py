# SPDX-License-Identifier: Apache-2.0
"""A network card that is part of a physical one."""

from collections.abc import Iterator

from v2x.assess.context import Context, nic_name
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.machine import NicModel


def check(context: Context) -> Iterator[Remark]:
    for nic in context.machine.nics:
        if nic.model is NicModel.SRIOV:
            yield Remark(f"On network “{nic.network}”.", nic_name(nic))


RULE = MachineRule(
    id="nic.sriov",
    severity=Severity.WARNING,
    label="An SR-IOV network card becomes an ordinary one",
    remedy="Make an SR-IOV network on the pool and choose it in the plan, if the guest needs the speed.",
    source="XCP-ng documentation: SR-IOV networks are made on the pool",
    always_known=LISTED,
    check=check,
)
