# SPDX-License-Identifier: Apache-2.0
"""What an attempt at one machine asks of the engine that runs it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from v2x.model.hook import Hook
from v2x.model.migration import DiskResult, Failure, Phase

Answer = dict[str, object]
Journal = Callable[[str, Callable[[], Answer]], Answer]


class Kept(Protocol):
    """Where a row's state is kept and shown."""

    def phase(self, phase: Phase) -> None: ...

    def remember(self, fact: str, instead_of: str = "") -> None:
        """Keeps a fact of this machine for all attempts at it, in whatever process; written before this returns.

        It takes the place of those that begin with `instead_of`.
        """
        ...

    def forget(self, fact: str) -> None:
        """Ends what `remember` began."""
        ...

    def facts(self) -> Sequence[str]:
        """What was remembered, the oldest first."""
        ...

    def results(self) -> Sequence[DiskResult]:
        """What `has` was told last of the disks, by this attempt or one before it."""
        ...

    def has(self, uuid: str, results: Sequence[DiskResult]) -> None:
        """The machine on the target, and what is known of its disks; empty when there is nothing any more."""
        ...

    def warning(self, text: str) -> None: ...

    def event(self, kind: str, text: str) -> None:
        """Something that belongs in the log and is no warning."""
        ...


class Wish(Protocol):
    """What the operator wants of a row while it runs."""

    def stopping(self) -> bool:
        """It is to come to a mark and stop: cancelled, paused, or the program ends."""
        ...

    def cancelled(self) -> bool: ...

    def missed(self) -> Failure | None:
        """What it ends with where its window is over; its source is let go of then."""
        ...

    def discards(self) -> bool:
        """Whether what a cancelled row has on the target is to be removed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often a step that may heal is tried, and how long is waited: doubled each time, with jitter, capped."""

    attempts: int = 4
    first_seconds: float = 2.0
    most_seconds: float = 60.0

    def delay(self, attempt: int, chance: Callable[[], float]) -> float:
        return min(self.most_seconds, self.first_seconds * 2.0**attempt) * (0.5 + chance() / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """The hooks of a row by moment, and what they are told of it."""

    due: Callable[[str], Sequence[Hook]] = lambda _moment: ()
    about: Mapping[str, object] = field(default_factory=dict)
