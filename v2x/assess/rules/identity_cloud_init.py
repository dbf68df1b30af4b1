# SPDX-License-Identifier: Apache-2.0
"""cloud-init."""

import re
from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    machine = context.machine
    keys = [key for key in machine.attributes if key.startswith(("guestinfo.", "custom.guestinfo."))]
    seeds = [
        drive.image for drive in machine.cd_drives if re.search(r"cidata|cloud-?init|seed", drive.image, re.IGNORECASE)
    ]
    if keys or seeds:
        yield Remark(f"It is configured by {', '.join([*keys, *seeds][:3])}.")
    elif context.family == "linux":
        yield Unknown("Whether cloud-init configures Linux guests is not known.", "Run cloud-init status in the guest.")


RULE = MachineRule(
    id="identity.cloud-init",
    severity=Severity.WARNING,
    label="The service cloud-init may take the machine for a new one",
    remedy=(
        "Run touch /etc/cloud/cloud-init.disabled in the guest before the move, or set manual_cache_clean: a new "
        "instance id makes new SSH host keys and network settings."
    ),
    source="cloud-init: instance-id comes from the datasource, which is another one after the move",
    check=check,
)
