# SPDX-License-Identifier: Apache-2.0
"""What a migration tells while it runs, and how it is told to stop."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from v2x.model.migration import GuestChange, Phase


class Observer(Protocol):
    """Receives what happens, from whatever thread it happens in. Must not block and must not raise."""

    def phase(self, phase: Phase) -> None: ...

    def disk(self, disk: str, label: str, activity: str, done_bytes: int, total_bytes: int) -> None:
        """Work on a disk begins: `activity` is copy or verify, `done_bytes` of `total_bytes` need none."""
        ...

    def progress(self, disk: str, count_bytes: int) -> None: ...

    def warning(self, text: str) -> None: ...


@runtime_checkable
class TellsChanges(Protocol):
    """An observer that keeps what was changed inside a guest."""

    def converted(self, changes: tuple[GuestChange, ...]) -> None: ...


@runtime_checkable
class TellsUploads(Protocol):
    """An observer that keeps under which tasks of the pool a disk was sent."""

    def uploaded(self, disk: str, tasks: Sequence[str]) -> None:
        """`tasks` are the references of finished uploads of `disk`, in order."""
        ...


class Silent:
    """An observer that ignores everything."""

    def phase(self, phase: Phase) -> None: ...

    def disk(self, disk: str, label: str, activity: str, done_bytes: int, total_bytes: int) -> None: ...

    def progress(self, disk: str, count_bytes: int) -> None: ...

    def warning(self, text: str) -> None: ...
