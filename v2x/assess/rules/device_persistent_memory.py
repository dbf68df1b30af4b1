# SPDX-License-Identifier: Apache-2.0
"""Persistent memory."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import MORE_THAN_RVTOOLS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for device in context.machine.devices:
        if device.kind in ("nvdimm", "pmem", "persistent_memory"):
            yield Remark("What it holds is on no disk.", device.label)


RULE = MachineRule(
    id="device.persistent-memory",
    severity=Severity.BLOCKER,
    label="Persistent memory cannot be moved",
    remedy="Copy what it holds to a disk inside the guest, and remove the device at the source.",
    source="XCP-ng gives machines no NVDIMM; Hyper-V: .vhdpmem, vSphere: virtual NVDIMM",
    needs=(MORE_THAN_RVTOOLS,),
    check=check,
)
