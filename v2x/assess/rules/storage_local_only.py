# SPDX-License-Identifier: Apache-2.0
"""Storage that one host alone has."""

from collections.abc import Iterator

from v2x.assess.context import Estate
from v2x.assess.needs import POOL_STORAGE
from v2x.assess.rule import EstateRule, Remark
from v2x.model.finding import Severity
from v2x.text import plural


def check(estate: Estate) -> Iterator[Remark]:
    storage = estate.pool.storage
    if storage and len(estate.pool.hosts) > 1 and not any(one.shared for one in storage):
        yield Remark(f"{plural(len(storage), 'storage repository', 'storage repositories')}, each on one host.")


RULE = EstateRule(
    id="storage.local-only",
    severity=Severity.INFO,
    label="The pool has no shared storage for disks",
    remedy="Nothing for the move; HA and fast live migration need shared storage (NFS, iSCSI, XOSTOR).",
    source="XAPI: SR.shared decides whether a machine is agile",
    needs=(POOL_STORAGE,),
    check=check,
)
