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
    PrivateGuest,
    Proposal,
    Remark,
    RunningGuest,
    WritableGuest,
)
from v2x.convert.registry import KeyRemoval, Registry, RegistryEdit, WritableRegistry
from v2x.errors import InputRefused, TargetError
from v2x.proc import ToolFailed
from v2x.text import printable


class ChangeableGuest(GuestFiles, WritableGuest, Protocol):
    """A guest that can be read and written."""


class ChangeableRegistry(Registry, WritableRegistry, Protocol):
    """A registry that can be read and written."""


def apply(guest: ChangeableGuest, proposal: Proposal, *, registry: ChangeableRegistry | None = None) -> Proposal:
    """Removals, edits, registry, additions, copies, then commands; returns what was done, which is less where a
    command failed that may.

    InputRefused, with its code, for a guest that is refused; TargetError if something is not what it was when the
    conversion was planned, or if this guest cannot take what is proposed; then nothing was changed. ToolFailed where a
    command fails that must not.
    """
    _check(guest, proposal, registry)
    for removal in proposal.removals:
        guest.remove(removal.path)
    for edit in proposal.edits:
        _edit(guest, edit)
    if registry is not None and proposal.registry:
        registry.change(proposal.registry)
    if isinstance(guest, PrivateGuest):
        for addition in proposal.additions:
            guest.add_private(addition.source, addition.to)
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


def _check(guest: ChangeableGuest, proposal: Proposal, registry: ChangeableRegistry | None) -> None:
    for refusal in proposal.refusals:
        raise InputRefused(refusal.text, hint=refusal.remedy, code=refusal.code)
    for edit in proposal.edits:
        if _now(guest, edit) != edit.before:
            raise _changed(edit.path)
    for change in proposal.registry:
        if registry is None or not _as_before(registry, change):
            raise _changed(change.place)
    private = bool(proposal.additions) or any(edit.private for edit in proposal.edits)
    if private and not isinstance(guest, PrivateGuest):
        raise TargetError("private files cannot be made here", hint="convert it where libguestfs is")
    if proposal.commands and not isinstance(guest, RunningGuest):
        raise TargetError("the guest's own programs cannot be run here", hint="convert it where libguestfs is")


def _now(guest: GuestFiles, edit: Edit) -> str | None:
    return guest.link_of(edit.path) if edit.link else text_of(guest, edit.path)


def _as_before(registry: Registry, change: RegistryEdit) -> bool:
    if isinstance(change, KeyRemoval):
        return registry.values(change.hive, change.key) == dict(change.values)
    return registry.value(change.hive, change.key, change.name) == change.before


def _changed(place: str) -> TargetError:
    return TargetError(f"{printable(place)} in the guest is not what it was", hint="plan the conversion again")


def _edit(guest: WritableGuest, edit: Edit) -> None:
    if edit.after is None:
        guest.remove(edit.path)
    elif edit.private and isinstance(guest, PrivateGuest):
        guest.write_private(edit.path, bytes_of(edit.after))
    elif edit.link:
        guest.symlink(edit.path, edit.after)
    else:
        guest.write(edit.path, bytes_of(edit.after), edit.mode)


def _copy(guest: ChangeableGuest, copy: FileCopy) -> None:
    if not guest.exists(copy.to):
        guest.copy(copy.path, copy.to)
