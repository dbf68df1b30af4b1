# SPDX-License-Identifier: Apache-2.0
"""A place in a resource pool."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    pool = context.machine.resource_pool
    if pool and pool.rstrip("/").rpartition("/")[2].casefold() not in ("resources", "ressourcen", "primordial"):
        yield Remark(f"It is in “{pool}”.")


RULE = MachineRule(
    id="machine.resource-pool",
    severity=Severity.INFO,
    label="Resource pools are not carried over",
    remedy=(
        "Nothing, unless the pool limits or reserves something that the machine relies on: give it weight or cap "
        "on the new host then."
    ),
    source="XAPI has no resource pools; VCPUs-params holds weight and cap",
    always_known=LISTED,
    check=check,
)
