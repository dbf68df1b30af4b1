# SPDX-License-Identifier: Apache-2.0
"""The source keeps the machine apart from others."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.groups import partners
from v2x.assess.needs import GROUPS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.inventory import Together


def check(context: Context) -> Iterator[Remark]:
    for group in context.groups:
        if group.kind is Together.ANTI_AFFINITY:
            yield Remark(f"Apart from {partners(context, group)}.", group.name)


RULE = MachineRule(
    id="together.anti-affinity",
    severity=Severity.INFO,
    label="The source keeps the machine apart from others",
    remedy=(
        "Put them in different waves, and make an anti-affinity group on the pool (VM groups, or the load balancer "
        "of Xen Orchestra)."
    ),
    source="vSphere DRS rules; XAPI: VM_group with anti-affinity",
    needs=(GROUPS,),
    check=check,
)
