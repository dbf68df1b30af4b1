# SPDX-License-Identifier: Apache-2.0
"""A pool without a storage repository for disks."""

from collections.abc import Iterator

from v2x.assess.context import Estate
from v2x.assess.needs import POOL
from v2x.assess.rule import EstateRule, Remark
from v2x.model.finding import Severity


def check(estate: Estate) -> Iterator[Remark]:
    facts = estate.facts
    if facts is not None and not estate.offline and not estate.pool.storage:
        yield Remark("No repository that holds disks is connected.")


RULE = EstateRule(
    id="target.no-storage",
    severity=Severity.BLOCKER,
    label="The pool has no storage repository for disks",
    remedy="Add a storage repository to the pool, or plug the one it has, then assess again.",
    source="XAPI: SR.content_type user with a plugged PBD",
    needs=(POOL,),
    check=check,
)
