# SPDX-License-Identifier: Apache-2.0
"""More virtual processors than Windows is supported with."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark, Said
from v2x.assess.unknowns import SYSTEM
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    count = context.machine.cpu.count
    limit = context.limit("vcpus_windows_max")
    if context.family == "windows" and limit < count <= context.limit("vcpus_max"):
        yield Remark(f"{count} virtual processors; {limit} are supported for Windows.")
    elif not context.family and limit < count:
        yield SYSTEM


RULE = MachineRule(
    id="cpu.over-windows-limit",
    severity=Severity.WARNING,
    label="More virtual processors than are supported for Windows guests",
    remedy="Lower vcpus in the plan.",
    source="XCP-ng documentation, installation requirements: 64 for Windows",
    check=check,
)
