# SPDX-License-Identifier: Apache-2.0
"""Disks that a guest without PV drivers does not see."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.text import plural


def check(context: Context) -> Iterator[Remark]:
    machine = context.machine
    if context.has_pv_drivers:
        return
    seen = context.limit("emulated_vbd_positions") - (1 if machine.cd_drives else 0)
    hidden = sorted(machine.disks, key=lambda disk: disk.position)[seen:]
    if hidden:
        names = ", ".join(disk_name(disk) for disk in hidden)
        yield Remark(f"{plural(seen, 'disk')} can be seen without PV drivers; unseen: {names}.")


RULE = MachineRule(
    id="disk.hidden-at-first-boot",
    severity=Severity.WARNING,
    label="Some disks stay unseen until PV drivers run",
    remedy=("Install PV drivers right after the first start; services that need these disks should not start before."),
    source="xen-api ocaml/xenopsd/xc/device.ml: devices 0 to 3 are emulated, and the CD drive takes one",
    always_known="an unknown guest counts as one without drivers",
    check=check,
)
