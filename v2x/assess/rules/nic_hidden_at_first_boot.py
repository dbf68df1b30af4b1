# SPDX-License-Identifier: Apache-2.0
"""Network cards that a guest without PV drivers does not see."""

from collections.abc import Iterator

from v2x.assess.context import Context, nic_name
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.text import plural


def check(context: Context) -> Iterator[Remark]:
    machine = context.machine
    if context.has_pv_drivers:
        return
    seen = context.estate.tables.firmware(machine.firmware).emulated_nics
    hidden = sorted(machine.nics, key=lambda nic: nic.position)[seen:]
    if hidden:
        names = ", ".join(nic_name(nic) for nic in hidden)
        yield Remark(f"{plural(seen, 'network card')} can be seen without PV drivers; unseen: {names}.")


RULE = MachineRule(
    id="nic.hidden-at-first-boot",
    severity=Severity.WARNING,
    label="Some network cards stay unseen until PV drivers run",
    remedy=(
        "Put the card that you need for the first log-in first, and install PV drivers right after the first start."
    ),
    source="xen-api ocaml/xenopsd/xc/device.ml: 2 emulated cards under UEFI, 8 under BIOS",
    always_known="an unknown guest counts as one without drivers",
    check=check,
)
