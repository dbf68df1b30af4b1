# SPDX-License-Identifier: Apache-2.0
"""Storage that gives disks with old content."""

from collections.abc import Iterator

from v2x.assess.context import Estate
from v2x.assess.needs import POOL_STORAGE
from v2x.assess.rule import EstateRule, Remark
from v2x.model.finding import Severity


def check(estate: Estate) -> Iterator[Remark]:
    found = [one.name for one in estate.pool.storage if not one.prezeroed]
    if found:
        yield Remark(f"{', '.join(found[:5])}.")


RULE = EstateRule(
    id="storage.not-zeroed",
    severity=Severity.INFO,
    label="Some storage takes whole disks only",
    remedy="Nothing, but time: on such storage zeros travel too. Choose another repository for large, empty disks.",
    source="xen-api ocaml/vhd-tool: repositories that are not pre-zeroed refuse sparse streams",
    needs=(POOL_STORAGE,),
    check=check,
)
