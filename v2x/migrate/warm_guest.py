# SPDX-License-Identifier: Apache-2.0
"""The guest of a warm migration: its conversion is tried before anything is copied, and done in the outage.

In the outage the disks hold the last point. What the conversion changes is sent as a patch, and the blocks of it stand
on the disk first: a pass after one that was broken off sends these from the source again, so that each conversion
begins with the source's bytes, and nothing else is copied twice (docs/adr/0018).
"""

from collections.abc import Iterator
from dataclasses import replace

from v2x.disks.interface import DiskReader
from v2x.errors import InputRefused, SourceError
from v2x.migrate.copy import DiskCopy
from v2x.migrate.guest import patch, put_right
from v2x.migrate.power import state_now
from v2x.migrate.work import Work
from v2x.model.machine import Disk, PowerState
from v2x.model.migration import Phase
from v2x.sources.interface import Checkpoint


def rehearse(work: Work, at: Checkpoint) -> None:
    """Converts the guest on overlays over the snapshot of the first pass and throws them away.

    Whatever would fail fails here, with the machine running and before a byte is copied. Once it is off, its outage has
    begun, and the time for that is over.
    """
    if not work.convert or work.rehearsed or state_now(work) is PowerState.OFF:
        return
    with put_right(work, at):
        work.rehearsed = True
    work.observer.phase(Phase.SYNC)


def conversion(work: Work, at: Checkpoint) -> Iterator[tuple[Disk, DiskReader, DiskCopy]]:
    """Each disk that was patched, with a reader of what the target holds then; nothing without a wish for it.

    All disks hold `at`. SourceError where the guest is refused: what was copied stays.
    """
    if not work.convert:
        return
    try:
        with put_right(work, at) as disks:
            work.observer.phase(Phase.LAST_SYNC)
            for disk in work.held_claim().disks:
                described, after = work.source_disk(disk.source_disk), disks[disk.source_disk].after
                whole = replace(disk, point=at.points[described.id], mark_bytes=disk.size_bytes)
                done = patch(work, whole, described, after)
                if done is not None:
                    yield described, after.reader, done
    except InputRefused as problem:
        raise SourceError(problem.message, hint=problem.hint, code=problem.code) from None
