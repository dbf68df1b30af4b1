# SPDX-License-Identifier: Apache-2.0
"""A domain controller."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.guest import is_windows_server, looks_like_domain_controller
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    machine = context.machine
    words = " ".join((machine.name, machine.guest.hostname, machine.notes[:2000], *machine.tags))
    if context.family not in ("windows", ""):
        return
    if looks_like_domain_controller(words):
        yield Remark("Its name, notes or tags say so.")
    elif is_windows_server(machine.guest):
        yield Unknown(
            "Whether a Windows server is a domain controller is not known.",
            "Ask the domain: Get-ADDomainController -Filter *.",
        )


RULE = MachineRule(
    id="identity.domain-controller",
    severity=Severity.WARNING,
    label="This seems to be a domain controller",
    remedy=(
        "Move domain controllers one at a time, shut down cleanly, never two in one wave, and never start the old "
        "one again: the new generation ID makes it discard its RID pool and resynchronise."
    ),
    source="Microsoft: virtualised domain controllers and VM-GenerationID; MS-ADTS",
    check=check,
)
