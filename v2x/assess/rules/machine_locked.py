# SPDX-License-Identifier: Apache-2.0
"""Something holds the machine now."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import MORE_THAN_RVTOOLS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for lock in context.machine.locks:
        yield Remark(f"{lock}.")


RULE = MachineRule(
    id="machine.locked",
    severity=Severity.BLOCKER,
    label="Something at the source holds the machine at present",
    remedy="Let it end, or pause the job that does it, then assess again.",
    source="Hyper-V: merges, backups and replication; vSphere: running tasks and backup snapshots",
    needs=(MORE_THAN_RVTOOLS,),
    sources=frozenset({"hyperv", "rvtools", "vsphere"}),
    check=check,
)
