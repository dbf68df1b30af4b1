# SPDX-License-Identifier: Apache-2.0
"""Network cards of another model."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.machine import NicModel, Other


def check(context: Context) -> Iterator[Remark]:
    nics = [nic for nic in context.machine.nics if nic.model not in (NicModel.NETFRONT, NicModel.SRIOV)]
    if not nics:
        return
    before = context.estate.tables.firmware(context.machine.firmware).emulated_nic
    models = sorted({nic.model.text if isinstance(nic.model, Other) else nic.model.value for nic in nics})
    yield Remark(f"{', '.join(models)} at the source; {before} until PV drivers run, then the Xen network card.")


RULE = MachineRule(
    id="nic.model-changes",
    severity=Severity.INFO,
    label="Network cards become Xen network cards",
    remedy="Nothing has to be done on Linux; on Windows the new card needs its IP settings once more.",
    source="xen-api ocaml/xenopsd/xc/device.ml: e1000 (UEFI) or rtl8139 (BIOS) until PV drivers run",
    always_known=LISTED,
    check=check,
)
