# SPDX-License-Identifier: Apache-2.0
"""Doing what a conversion intends, in a guest that may be written to: never on a source, only on an overlay."""

from typing import Protocol

from v2x.convert.files import bytes_of, text_of
from v2x.convert.interface import Edit, FileCopy, GuestFiles, Proposal, RunningGuest, WritableGuest
from v2x.errors import TargetError
from v2x.text import printable


class ChangeableGuest(GuestFiles, WritableGuest, Protocol):
    """A guest that can be read and written."""


def apply(guest: ChangeableGuest, proposal: Proposal) -> None:
    """Edits, copies, then commands. TargetError if a file is not what it was when the conversion was planned, or if
    there is a command and the guest's programs cannot be run; then nothing was changed."""
    for edit in proposal.edits:
        if _now(guest, edit) != edit.before:
            raise TargetError(
                f"{printable(edit.path)} in the guest is not what it was", hint="plan the conversion again"
            )
    if proposal.commands and not isinstance(guest, RunningGuest):
        raise TargetError("the guest's own programs cannot be run here", hint="convert it where libguestfs is")
    for edit in proposal.edits:
        _edit(guest, edit)
    for copy in proposal.copies:
        _copy(guest, copy)
    for command in proposal.commands:
        for copy in command.copies:
            _copy(guest, copy)
        if isinstance(guest, RunningGuest):
            guest.run(command.argv)


def _now(guest: GuestFiles, edit: Edit) -> str | None:
    return guest.link_of(edit.path) if edit.link else text_of(guest, edit.path)


def _edit(guest: WritableGuest, edit: Edit) -> None:
    if edit.after is None:
        guest.remove(edit.path)
    elif edit.link:
        guest.symlink(edit.path, edit.after)
    else:
        guest.write(edit.path, bytes_of(edit.after), edit.mode)


def _copy(guest: ChangeableGuest, copy: FileCopy) -> None:
    if not guest.exists(copy.to):
        guest.copy(copy.path, copy.to)
