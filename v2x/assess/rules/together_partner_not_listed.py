# SPDX-License-Identifier: Apache-2.0
"""A partner that is not in the inventory."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import GROUPS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.inventory import Together
from v2x.text import plural


def check(context: Context) -> Iterator[Remark]:
    for group in context.groups:
        strangers = sum(member not in context.estate.machine_names for member in group.machines)
        if strangers and group.kind in (Together.SHARED_DISK, Together.FAILOVER_CLUSTER, Together.VAPP):
            yield Remark(f"{plural(strangers, 'machine')}.", group.name)


RULE = MachineRule(
    id="together.partner-not-listed",
    severity=Severity.WARNING,
    label="A machine that belongs to this one is not in the inventory",
    remedy="Take it into the inventory too: what shares disks or a cluster must be planned together.",
    source="The groups of the source",
    needs=(GROUPS,),
    check=check,
)
