# SPDX-License-Identifier: Apache-2.0
"""A disk on vSAN."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    for disk in context.machine.disks:
        store = context.estate.datastores.get(disk.datastore)
        if store is not None and store.kind.casefold() in ("vsan", "vsand"):
            yield Remark(f"Datastore “{disk.datastore}”.", disk_name(disk))
        elif store is None and disk.datastore:
            yield Unknown("The source does not tell the kind of some datastores.", LOOK_AT_THE_SOURCE)


RULE = MachineRule(
    id="disk.on-vsan",
    severity=Severity.INFO,
    label="A disk is on vSAN",
    remedy="Nothing; only the HTTPS and VDDK transports reach it, no copy of files over SSH or NFS.",
    source="XCP-ng documentation, migrate to XCP-ng: vSAN is expected to work but little tested",
    sources=frozenset({"rvtools", "vsphere"}),
    check=check,
)
