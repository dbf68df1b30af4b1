# SPDX-License-Identifier: Apache-2.0
"""Network interface names change under Linux."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark, Said
from v2x.assess.unknowns import SYSTEM
from v2x.model.finding import Severity
from v2x.model.machine import NicModel
from v2x.text import plural


def check(context: Context) -> Iterator[Said]:
    nics = [nic for nic in context.machine.nics if nic.model is not NicModel.NETFRONT]
    if context.family == "linux" and nics:
        yield Remark(f"{plural(len(nics), 'network card')} will be named enX0 or eth0 and onwards.")
    elif not context.family:
        yield SYSTEM


RULE = MachineRule(
    id="guest.linux-interface-names",
    severity=Severity.INFO,
    label="Network interface names change",
    remedy=(
        "Look at the guest's network settings after the first start: what is bound to a name such as ens192 "
        "has to be bound to the new name, or to the MAC address before the move."
    ),
    source="Linux xen-netfront with systemd predictable names gives enX0; older systems give eth0",
    check=check,
)
