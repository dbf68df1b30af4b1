# SPDX-License-Identifier: Apache-2.0
"""Activation of Windows."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark, Said
from v2x.assess.unknowns import SYSTEM
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    if context.family == "windows":
        yield Remark("Its hardware changes all at once.")
    elif not context.family:
        yield SYSTEM


RULE = MachineRule(
    id="identity.windows-activation",
    severity=Severity.INFO,
    label="Windows may ask to be activated again",
    remedy=(
        "Keep MAC addresses. KMS and Active Directory activation renew themselves; MAK, retail and OEM keys may "
        "need the telephone: have them at hand."
    ),
    source="Microsoft: activation binds to hardware; XCP-ng documentation, migrate to XCP-ng",
    check=check,
)
