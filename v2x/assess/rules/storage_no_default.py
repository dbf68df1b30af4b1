# SPDX-License-Identifier: Apache-2.0
"""A pool without a default repository."""

from collections.abc import Iterator

from v2x.assess.context import Estate
from v2x.assess.needs import POOL_STORAGE
from v2x.assess.rule import EstateRule, Remark
from v2x.model.finding import Severity


def check(estate: Estate) -> Iterator[Remark]:
    storage = estate.pool.storage
    if len(storage) > 1 and not any(one.is_default for one in storage):
        yield Remark(f"{len(storage)} could hold disks.")


RULE = EstateRule(
    id="storage.no-default",
    severity=Severity.INFO,
    label="The pool has no default storage repository",
    remedy="Set one (xe pool-param-set default-SR), or name storage in the plan: v2x then chooses by room.",
    source="XAPI: pool.default_SR",
    needs=(POOL_STORAGE,),
    check=check,
)
