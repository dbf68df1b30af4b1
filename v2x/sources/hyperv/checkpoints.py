# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of ours at a Hyper-V host, and which files each of them froze.

A checkpoint lets every disk go on in a new differencing file; the files below it stay as they are and can be read while
the machine runs. Its name is `v2x TAG N`, N counting from 1. What the machine wrote since is what the files above the
frozen one hold of their own: a checkpoint must stay until the next one of its migration is made, for with its removal
these files are merged and nothing tells any more what came when.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from v2x.errors import PermissionRefused, SourceError
from v2x.model.machine import DiskBus, Machine, Other
from v2x.sources.hyperv.disks import disk_id
from v2x.sources.hyperv.fields import Fields
from v2x.sources.hyperv.hosts import Hosts
from v2x.sources.hyperv.words import CONTROLLERS
from v2x.sources.interface import SourceLeftover

_OURS = re.compile(r"v2x (.+) (\d+)", re.IGNORECASE)
_SECONDS = 900.0
"""A production checkpoint waits for the guest's own services to come to rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCheckpoint:
    """One of ours. `frozen` maps a disk's id to the path of the file that it froze."""

    id: str
    name: str
    number: int
    frozen: dict[str, str]
    created: datetime | None = None


class Checkpoints:
    """Makes, finds and removes them; the first one of a machine is told to `note`."""

    def __init__(self, hosts: Hosts, note: Callable[[Machine, str, str, str, str], None]) -> None:
        self._hosts = hosts
        self._note = note
        self._told: set[str] = set()

    def of(self, machine: Machine, tag: str) -> list[HostCheckpoint]:
        """Those of a migration, the oldest first."""
        return _read(self._hosts.state(machine).fields, tag)

    def age_seconds(self, machine: Machine, tag: str, now: datetime) -> float:
        """The age of the newest one of a migration; 0 where there is none, or its time does not read."""
        newest = self.of(machine, tag)[-1:]
        made = newest[0].created if newest else None
        return max(0.0, (now - made).total_seconds()) if made is not None else 0.0

    def make(self, machine: Machine, tag: str, number: int) -> HostCheckpoint:
        """Another one. SourceError CHECKPOINT-FAILED where the host makes none."""
        name = f"v2x {tag} {number}"
        try:
            answer = self._hosts.change(machine, "checkpoint", name, deadline_seconds=_SECONDS)
        except PermissionRefused:
            raise
        except SourceError as problem:
            raise SourceError(
                f"{machine.name}: its host made no checkpoint: {problem.message}",
                code="CHECKPOINT-FAILED",
                hint="look at the machine's checkpoint settings and its guest's services, or migrate it cold",
                retry=problem.retry,
            ) from None
        made = next((one for one in _read(answer.fields, tag) if one.number == number), None)
        if made is None:
            raise SourceError(f"{machine.name}: the checkpoint {name} is not there", code="CHECKPOINT-FAILED")
        if machine.id not in self._told:
            self._told.add(machine.id)
            undo = f"Get-VM -Id {machine.id} | Get-VMSnapshot -Name 'v2x {tag} *' | Remove-VMSnapshot"
            self._note(machine, "checkpoints", "none of v2x", f"{name}, until the migration is through", undo)
        return made

    def drop(self, machine: Machine, checkpoints: Sequence[HostCheckpoint]) -> None:
        """Removes them, the oldest first; the host merges their files by itself."""
        for one in checkpoints:
            self._hosts.change(machine, "drop", one.name, deadline_seconds=_SECONDS)

    def leftovers(self) -> tuple[SourceLeftover, ...]:
        """All of ours that the hosts have."""
        documents, _ = self._hosts.collect()
        return tuple(
            SourceLeftover(
                machine=row.text("name"),
                tag=match[1],
                id=f"{row.text('id')}/{one.text('name')}",
                what=f"checkpoint {one.text('name')}",
                created=one.text("created"),
            )
            for document in documents
            for row in document.rows("vms")
            for one in row.rows("checkpoints")
            if (match := _OURS.fullmatch(one.text("name")))
        )


def _read(answer: Fields, tag: str) -> list[HostCheckpoint]:
    found = []
    for row in answer.rows("checkpoints"):
        match = _OURS.fullmatch(row.text("name"))
        if match and match[1].casefold() == tag.casefold():
            frozen = {_place(disk): disk.text("path") for disk in row.rows("disks")}
            found.append(
                HostCheckpoint(
                    id=row.text("id").lower(),
                    name=row.text("name"),
                    number=int(match[2]),
                    frozen=frozen,
                    created=_moment(row.time("created")),
                )
            )
    return sorted(found, key=lambda one: one.number)


def _place(row: Fields) -> str:
    word = row.word("controllerType", CONTROLLERS)
    known: dict[str, DiskBus] = {"IDE": DiskBus.IDE, "SCSI": DiskBus.SCSI}
    return disk_id(
        known.get(word) or Other(word.lower()), row.number("controllerNumber") or 0, row.number("location") or 0
    )


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
