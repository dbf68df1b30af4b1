# SPDX-License-Identifier: Apache-2.0
"""A virtual Fibre Channel adapter."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import MORE_THAN_RVTOOLS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for device in context.machine.devices:
        if device.kind in ("fibre_channel", "hba"):
            yield Remark("Its LUNs belong to the guest alone.", device.label)


RULE = MachineRule(
    id="device.fibre-channel",
    severity=Severity.BLOCKER,
    label="Disks behind a virtual Fibre Channel adapter are not seen from outside",
    remedy="Move the data to virtual disks, or attach the LUNs inside the guest by iSCSI, before the move.",
    source="Hyper-V: Get-VMFibreChannelHba; XCP-ng gives machines no HBA",
    needs=(MORE_THAN_RVTOOLS,),
    check=check,
)
