# SPDX-License-Identifier: Apache-2.0
"""The machine is a member of a failover cluster."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.groups import partners
from v2x.assess.needs import GROUPS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.inventory import Together


def check(context: Context) -> Iterator[Remark]:
    for group in context.groups:
        if group.kind is Together.FAILOVER_CLUSTER:
            yield Remark(f"With {partners(context, group)}.", group.name)


RULE = MachineRule(
    id="together.failover-cluster",
    severity=Severity.WARNING,
    label="The machine is a member of a failover cluster",
    remedy=(
        "Move one member at a time with its roles drained, the disk witness last; shared disks need iSCSI inside "
        "the guests."
    ),
    source="Windows failover clusters and others expect shared disks and their quorum",
    needs=(GROUPS,),
    check=check,
)
