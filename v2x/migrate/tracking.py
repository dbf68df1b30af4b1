# SPDX-License-Identifier: Apache-2.0
"""The end of change tracking that v2x turned on."""

from v2x.model.machine import Machine
from v2x.sources.interface import ChangeTracking, Source


def end_tracking(source: Source, machine: Machine, turned_on: bool) -> None:
    """Turns it off where this migration `turned_on` it, or the source says that a run did which was killed."""
    if isinstance(source, ChangeTracking) and (turned_on or source.turned_on(machine)):
        source.untrack(machine)
