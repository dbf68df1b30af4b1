# SPDX-License-Identifier: Apache-2.0
"""The secrets in a virtual TPM stay behind."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import MORE_THAN_RVTOOLS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    if context.machine.vtpm:
        yield Remark("The machine gets a new, empty virtual TPM.")


RULE = MachineRule(
    id="vtpm.content-not-moved",
    severity=Severity.WARNING,
    label="The content of the virtual TPM cannot be moved",
    remedy=(
        "Have the BitLocker recovery keys at hand, or suspend BitLocker, before the move; other secrets in "
        "the TPM have to be made anew."
    ),
    source="XAPI: VTPM.set_contents is for root only; VMware and Hyper-V seal theirs",
    needs=(MORE_THAN_RVTOOLS,),
    check=check,
)
