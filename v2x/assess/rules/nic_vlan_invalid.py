# SPDX-License-Identifier: Apache-2.0
"""A VLAN that cannot be made."""

from collections.abc import Iterator

from v2x.assess.context import Context, nic_name
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for nic in context.machine.nics:
        vlan = context.origin(nic).vlan
        if vlan is not None and not 0 <= vlan <= context.limit("vlan_tag_max"):
            yield Remark(f"VLAN {vlan} of network “{nic.network}”.", nic_name(nic))


RULE = MachineRule(
    id="nic.vlan-invalid",
    severity=Severity.BLOCKER,
    label="A VLAN id is not valid on the pool",
    remedy="Name a network of the pool in the plan.",
    source="XAPI: VLAN_TAG_INVALID; tags are 0 to 4094",
    always_known="a VLAN that the source does not tell is nic.network-not-on-pool",
    check=check,
)
