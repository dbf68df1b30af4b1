# SPDX-License-Identifier: Apache-2.0
"""A machine that its source would start again."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity

# Hyper-V's own default starts again only what ran when its host went down, and a moved machine is off by then.
_HARMLESS = ("nothing", "none", "systemdefault", "startifrunning")


def check(context: Context) -> Iterator[Said]:
    action = context.machine.start_action
    if action and action.casefold() not in _HARMLESS:
        yield Remark(f"Its start action is “{action}”.")
    elif not action and context.estate.from_hyperv:
        yield Unknown("The source does not tell the start action of the machine.", LOOK_AT_THE_SOURCE)


RULE = MachineRule(
    id="machine.starts-again",
    severity=Severity.WARNING,
    label="The source may start the machine again after the move",
    remedy=(
        "Turn its automatic start off at the source after the move, so that two machines of one address never run "
        "at once."
    ),
    source="Hyper-V: AutomaticStartAction; vSphere: AutoStartManager; HA restarts machines too",
    sources=frozenset({"hyperv", "vsphere"}),
    check=check,
)
