# SPDX-License-Identifier: Apache-2.0
"""A new hardware UUID."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    if context.machine.uuid:
        yield Remark(f"It was {context.machine.uuid}.")
    else:
        yield Unknown(
            "The present UUID of some machines is not known.",
            "Run dmidecode -s system-uuid (or wmic csproduct get uuid) in the guest.",
        )


RULE = MachineRule(
    id="identity.uuid-changes",
    severity=Severity.INFO,
    label="The hardware UUID of the machine changes",
    remedy=(
        "Look for licences, monitoring and backup agents that know the machine by its UUID; the old one is kept in "
        "other_config (v2x-source-uuid). An XVA imported with preserve=true keeps it."
    ),
    source="XAPI chooses VM.uuid, which is the guest's SMBIOS UUID",
    check=check,
)
