# SPDX-License-Identifier: Apache-2.0
"""A machine that boots from the network first."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import MORE_THAN_RVTOOLS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    order = context.machine.boot_order
    if order and any(word in order[0].casefold() for word in ("net", "ethernet", "pxe")):
        yield Remark(f"The order is {', '.join(order)}.")


RULE = MachineRule(
    id="firmware.boot-from-network",
    severity=Severity.INFO,
    label="The machine tries the network before its disk",
    remedy="Nothing, if a boot server answers on the new network as it did; else put the disk first at the source.",
    source="XAPI: HVM_boot_params order; Forklift: BIOS boot menu",
    needs=(MORE_THAN_RVTOOLS,),
    check=check,
)
