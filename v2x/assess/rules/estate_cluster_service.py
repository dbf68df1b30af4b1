# SPDX-License-Identifier: Apache-2.0
"""A machine that the cluster makes for itself."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.machine import Estate as Kind


def check(context: Context) -> Iterator[Remark]:
    machine = context.machine
    if machine.estate is Kind.CLUSTER_SERVICE:
        yield Remark(f"{machine.estate_reason or 'The source says so'}.")


RULE = MachineRule(
    id="estate.cluster-service",
    severity=Severity.BLOCKER,
    label="This machine belongs to the cluster software of the source",
    remedy="Leave it out: the source makes and removes it for itself.",
    source="How the source or its name, owner and configuration tell it; not moving noise keeps plans short",
    always_known="a machine that nothing tells apart counts as somebody's server",
    check=check,
)
