# SPDX-License-Identifier: Apache-2.0
"""More virtual processors than any host has."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import POOL_HOSTS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    count = context.machine.cpu.count
    most = max((host.cpu_count for host in context.estate.pool.hosts), default=0)
    if 0 < most < count:
        yield Remark(f"{count} virtual processors; the largest enabled host has {most}.")


RULE = MachineRule(
    id="cpu.more-than-any-host",
    severity=Severity.BLOCKER,
    label="No host of the pool has that many processors",
    remedy="Lower vcpus in the plan, or add a larger host to the pool.",
    source="XAPI refuses such a start: HOST_NOT_ENOUGH_PCPUS",
    needs=(POOL_HOSTS,),
    check=check,
)
