# SPDX-License-Identifier: Apache-2.0
"""A file system without room."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity
from v2x.model.units import MIB, show_bytes

_LEAST = {"/": 100 * MIB, "c:": 100 * MIB, "/boot": 50 * MIB}


def check(context: Context) -> Iterator[Said]:
    volumes = context.machine.guest.volumes
    if not volumes:
        yield Unknown(
            "How full the guest's file systems are is not known.",
            "Take the inventory while the machine runs with its tools.",
        )
    for volume in volumes:
        least = _LEAST.get(volume.path.rstrip("\\/").casefold() or "/", 10 * MIB)
        if volume.free_bytes is not None and volume.free_bytes < least:
            yield Remark(f"{show_bytes(volume.free_bytes)} free, {show_bytes(least)} are needed.", volume.path)


RULE = MachineRule(
    id="guest.volume-nearly-full",
    severity=Severity.WARNING,
    label="A file system of the guest is nearly full",
    remedy="Free some room before the move: drivers and the initial ramdisk are written there.",
    source=(
        "The limits of virt-v2v and Forklift (filesystem_size): 100 MB on / and C:, 50 MB on /boot, 10 MB elsewhere"
    ),
    check=check,
)
