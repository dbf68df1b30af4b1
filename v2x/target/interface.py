# SPDX-License-Identifier: Apache-2.0
"""What a target must offer. The truth about how far a migration got lives on the target's own objects."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

from v2x.disks.areas import ChangedAreas
from v2x.disks.interface import Buffer, DiskReader
from v2x.errors import Retry, TargetError
from v2x.model.health import GuestNow
from v2x.model.rehearsal import Rehearsal, Seclusion, Stage
from v2x.model.target import TargetFacts, TargetMachine, UsedMac

RESOURCE_SET = "xo:resource_set"
"""The key of other_config by which Xen Orchestra knows a machine's resource set; its value is a JSON text."""


class SegmentLost(TargetError):
    """An upload broke, and sending again from `mark_bytes` may well succeed.

    The writer that raised it is of no more use, and what it took beyond the mark counts as not written. The caller
    aborts it, opens another for the blocks at or above the mark, and gives up after some attempts without progress.
    """

    code = "SEGMENT-LOST"
    retry = Retry.NOW

    def __init__(self, message: str, *, mark_bytes: int) -> None:
        super().__init__(message, hint="check the network and the host; the same command continues")
        self.mark_bytes = mark_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedDisk:
    """A disk made on the target for one of the source's.

    `size_bytes` is what the target made, read back (it may be rounded up). `mark_bytes` is the high-water mark:
    everything below it was taken over by the target, for the point in time `point`. A `point` is there from before the
    first byte was sent, so also with a mark of 0; empty says that the disk is fresh. One of another point in time
    than wanted needs `remake`, whatever its mark.
    """

    source_disk: str
    id: str
    size_bytes: int
    mark_bytes: int = 0
    point: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The objects on the target that belong to one migration. `sealed` means it is finished and may be started.

    `id` is empty where only disks are left, because the machine was removed by hand; `claim` makes it again and
    `discard` removes the disks.
    """

    tag: str
    id: str
    name: str
    disks: tuple[ClaimedDisk, ...] = ()
    sealed: bool = False
    fresh: bool = False
    notes: tuple[str, ...] = field(default=())


@runtime_checkable
class DiskWriter(Protocol):
    """Takes the blocks that were announced, in ascending order, each once.

    `block` is the block size in bytes. A block handed to `write` is full size except the last of the disk.
    `write` and `commit` raise SegmentLost for what sending again may cure, another TargetError for the rest.
    """

    @property
    def block(self) -> int: ...

    @property
    def sent_bytes(self) -> int:
        """Content bytes sent so far by this writer."""
        ...

    @property
    def segments(self) -> int:
        """Uploads finished so far."""
        ...

    def write(self, number: int, data: Buffer) -> None:
        """Sends block `number`; returns when the buffer may be reused."""
        ...

    def commit(self) -> int:
        """After the last announced block: everything is on the target. Returns the mark, the disk's full size."""
        ...

    def abort(self) -> None:
        """Drops the upload under way; what was marked stays. Safe to call twice and after commit."""
        ...


@runtime_checkable
class ByTasks(Protocol):
    """Writers whose uploads are tasks of the pool."""

    @property
    def task_references(self) -> Sequence[str]:
        """References of the tasks that ended well so far, as the pool's own logs have them."""
        ...


@runtime_checkable
class LeavesOut(Protocol):
    """Writers that can pass over an announced block: what the disk holds there stays."""

    def leave_out(self, number: int, data: Buffer) -> None:
        """In place of `write`, for a block of zeros where the disk was never written to. `data` are the zeros."""
        ...


