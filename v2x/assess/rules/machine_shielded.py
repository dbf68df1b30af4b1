# SPDX-License-Identifier: Apache-2.0
"""A shielded machine."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    if context.machine.shielded:
        yield Remark("Only attested Hyper-V hosts can start it.")
    elif context.machine.shielded is None:
        yield Unknown("The source does not tell whether the machine is shielded.", LOOK_AT_THE_SOURCE)


RULE = MachineRule(
    id="machine.shielded",
    severity=Severity.BLOCKER,
    label="The machine is shielded",
    remedy="Unshield it in the guarded fabric, or move the data inside the guest to a new machine.",
    source="Hyper-V: a shielded machine runs on attested hosts only (Get-VMSecurity)",
    sources=frozenset({"hyperv"}),
    check=check,
)
