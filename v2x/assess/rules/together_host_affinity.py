# SPDX-License-Identifier: Apache-2.0
"""The source binds the machine to hosts."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import GROUPS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.inventory import Together


def check(context: Context) -> Iterator[Remark]:
    for group in context.groups:
        if group.kind is Together.HOST_AFFINITY:
            yield Remark(
                f"{'Bound' if group.mandatory else 'Preferably'} to {', '.join(group.hosts) or 'a group of hosts'}.",
                group.name,
            )


RULE = MachineRule(
    id="together.host-affinity",
    severity=Severity.INFO,
    label="The source binds the machine to hosts",
    remedy="Name a host in the plan if there is a reason, a licence for instance, to keep it on one.",
    source="vSphere DRS rules; XAPI: VM.affinity; Forklift: host_affinity",
    needs=(GROUPS,),
    check=check,
)
