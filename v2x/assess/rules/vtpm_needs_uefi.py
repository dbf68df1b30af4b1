# SPDX-License-Identifier: Apache-2.0
"""A virtual TPM without UEFI."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import MORE_THAN_RVTOOLS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.machine import Firmware


def check(context: Context) -> Iterator[Remark]:
    machine = context.machine
    if machine.vtpm and machine.firmware is Firmware.BIOS:
        yield Remark("The machine has a virtual TPM and boots by BIOS.")


RULE = MachineRule(
    id="vtpm.needs-uefi",
    severity=Severity.BLOCKER,
    label="XCP-ng offers a virtual TPM to UEFI machines only",
    remedy="Set vtpm to no in the plan if the guest can do without it.",
    source="XAPI refuses to start a BIOS machine that has a VTPM (ocaml/xapi/xapi_vtpm.ml)",
    needs=(MORE_THAN_RVTOOLS,),
    check=check,
)
