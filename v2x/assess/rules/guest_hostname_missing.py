# SPDX-License-Identifier: Apache-2.0
"""A guest whose name is not known."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import ABOUT_NOT_KNOWING
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    if not context.machine.guest.hostname:
        yield Remark("DNS, DHCP and directory entries cannot be compared after the move.")


RULE = MachineRule(
    id="guest.hostname-missing",
    severity=Severity.INFO,
    label="The source does not know the name of the guest in the network",
    remedy="Start the machine once with its tools running and take the inventory again, or write the name down.",
    source="vSphere and Hyper-V learn it from tools in the guest; Forklift: hostname",
    always_known=ABOUT_NOT_KNOWING,
    sources=frozenset({"hyperv", "rvtools", "vsphere"}),
    check=check,
)
