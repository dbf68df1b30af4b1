# SPDX-License-Identifier: Apache-2.0
"""Whether a machine starts with its host, and how HA treats it, as a plan's draft takes it from the source."""

import re

from v2x.model.machine import Machine
from v2x.model.target import HaPriority

_STARTS = frozenset({"poweron", "start", "alwaysstart"})
_FIRST = frozenset({"highest", "high", "medium", "normal"})
_LAST = frozenset({"low", "lowest"})


def _word(text: str) -> str:
    return re.sub(r"[^a-z]", "", text.casefold())


def starts_by_itself(machine: Machine) -> bool:
    """True where the source starts it whenever its host starts.

    Hyper-V's own default, to start what ran before, is no wish of anybody and counts as no.
    """
    return _word(machine.start_action) in _STARTS


def ha_priority(machine: Machine) -> HaPriority:
    """`restart` from the middle priority on, `best-effort` below; none where the source says nothing or `disabled`."""
    word = _word(machine.ha_priority)
    if word in _FIRST:
        return HaPriority.RESTART
    return HaPriority.BEST_EFFORT if word in _LAST else HaPriority.NONE
