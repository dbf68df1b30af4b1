# SPDX-License-Identifier: Apache-2.0
"""A template of Secure Boot."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    machine = context.machine
    if "shielded" in machine.secure_boot_template.casefold():
        yield Remark(f"“{machine.secure_boot_template}”.")
    elif machine.secure_boot and not machine.secure_boot_template:
        yield Unknown("The source does not tell the Secure Boot template.", LOOK_AT_THE_SOURCE)


RULE = MachineRule(
    id="firmware.secure-boot-template",
    severity=Severity.BLOCKER,
    label="The Secure Boot template is for shielded machines",
    remedy=(
        "Change the template at the source to Microsoft Windows or Microsoft UEFI Certificate Authority, check "
        "that the machine starts, then assess again."
    ),
    source="Hyper-V: OpenSourceShieldedVM; XCP-ng has the certificates of Microsoft",
    sources=frozenset({"hyperv"}),
    check=check,
)
