# SPDX-License-Identifier: Apache-2.0
"""A replica."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.machine import Estate as Kind


def check(context: Context) -> Iterator[Remark]:
    machine = context.machine
    if machine.estate is Kind.BACKUP_REPLICA:
        yield Remark(f"{machine.estate_reason or 'The source says so'}.")


RULE = MachineRule(
    id="estate.backup-replica",
    severity=Severity.BLOCKER,
    label="This machine is a replica that a backup product keeps",
    remedy="Leave it out, and set up replication for the moved machine on the pool.",
    source="How the source or its name, owner and configuration tell it; not moving noise keeps plans short",
    always_known="a machine that nothing tells apart counts as somebody's server",
    check=check,
)
