# SPDX-License-Identifier: Apache-2.0
"""MAC addresses in an XVA file."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    if context.estate.offline and any(nic.mac for nic in context.machine.nics):
        yield Remark("An ordinary import gives every network card a new address.")


RULE = MachineRule(
    id="nic.mac-kept-by-restore",
    severity=Severity.INFO,
    label="An XVA keeps MAC addresses only if it is imported with restore",
    remedy="Import with: xe vm-import filename=… preserve=true",
    source="XAPI: the restore flag of PUT /import, which xe vm-import calls preserve",
    always_known="a target is a pool or a folder of XVA files, and says which",
    check=check,
)
