# SPDX-License-Identifier: Apache-2.0
"""Doing what a conversion intends, in a guest that may be written to: never on a source, only on an overlay."""

from dataclasses import replace
from typing import Protocol

from v2x.convert.files import bytes_of, text_of
from v2x.convert.interface import (
    Command,
    Edit,
    FileCopy,
    GuestFiles,
    Proposal,
    Remark,
    RunningGuest,
    WritableGuest,
)
from v2x.errors import TargetError
from v2x.proc import ToolFailed
from v2x.text import printable


class ChangeableGuest(GuestFiles, WritableGuest, Protocol):
    """A guest that can be read and written."""


def apply(guest: ChangeableGuest, proposal: Proposal) -> Proposal:
    """Edits, copies, then commands; returns what was done, which is less where a command failed that may.

    TargetError if a file is not what it was when the conversion was planned, or if there is a command and the guest's
    programs cannot be run; then nothing was changed. ToolFailed where a command fails that must not.
    """
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
    done: list[Command] = []
    instead: list[Edit] = []
    remarks = list(proposal.remarks)
    for command in proposal.commands:
        problem = _run(guest, command)
        if problem is None or command.otherwise is None:
            done.append(command)
            continue
        for edit in command.otherwise.edits:
            _edit(guest, edit)
        instead += command.otherwise.edits
        remarks.append(Remark(text=f"{command.otherwise.text}: {problem.message}", remedy=command.otherwise.remedy))
    edits = (*proposal.edits, *instead)
    return replace(proposal, edits=edits, commands=tuple(done), remarks=tuple(remarks))


def _run(guest: ChangeableGuest, command: Command) -> ToolFailed | None:
    """Runs a command with its copies and its file; what failed, where it may fail."""
    for copy in command.copies:
        _copy(guest, copy)
    if command.upload is not None:
        guest.upload(command.upload.source, command.upload.to)
    try:
        if isinstance(guest, RunningGuest):
            guest.run(command.argv)
    except ToolFailed as problem:
        if command.otherwise is None:
            raise
        return problem
    finally:
        if command.upload is not None:
            guest.remove(command.upload.to)
    return None


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
