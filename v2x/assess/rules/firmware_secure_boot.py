# SPDX-License-Identifier: Apache-2.0
"""Secure Boot needs keys that live on the pool."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import POOL
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    facts = context.facts
    if not context.machine.secure_boot:
        return
    if facts is not None and not context.estate.offline and not facts.secure_boot_certificates:
        yield Remark(
            "Secure Boot is on, and the pool has no certificates: it starts without Secure Boot until they are there."
        )


RULE = MachineRule(
    id="firmware.secure-boot",
    severity=Severity.WARNING,
    label="Secure Boot needs certificates on the pool",
    remedy=(
        "Install the UEFI certificates on the pool (secureboot-certs install), or set secure_boot to false in the plan."
    ),
    source="XCP-ng documentation, guest UEFI Secure Boot; XAPI platform.secureboot",
    needs=(POOL,),
    check=check,
)
