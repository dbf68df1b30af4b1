# SPDX-License-Identifier: Apache-2.0
"""A licence server."""

import re
from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    machine = context.machine
    words = " ".join((machine.name, machine.guest.hostname, machine.notes[:2000], *machine.tags))
    if re.search(
        r"licen[cs]|(?:^|[^a-z])lic\d*(?:[^a-z]|$)|flex(?:lm|net)|sentinel|codemeter|rlm\d", words, re.IGNORECASE
    ):
        yield Remark("Its name, notes or tags say so.")


RULE = MachineRule(
    id="identity.licence-server",
    severity=Severity.WARNING,
    label="Licences served from this machine may be bound to its hardware",
    remedy=(
        "Ask the vendors for licences for the new hardware UUID, disk serial number or MAC address before the "
        "move; keep the MAC address."
    ),
    source="FlexNet, Sentinel and others bind licence files to MAC address, UUID or a dongle",
    always_known="a machine that says nothing of licences counts as one without",
    check=check,
)
