# SPDX-License-Identifier: Apache-2.0
"""More than one CD drive."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    drives = len(context.machine.cd_drives)
    limit = context.limit("cd_drives_max")
    if drives > limit:
        yield Remark(f"{drives} CD drives at the source.")


RULE = MachineRule(
    id="cd.more-than-one",
    severity=Severity.WARNING,
    label="XCP-ng gives a machine one CD drive",
    remedy=("Check that nothing in the guest needs the second drive; images can be changed while the machine runs."),
    source="XCP-ng documentation, installation requirements: 1 CD drive",
    always_known=LISTED,
    check=check,
)
