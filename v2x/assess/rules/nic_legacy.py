# SPDX-License-Identifier: Apache-2.0
"""A legacy card."""

from collections.abc import Iterator

from v2x.assess.context import Context, nic_name
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.machine import NicModel


def check(context: Context) -> Iterator[Remark]:
    for nic in context.machine.nics:
        if nic.model in (NicModel.LEGACY, NicModel.PCNET32):
            yield Remark(f"It is a {'legacy adapter' if nic.model is NicModel.LEGACY else 'pcnet32'}.", nic_name(nic))


RULE = MachineRule(
    id="nic.legacy",
    severity=Severity.WARNING,
    label="A legacy network card becomes an ordinary one",
    remedy=(
        "Nothing on Linux and current Windows; a guest that boots from the network, or an old one without Xen "
        "drivers, keeps the emulated card."
    ),
    source="Hyper-V: IsLegacy; vSphere: pcnet32 (vlance)",
    always_known=LISTED,
    check=check,
)
