# SPDX-License-Identifier: Apache-2.0
"""The guest put right on its way: its disks are copied as they look on overlays, and what was changed is told."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from v2x.convert.guest import converted_guest
from v2x.convert.interface import Conversion
from v2x.disks.interface import DiskReader
from v2x.migrate.look import adapters_of, clock_offset_of
from v2x.migrate.observe import TellsChanges
from v2x.model.migration import GuestChange, Phase

if TYPE_CHECKING:
    from v2x.migrate.work import Work


@contextlib.contextmanager
def converted(work: "Work") -> Iterator[None]:
    """Within the block, `work.converted` are the disks as they are to be copied; without a wish for it, none.

    Nothing of the target is touched before the guest is put right. What was changed goes to an observer that keeps it,
    and remarks to the warnings.
    """
    if not work.convert:
        yield
        return
    work.observer.phase(Phase.CONVERT)
    disks = [work.source_disk(one.source_disk) for one in work.spec.disks]
    disks.sort(key=lambda disk: disk.position)
    with contextlib.ExitStack() as stack:
        readers: list[DiskReader] = []
        for disk in disks:
            reader = work.source.reader(work.machine, disk, work.held_checkpoint())
            readers.append(stack.enter_context(contextlib.closing(reader)))
        folder = work.stage or Path(tempfile.gettempdir())
        adapters = adapters_of(work.machine, work.spec)
        put_right = converted_guest(
            readers,
            folder,
            adapters=adapters,
            clock_offset_seconds=clock_offset_of(work.spec),
            wishes=work.wishes,
        )
        conversion, changed = stack.enter_context(put_right)
        for remark in conversion.proposal.remarks:
            work.observer.warning(f"{remark.text}; {remark.remedy}" if remark.remedy else remark.text)
        if isinstance(work.observer, TellsChanges):
            work.observer.converted(tuple(changes_of(conversion)))
        work.converted = {disk.id: reader for disk, reader in zip(disks, changed, strict=True)}
        work.observer.phase(Phase.COPY)
        try:
            yield
        finally:
            work.converted = {}


def changes_of(conversion: Conversion) -> Iterator[GuestChange]:
    """Every change, in the order in which it was made; text that is no UTF-8 with escapes."""
    proposal = conversion.proposal
    for edit in proposal.edits:
        yield GuestChange(
            kind="link" if edit.link else "edit",
            what=edit.path,
            before=_valid(edit.before),
            after=_valid(edit.after),
            why=edit.why,
        )
    for copy in (*proposal.copies, *(one for command in proposal.commands for one in command.copies)):
        yield GuestChange(kind="copy", what=copy.path, after=copy.to, why=copy.why)
    for command in proposal.commands:
        yield GuestChange(kind="command", what=" ".join(command.argv), why=command.why)


def _valid(text: str | None) -> str | None:
    return None if text is None else text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
