# SPDX-License-Identifier: Apache-2.0
"""Our snapshots at the source: made or adopted by tag, without memory, removed and consolidated when done.

A snapshot is ours by its name alone, `v2x <tag>`; no other one is ever touched. Its disks are found in its own
configuration.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pyVmomi import vim

from v2x.errors import SourceError, V2xError
from v2x.sources.vsphere.failures import ConnectionLost, fault_name
from v2x.sources.vsphere.session import VsphereSession

DESCRIPTION = "made by v2x to read this machine's disks; v2x removes it when it is done"
_OURS = re.compile(r"v2x ([0-9A-Za-z._-]{4,64})")
_NOT_QUIESCED = frozenset(
    {
        "ApplicationQuiesceFault",
        "FilesystemQuiesceFault",
        "QuiesceDatastoreIOForHAFailed",
        "SnapshotFault",
        "ToolsUnavailable",
        "MemorySnapshotOnIndependentDisk",
        "Timedout",
    }
)
_FROZEN_SECONDS = 3_600.0
_REMOVAL_SECONDS = 24 * 3_600.0

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A snapshot in a machine's tree; `reference` is pyVmomi's."""

    reference: Any
    name: str
    description: str
    time: datetime | None
    tag: str

    @property
    def created(self) -> str:
        return self.time.isoformat() if self.time else ""

    @property
    def id(self) -> str:
        return str(self.reference._GetMoId())


def snapshot_name(tag: str) -> str:
    return f"v2x {tag}"


def tag_of(name: str) -> str:
    """The tag in a name of ours; empty for every other name."""
    match = _OURS.fullmatch(name)
    return match[1] if match else ""


def walk(info: Any) -> Iterator[Held]:
    """All snapshots of a `vm.snapshot` property."""
    waiting = list(getattr(info, "rootSnapshotList", None) or [])
    while waiting:
        node = waiting.pop()
        yield Held(
            reference=node.snapshot,
            name=node.name,
            description=node.description or "",
            time=node.createTime,
            tag=tag_of(node.name),
        )
        waiting += node.childSnapshotList or []


def find(session: VsphereSession, reference: Any, tag: str) -> Held | None:
    return next((one for one in _tree(session, reference) if one.tag == tag), None)


def _tree(session: VsphereSession, reference: Any) -> Iterator[Held]:
    for found in session.retrieve(vim.VirtualMachine, ["snapshot"], objects=[reference]):
        return walk(found.values.get("snapshot"))
    return iter(())


def ensure(session: VsphereSession, reference: Any, tag: str, *, quiesce: bool, subject: str, note: Note) -> Held:
    """The machine's snapshot of that tag, made if it is not there yet.

    A quiesced one that the guest does not manage is made without, and a note says so. A call whose answer was lost is
    not repeated before a look at whether it took effect.
    """
    for _ in range(3):
        held = find(session, reference, tag)
        if held is not None:
            return held
        try:
            _create(session, reference, tag, quiesce, subject)
        except ConnectionLost:
            session.sleep(1.0)
        except V2xError as problem:
            if not quiesce or fault_name(problem.__cause__) not in _NOT_QUIESCED:
                raise
            note(f"{subject} could not be quiesced ({problem.message}); its disks are as after a power cut")
            quiesce = False
    raise SourceError(
        f"{subject}: no snapshot could be made", code="SNAPSHOT", hint="look at its tasks, then run again"
    )


def _create(session: VsphereSession, reference: Any, tag: str, quiesce: bool, subject: str) -> None:
    task = session.call(
        reference.CreateSnapshot_Task,
        snapshot_name(tag),
        DESCRIPTION,
        False,
        quiesce,
        doing="take a snapshot",
        subject=subject,
    )
    session.wait_task(task, doing="take a snapshot", subject=subject, timeout=_FROZEN_SECONDS)


def remove(session: VsphereSession, reference: Any, *tags: str, subject: str, note: Note) -> bool:
    """Removes the machine's snapshots of these tags and merges their files; whether there was one.

    Consolidation is waited for. Where the machine needs more of it afterwards, it is asked for once, and a note tells
    when that did not help: nothing is lost then, but the machine goes on writing to a delta file.
    """
    ours = [one for one in _tree(session, reference) if one.tag in tags]
    for held in ours:
        _remove(session, reference, held, subject)
    if ours:
        _consolidate(session, reference, subject, note)
    return bool(ours)


def _remove(session: VsphereSession, reference: Any, held: Held, subject: str) -> None:
    doing = "remove the snapshot"
    try:
        task = session.call(held.reference.RemoveSnapshot_Task, False, True, doing=doing, subject=subject)
        session.wait_task(task, doing=doing, subject=subject, timeout=_REMOVAL_SECONDS)
    except V2xError as problem:
        if isinstance(problem, ConnectionLost):
            session.sleep(1.0)
        if find(session, reference, held.tag) is not None:
            raise
        # It is gone from the tree all the same; what is left of it is a matter of consolidation.


def _consolidate(session: VsphereSession, reference: Any, subject: str, note: Note) -> None:
    if not _needs_consolidation(session, reference):
        return
    try:
        task = session.call(reference.ConsolidateVMDisks_Task, doing="consolidate its disks", subject=subject)
        session.wait_task(task, doing="consolidate its disks", subject=subject, timeout=_REMOVAL_SECONDS)
    except V2xError as problem:
        note(f"{subject} still needs consolidation of its disks at the source: {problem.message}")
        return
    if _needs_consolidation(session, reference):
        note(f"{subject} still needs consolidation of its disks at the source; a backup may hold a file of it")
    else:
        note(f"{subject}: its disks were consolidated at the source")


def _needs_consolidation(session: VsphereSession, reference: Any) -> bool:
    for found in session.retrieve(vim.VirtualMachine, ["runtime.consolidationNeeded"], objects=[reference]):
        return found.values.get("runtime.consolidationNeeded") is True
    return False
