# SPDX-License-Identifier: Apache-2.0
"""What a worker needs of whatever keeps its workflows, and how often it looks around."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from v2x.engine.attempt import Journal, Patience
from v2x.engine.dispatch import Claimed
from v2x.engine.store import Store
from v2x.engine.vigil import WATCH_SECONDS


class Durable(Protocol):
    """Runs workflows that survive the process; see dbos.py."""

    def launch(self, store: Store, executor: str, run: Callable[[str, str, int, Journal], None]) -> None:
        """Begins, and continues what `executor` was at when it ended. StateError for a journal that is not ours."""
        ...

    def start(self, row: Claimed) -> None: ...

    def alive(self, executor: str) -> set[tuple[str, str, int]]:
        """Batch, row and attempt of what `executor` has begun and not ended."""
        ...

    def take_over(self, executor: str) -> None:
        """Continues here, or on another living worker, what a dead executor was at."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pacing:
    """How often a worker looks; tests look more often."""

    look_seconds: float = 0.5
    beat_seconds: float = 0.5
    bury_seconds: float = 2.0
    test_seconds: float = 15.0
    strain_seconds: float = 15.0
    watch_seconds: float = WATCH_SECONDS
    patience: Patience = field(default_factory=Patience)
