# SPDX-License-Identifier: Apache-2.0
"""Time from the host."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    sync = context.machine.guest.time_sync
    if sync:
        yield Remark("Time synchronisation by the host is on.")
    elif sync is None:
        yield Unknown("Whether the host sets the clock of guests is not known.", LOOK_AT_THE_SOURCE)


RULE = MachineRule(
    id="identity.time-sync",
    severity=Severity.WARNING,
    label="The guest gets its time from the host",
    remedy=(
        "Set up NTP (chrony, w32time) in the guest before the move: XCP-ng sets the clock at start and leaves it "
        "alone then."
    ),
    source="VMware Tools timeSync, Hyper-V vmictimesync; Xen has no such service",
    check=check,
)
