# SPDX-License-Identifier: Apache-2.0
"""The way back of one machine: its successor is stopped for good first, then the source is put back and started.

Two of one machine never run, also when this is killed between its steps: each is safe to repeat.
"""

from collections.abc import Callable, Mapping

from v2x.errors import Unsupported
from v2x.migrate.marking import unmark
from v2x.model.machine import Machine
from v2x.sources.interface import GivesBack, PowerControl, Source
from v2x.target.interface import Claim, Target, WayBack


def go_back(
    machine: Machine,
    claim: Claim | None,
    source: Source,
    target: Target,
    *,
    saved: Mapping[str, str],
    label: Mapping[str, str],
    was_on: bool,
    said: Callable[[str], None],
) -> None:
    """`saved` and `label` are what was changed at the source, as it was before; `was_on` that it ran.

    A claim that is not sealed was never able to start, and stays as it is.
    """
    if claim is not None and claim.sealed:
        if not isinstance(target, WayBack):
            raise Unsupported("this target cannot stop what it holds", hint="stop it by hand, then start the source")
        target.halt(claim)
        said(f"{claim.name} is stopped on the target and kept from starting")
    if saved and isinstance(source, GivesBack):
        source.give_back(machine, saved)
    unmark(source, machine, label)
    if was_on and isinstance(source, PowerControl):
        source.power_on(machine)