@runtime_checkable
class Target(Protocol):
    """A place machines go to; used as a context manager."""

    def facts(self) -> TargetFacts: ...

    def find(self, tag: str) -> Claim | None:
        """The claim with this tag, sealed or not. Conflict when more than one object claims to be it."""
        ...

    def claim(self, spec: TargetMachine, tag: str) -> Claim:
        """Creates or completes the machine with its disks and NICs, start blocked, all tagged."""
        ...

    def writer(self, claim: Claim, disk: ClaimedDisk, blocks: Sequence[int], point: str) -> DiskWriter:
        """Opens `disk` for the ascending block numbers in `blocks`, those at or above its mark.

        `point` is written before the first byte; Conflict when the disk has another. Blocks that are not announced
        keep what the disk holds. A target with an attribute `sequential_disks` that is true takes the disks of a
        claim one after the other, in the claim's order.
        """
        ...

    def remake(self, claim: Claim, disk: ClaimedDisk) -> ClaimedDisk:
        """Replaces a disk of an unsealed claim with a fresh one: its content is of another point in time."""
        ...

    def seal(self, claim: Claim, spec: TargetMachine) -> None:
        """Final name, claim tags removed, operations unblocked. Safe to call again, also to finish one cut off."""
        ...

    def discard(self, claim: Claim) -> None:
        """Removes an unsealed claim with all it made; already gone is success."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class ReadBack(Protocol):
    """Targets whose disks can be read again, for verification."""

    def reader(self, claim: Claim, disk: ClaimedDisk) -> DiskReader: ...


@runtime_checkable
class Patches(Protocol):
    """Targets whose disks can be brought from one point in time to a later one."""

    def takes_patches(self, claim: Claim, disk: ClaimedDisk) -> bool:
        """Whether `patcher` can open this disk, whose storage may take whole disks only."""
        ...

    def patcher(
        self, claim: Claim, disk: ClaimedDisk, blocks: Sequence[int], areas: ChangedAreas | None = None
    ) -> DiskWriter:
        """Opens a disk that was begun for any blocks of it, zeros included; its point stays as it is.

        Blocks are handed over whole; with `areas`, only these parts of them are written to the disk.

        A mark that stands lower than a block that was written is raised, a higher one stays. SegmentLost carries how
        far this writer came. Unsupported where the storage takes whole disks only.
        """
        ...

    def advance(self, claim: Claim, disk: ClaimedDisk, point: str) -> ClaimedDisk:
        """Notes that the whole disk now holds `point`."""
        ...

    def resize(self, claim: Claim, disk: ClaimedDisk, size_bytes: int) -> ClaimedDisk:
        """Grows a disk to at least `size_bytes`; what is new reads as zeros."""
        ...


@runtime_checkable
class KeepsBase(Protocol):
    """Targets that can tell later what was written to a disk since a moment, and read that alone."""

    def keep(self, claim: Claim, disk: ClaimedDisk) -> bool:
        """From now on; what was kept before is let go of. False where it cannot, or where that takes too much room."""
        ...

    def keeps(self, claim: Claim, disk: ClaimedDisk) -> bool:
        """Whether there is such a moment. It ends with `seal`, `remake`, `resize`, `drop` and `discard`."""
        ...

    def written(self, claim: Claim, disk: ClaimedDisk) -> DiskReader | None:
        """Reads what was written since: only its data extents may be read. None where the target cannot tell."""
        ...


@runtime_checkable
class DropsDisks(Protocol):
    """Targets that can take a disk off an unsealed claim."""

    def drop(self, claim: Claim, disk: ClaimedDisk) -> None:
        """Removes it from machine and storage; already gone is success. Conflict where another machine has it."""
        ...


@runtime_checkable
class Starts(Protocol):
    """Targets that can start what they hold."""

    def start(self, claim: Claim) -> None: ...


@runtime_checkable
class TellsGuest(Protocol):
    """Targets that can tell of a guest that runs on them."""

    def guest(self, claim: Claim) -> GuestNow: ...


@runtime_checkable
class WayBack(Protocol):
    """Targets whose sealed machines can be stopped for good, so that their sources may run again."""

    def first_start(self, claim: Claim) -> str:
        """When the sealed machine was last started (ISO 8601); empty if it never was."""
        ...

    def halt(self, claim: Claim) -> None:
        """Stops it and keeps it from starting; its disks stay as they are. Safe to call twice."""
        ...

    def remove(self, claim: Claim) -> None:
        """Removes it and its migrated disks, after `halt` only. Conflict where it may start, or has snapshots."""
        ...


@runtime_checkable
class Remarks(Protocol):
    """Targets that tell what a seal could not set, and what it leaves to a person."""

    def remarks(self, claim: Claim) -> tuple[str, ...]:
        """Those of the last seal of this claim by this run."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A storage repository that a machine goes to; `free_bytes` is None where it does not tell its size."""

    uuid: str
    name: str
    thin: bool
    free_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What there is on a target that concerns one machine. Claims that are under way do not count.

    `place` is the target's name, `macs` are those of the machine that somebody has already.
    """

    place: str
    name_used: bool
    macs: tuple[UsedMac, ...] = ()
    storage: tuple[Room, ...] = ()


def surroundings_of(facts: TargetFacts, spec: TargetMachine) -> Surroundings:
    """What `facts` say of one machine's surroundings."""
    wanted, places = {nic.mac for nic in spec.nics}, {disk.sr for disk in spec.disks}
    return Surroundings(
        place=facts.pool_name or facts.address,
        name_used=spec.name in facts.machine_names,
        macs=tuple(used for used in facts.macs if used.mac in wanted),
        storage=tuple(
            Room(uuid=sr.uuid, name=sr.name, thin=sr.thin, free_bytes=sr.free_bytes if sr.size_bytes > 0 else None)
            for sr in facts.storage
            if sr.uuid in places
        ),
    )


