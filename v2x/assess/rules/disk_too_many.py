# SPDX-License-Identifier: Apache-2.0
"""More disks than a machine on XCP-ng can have."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    machine = context.machine
    devices = len(machine.disks) + (1 if machine.cd_drives else 0)
    limit = context.limit("vbd_devices_max")
    if devices > limit:
        yield Remark(f"{devices} disks and drives; at most {limit} are possible.")


RULE = MachineRule(
    id="disk.too-many",
    severity=Severity.BLOCKER,
    label="More disks than XCP-ng can attach",
    remedy="Join disks inside the guest, or leave some out, before the move.",
    source="xen-api ocaml/xapi/xapi_vm_helpers.ml: block devices 0 to 254",
    always_known=LISTED,
    check=check,
)
