# SPDX-License-Identifier: Apache-2.0
"""A backup product that is at a machine goes first: its snapshot, its task or its hot-added disk is waited for.

So is any other task that keeps the machine from being read: an export of somebody else's, or one of a run that was
killed, which the source ends by itself some minutes later.
"""

from collections.abc import Callable
from typing import TypeVar

from v2x.errors import Blocked, SourceError
from v2x.migrate.work import Work
from v2x.sources.interface import TellsBackups
from v2x.waiting import wait

T = TypeVar("T")

CODE = "BACKUP-RUNS"
BUSY = "BUSY"
"""The code of a source's refusal while another task holds the machine, and of having waited for that in vain."""


def wait_for_backup(work: Work) -> None:
    """Returns once no backup runs. Blocked after the time that it is waited for; Stopped where that is wanted."""
    if not isinstance(work.source, TellsBackups):
        return
    name, limit, began, told = work.machine.name, work.limits.backup_wait_seconds, work.clock(), ""
    while found := work.source.backups(work.machine):
        said = "; ".join(found)
        left = began + limit - work.clock()
        if left <= 0:
            raise Blocked(
                f"{name}: {said}; waited for {limit / 60:g} minutes",
                code=CODE,
                hint="the same command continues once it has ended; end or remove it where it belongs to no backup",
            )
        if said != told:
            work.observer.warning(f"{name}: {said}; it is waited for up to {left / 60:.3g} minutes (--backup-wait)")
            told = said
        _nap(work, min(work.look_seconds, left))


def once_free(work: Work, action: Callable[[], T]) -> T:
    """What `action` gives, tried again while the source says BUSY, for as long as a backup is waited for."""
    limit, began, told = work.limits.backup_wait_seconds, work.clock(), False
    while True:
        try:
            return action()
        except SourceError as problem:
            left = began + limit - work.clock()
            if problem.code != BUSY:
                raise
            if left <= 0:
                raise Blocked(
                    f"{problem.message}; waited for {limit / 60:g} minutes",
                    code=BUSY,
                    hint="the same command continues once it has ended",
                ) from None
            if not told:
                work.observer.warning(
                    f"{problem.message}; it is waited for up to {left / 60:.3g} minutes (--backup-wait)"
                )
                told = True
            _nap(work, min(work.look_seconds, left))


def let_go(work: Work) -> None:
    """Removes our snapshot at the source. A task that holds the machine, as a killed run's export, is waited for."""
    once_free(work, lambda: work.source.release(work.machine, work.tag))


def _nap(work: Work, seconds: float) -> None:
    wait(seconds, work.stopping, "another task", sleep=work.sleep, clock=work.clock)
