# SPDX-License-Identifier: Apache-2.0
"""Teaming in the guest."""

from collections.abc import Iterator

from v2x.assess.context import Context, nic_name
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    for nic in context.machine.nics:
        if nic.teaming:
            yield Remark("Teaming is allowed on it.", nic_name(nic))
        elif nic.teaming is None:
            yield Unknown("The source does not tell whether guests team their cards.", LOOK_AT_THE_SOURCE)


RULE = MachineRule(
    id="nic.teaming",
    severity=Severity.WARNING,
    label="The guest joins its cards to a team",
    remedy=(
        "Dissolve the team and give the machine one card: the bond belongs to the host (bond the pool's interfaces)."
    ),
    source="Hyper-V: AllowTeaming; XCP-ng documentation, networking: bonds of the host",
    sources=frozenset({"hyperv"}),
    check=check,
)