@runtime_checkable
class Surveys(Protocol):
    """Targets that look at one machine's surroundings for less than all their facts cost."""

    def survey(self, spec: TargetMachine) -> Surroundings: ...


@runtime_checkable
class Leftovers(Protocol):
    """Targets that can list what unfinished runs left."""

    def leftovers(self) -> tuple[Claim, ...]:
        """Unsealed claims, and disks that carry a tag but belong to no machine any more (a claim without an id)."""
        ...


@runtime_checkable
class MakesNetworks(Protocol):
    """Targets on which networks can be made."""

    def ensure_network(self, name: str, vlan: int | None = None, uplink: str = "") -> str:
        """The uuid of a network of that name and VLAN over the network or interface `uplink`, made where there is none.

        What cannot be made whole is taken back.
        """
        ...


@runtime_checkable
class Rehearses(Protocol):
    """Targets on which copies of machines on their way can be tried, apart from everything else."""

    def seclude(self, stage: Stage, claims: Sequence[Claim]) -> Seclusion:
        """The isolated networks for copies of `claims`, made or adopted.

        Conflict for a VLAN that anything else uses or a test that runs elsewhere, NoSpace where no host has the memory.
        """
        ...

    def rehearse(
        self, claim: Claim, spec: TargetMachine, seclusion: Seclusion, until: datetime, still: Callable[[], bool]
    ) -> Rehearsal:
        """A copy of the claim's disks as they are, in a machine `spec`, halted; one that is there is adopted.

        `still` is asked once the disks are copied: whether nobody wrote to the claim meanwhile. If not, the copy is
        removed again, with Conflict.
        """
        ...

    def start_rehearsal(self, rehearsal: Rehearsal, seclusion: Seclusion) -> None:
        """Starts it, after a look at its adapters. Conflict where one is on any network but the isolated ones."""
        ...

    def rehearsals(self, tag: str = "") -> tuple[Rehearsal, ...]:
        """All test copies, or those of one migration."""
        ...

    def end_rehearsal(self, rehearsal: Rehearsal) -> None:
        """Removes a test copy with its disks; already gone is success."""
        ...

    def strike(self, id: str) -> tuple[str, ...]:
        """Removes the isolated networks of a test cutover that has no copies left. What to say of those that stay."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageLoad:
    """How strained storage is: the time that a request takes, and how many elements of disk chains wait to be
    coalesced. None for what was not measured, which is not zero."""

    latency_seconds: float | None = None
    chains: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How strained a target is at a moment, by uuid.

    `cpu` is the share (0 to 1) of its CPU that a host's control domain uses; None where that was not measured.
    `names` are those of hosts and storage, `missing` says of what was not measured why not.
    """

    cpu: Mapping[str, float | None] = field(default_factory=dict)
    storage: Mapping[str, StorageLoad] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class TellsLoad(Protocol):
    """Targets that tell how strained they are. Asking changes nothing there."""

    def load(self, hosts: Collection[str], storage: Collection[str]) -> Load:
        """The load of these hosts and of this storage, by uuid; no host named means all."""
        ...
