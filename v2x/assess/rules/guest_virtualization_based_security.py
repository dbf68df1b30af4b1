# SPDX-License-Identifier: Apache-2.0
"""Virtualisation-based security."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    if context.machine.virtualization_based_security:
        yield Remark("The machine was made for it.")
    elif context.machine.virtualization_based_security is None and context.family == "windows":
        yield Unknown("Whether virtualisation-based security is on is not known.", "Look in msinfo32 in the guest.")


RULE = MachineRule(
    id="guest.virtualization-based-security",
    severity=Severity.WARNING,
    label="Virtualisation-based security does not run on XCP-ng",
    remedy=(
        "Turn Credential Guard, HVCI and VBS off in the guest before the move; without nested virtualisation they "
        "stay off after it."
    ),
    source="vSphere: vbsEnabled; XCP-ng documentation: nested virtualisation is not supported",
    check=check,
)
