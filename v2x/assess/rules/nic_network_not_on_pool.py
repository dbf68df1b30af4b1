# SPDX-License-Identifier: Apache-2.0
"""A network name that the pool does not have."""

from collections.abc import Iterator

from v2x.assess.context import Context, nic_name
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    networks = context.estate.pool.networks
    if not networks:
        return
    for nic in context.machine.nics:
        if nic.network and nic.network.casefold() not in networks:
            yield Remark(f"The pool has no network “{nic.network}”.", nic_name(nic))
        elif not nic.network:
            yield Remark("The source does not say which network it is on.", nic_name(nic))


RULE = MachineRule(
    id="nic.network-not-on-pool",
    severity=Severity.WARNING,
    label="A network of the source has no namesake on the pool",
    remedy=(
        "Look at the network that the plan suggests for it, or name one: --network SOURCE=TARGET, or the networks "
        "column of the plan."
    ),
    source="XAPI: network.name_label",
    check=check,
)
