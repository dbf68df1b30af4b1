# SPDX-License-Identifier: Apache-2.0
"""A guest that never got a name."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    name = context.machine.guest.hostname
    if name.casefold().partition(".")[0] in ("localhost", "linux", "debian", "ubuntu", "win"):
        yield Remark(f"It calls itself “{name}”.")
    elif not name:
        yield Unknown("The name of the guest is not known.", "Start the machine once with its tools running.")


RULE = MachineRule(
    id="guest.hostname-default",
    severity=Severity.WARNING,
    label="The guest has the name that every new system has",
    remedy="Give the guest a name before the move, or know it by its address.",
    source="Forklift: hostname",
    check=check,
)
