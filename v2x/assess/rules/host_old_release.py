# SPDX-License-Identifier: Apache-2.0
"""An old release of the source."""

import re
from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    host = context.host
    if host is None or not host.version:
        if context.machine.host:
            yield Unknown("The source does not tell the release of some hosts.", LOOK_AT_THE_SOURCE)
        return
    found = re.search(r"\b(\d+)\.(\d+)", host.version)
    if found and int(found[1]) < (10 if context.estate.from_hyperv else 7):
        yield Remark(f"Host “{host.name}” runs {host.version}.")


RULE = MachineRule(
    id="host.old-release",
    severity=Severity.INFO,
    label="The host runs an old release of its hypervisor",
    remedy=(
        "Move one machine with --verify full first: old releases have bugs in change tracking and at the end of disks."
    ),
    source=(
        "ESXi 6.x: last-block failures (xen-orchestra PR 9223) and change tracking fixes; Hyper-V before 2016 has "
        "no change tracking"
    ),
    sources=frozenset({"hyperv", "rvtools", "vsphere"}),
    check=check,
)
