# SPDX-License-Identifier: Apache-2.0
"""Machines that a source ties to each other, in words."""

from v2x.assess.context import Context
from v2x.model.inventory import MachineGroup

_NAMED = 5


def partners(context: Context, group: MachineGroup) -> str:
    """The names of the other machines of `group`; those that the inventory does not hold are counted."""
    known = context.estate.machine_names
    others = [one for one in group.machines if one != context.machine.id]
    names = [f"“{known[one]}”" for one in others if one in known]
    shown = names[:_NAMED]
    if len(names) > _NAMED:
        shown.append(f"{len(names) - _NAMED} more")
    strangers = len(others) - len(names)
    if strangers:
        shown.append(f"{strangers} that this inventory does not hold")
    return ", ".join(shown) or "no other machine"
