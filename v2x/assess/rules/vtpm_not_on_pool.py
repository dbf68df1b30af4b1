# SPDX-License-Identifier: Apache-2.0
"""A virtual TPM on a pool that has none."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import POOL
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    facts = context.facts
    if context.machine.vtpm and facts is not None and not context.estate.offline and not facts.vtpm_supported:
        version = facts.version or "this version"
        yield Remark(f"The machine has a virtual TPM; {facts.product or 'the pool'} {version} cannot make one.")


RULE = MachineRule(
    id="vtpm.not-on-pool",
    severity=Severity.BLOCKER,
    label="The pool offers no virtual TPM",
    remedy="Update the pool to XCP-ng 8.3, or set vtpm to no in the plan.",
    source="XCP-ng 8.3 release notes; XAPI VTPM.create",
    needs=(POOL,),
    check=check,
)
