# SPDX-License-Identifier: Apache-2.0
"""A machine that takes a working day or more."""

from collections.abc import Iterator

from v2x.assess.context import Context, needed_bytes
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.units import show_bytes

_NIGHT_SECONDS = 8 * 3600


def check(context: Context) -> Iterator[Remark]:
    seconds = sum(map(needed_bytes, context.machine.disks)) / context.estate.pace.bytes_per_second
    if seconds > _NIGHT_SECONDS:
        yield Remark(f"Some {seconds / 3600:,.0f} hours, at {show_bytes(context.estate.pace.bytes_per_second)}/s.")


RULE = MachineRule(
    id="machine.long-copy",
    severity=Severity.INFO,
    label="The copy takes longer than a night",
    remedy=(
        "Give the machine a wave of its own, and a window that fits; v2x continues an interrupted copy where it was."
    ),
    source="Data of all disks by the pace that the report names",
    always_known="the pace is measured, or an assumption that the report names",
    check=check,
)
