# SPDX-License-Identifier: Apache-2.0
"""A licence that came with hardware."""

import re
from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    machine = context.machine
    words = " ".join((machine.guest.os_name, machine.notes[:2000], *machine.tags, *machine.attributes.values()))
    if context.family == "windows" and re.search(r"\boem\b", words, re.IGNORECASE):
        yield Remark("Its notes, tags or system name speak of OEM.")
    elif context.family == "windows":
        yield Unknown("How Windows was activated is not known.", "Run slmgr /dli in the guest.")


RULE = MachineRule(
    id="identity.oem-licence",
    severity=Severity.WARNING,
    label="An OEM licence of Windows does not move to other hardware",
    remedy="Find out how Windows was activated (slmgr /dli); an OEM edition needs a new key on new hosts.",
    source="Microsoft licence terms: OEM editions are bound to the hardware that they came with",
    check=check,
)
