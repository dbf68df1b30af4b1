# SPDX-License-Identifier: Apache-2.0
"""Hosts of different sizes."""

from collections.abc import Iterator

from v2x.assess.context import Estate
from v2x.assess.needs import POOL_HOSTS
from v2x.assess.rule import EstateRule, Remark
from v2x.model.finding import Severity
from v2x.model.units import show_bytes


def check(estate: Estate) -> Iterator[Remark]:
    hosts = [host for host in estate.pool.hosts if host.memory_total_bytes]
    sizes = sorted({host.memory_total_bytes for host in hosts})
    if sizes and sizes[-1] > 1.5 * sizes[0]:
        yield Remark(f"{show_bytes(sizes[0])} to {show_bytes(sizes[-1])} of memory.")


RULE = EstateRule(
    id="target.mixed-processors",
    severity=Severity.INFO,
    label="The hosts of the pool differ in size",
    remedy=(
        "Nothing; the largest machines start on the largest hosts only, so give these a preferred host in the plan."
    ),
    source="XAPI starts a machine on any host that has room",
    needs=(POOL_HOSTS,),
    check=check,
)
