# SPDX-License-Identifier: Apache-2.0
"""A limit on a card."""

from collections.abc import Iterator

from v2x.assess.context import Context, nic_name
from v2x.assess.needs import MORE_THAN_RVTOOLS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for nic in context.machine.nics:
        if nic.bandwidth_limit_bps:
            yield Remark(f"{nic.bandwidth_limit_bps / 1e6:,.0f} Mbit/s.", nic_name(nic))


RULE = MachineRule(
    id="nic.bandwidth-limit",
    severity=Severity.INFO,
    label="Limits on network cards are not carried over",
    remedy="Set a rate on the new card if it is still wanted (VIF qos, kbps).",
    source="Hyper-V: MaximumBandwidth; vSphere: traffic shaping; XAPI: VIF.qos_algorithm_params; Forklift: NIC QoS",
    needs=(MORE_THAN_RVTOOLS,),
    check=check,
)
