# SPDX-License-Identifier: Apache-2.0
"""What an account may do on a target, use by use."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsCheck:
    """Whether the account may do what a use of v2x takes; one line of v2x doctor."""

    name: str
    ok: bool
    found: str
    remedy: str = ""


@runtime_checkable
class TellsRights(Protocol):
    """Targets that know what the account may do there."""

    def rights(self) -> tuple[RightsCheck, ...]:
        """One for each use; nothing is tried out for it."""
        ...
