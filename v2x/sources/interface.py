# SPDX-License-Identifier: Apache-2.0
"""What a source of machines must offer, and the abilities that only some have."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from v2x.disks.extent import Extent
from v2x.disks.interface import DiskReader
from v2x.errors import SourceError
from v2x.model.inventory import Inventory
from v2x.model.machine import Disk, Machine, PowerState


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A fixed point in time of a machine's disks.

    `points` maps a disk id to a text that is equal if and only if the disk's content is: a snapshot id, a change id,
    or a file's size, modification time and write identifier. `left` names what stays at the source until `release`.
    """

    tag: str
    machine_id: str
    points: dict[str, str] = field(default_factory=dict)
    left: str = ""


@runtime_checkable
class Source(Protocol):
    """A place machines come from. Guest disks are never written; used as a context manager."""

    def inventory(self, select: Callable[[str], bool] | None = None) -> Inventory:
        """Lists machines whose name or id passes `select`. What cannot be listed stands in `problems`."""
        ...

    def checkpoint(self, machine: Machine, tag: str) -> Checkpoint:
        """Creates, or adopts if it exists, the checkpoint carrying `tag`. Safe to call twice."""
        ...

    def reader(self, machine: Machine, disk: Disk, at: Checkpoint) -> DiskReader:
        """Opens a disk at a checkpoint. The caller closes it."""
        ...

    def release(self, machine: Machine, tag: str) -> None:
        """Removes what `checkpoint` made under `tag`, nothing else; already gone is success."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@runtime_checkable
class ReadsAtRandom(Protocol):
    """Sources with several ways to a disk's bytes, not all of which can go back."""

    def random_reader(self, machine: Machine, disk: Disk, at: Checkpoint) -> DiskReader:
        """As `reader`, by a way that can be read at random where there is one."""
        ...


@runtime_checkable
class Integrity(Protocol):
    """Sources whose files carry digests written by whoever exported them."""

    def verify(self, machine: Machine, progress: Callable[[int], None] | None = None) -> tuple[str, ...]:
        """Reads the machine's files once, front to back, and compares them with their digests.

        Returns the names of the verified files; a file without a digest is not among them. DigestMismatch names the
        file and both digests. `progress` takes increments in bytes; whatever it raises ends the pass. Made to run in
        a thread beside the copy; the machine is sealed only after it returned.
        """
        ...


@runtime_checkable
class Confirms(Protocol):
    """Sources that can tell afterwards whether a machine was left alone while it was read."""

    def confirm(self, machine: Machine, at: Checkpoint) -> None:
        """SourceError SOURCE-CHANGED if what was read is not the checkpoint's point in time after all."""
        ...


@runtime_checkable
class Notes(Protocol):
    """Sources that have something to tell of what they did for a machine."""

    def notes(self, machine: Machine) -> tuple[str, ...]:
        """What a person should know, since it was last asked for."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLeftover:
    """Something at a source that carries a tag of ours; `what` names it, `created` is the source's own time."""

    machine: str
    tag: str
    id: str
    what: str
    created: str = ""


@runtime_checkable
class SourceLeftovers(Protocol):
    """Sources at which a run makes something, and may leave it when it is killed."""

    def leftovers(self) -> tuple[SourceLeftover, ...]: ...

    def remove(self, leftover: SourceLeftover) -> tuple[str, ...]:
        """Removes one of `leftovers`, nothing else; already gone is success. What there is to say of it."""
        ...


class TrackingLost(SourceError):
    """What changed since a point in time cannot be told; the disk must be copied whole."""

    code = "TRACKING-LOST"


@runtime_checkable
class ChangeTracking(Protocol):
    """Sources that can freeze a running machine's disks, and tell what changed between two points in time."""

    def track(self, machine: Machine, *, allowed: bool) -> bool:
        """Sees to it that changes are tracked from the next freeze on. True if that took a change at the source, now
        or in a run before this one.

        Made only where `allowed`; SourceError NOT-TRACKED says what keeps it from being so.
        """
        ...

    def turned_on(self, machine: Machine) -> bool:
        """Whether v2x turned tracking on, in whichever run, as far as the source knows."""
        ...

    def untrack(self, machine: Machine) -> None:
        """Turns tracking off again, where v2x turned it on."""
        ...

    def freeze(self, machine: Machine, tag: str) -> Checkpoint:
        """As `checkpoint`, for a machine in any power state; its points are good for `changed`. `release` ends it."""
        ...

    def changed(self, machine: Machine, disk: Disk, since: str, at: Checkpoint) -> Iterator[Extent]:
        """The areas that may differ between the point `since` and the checkpoint, zeroed and unmapped ones included.

        Ascending, as data extents. `since` may be a point whose snapshot is gone. TrackingLost where it is not known.
        """
        ...


@runtime_checkable
class Thaws(Protocol):
    """Sources whose freeze has to outlive its pass, since the next one is told from it what changed."""

    def thaw(self, machine: Machine, tag: str) -> None:
        """The pass is through on all disks: lets go of what the ones before it stood on. `release` lets go of all."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Strain:
    """What a snapshot costs: the datastore of the machine with the least share of its room free, and its own age."""

    datastore: str
    free_bytes: int
    capacity_bytes: int
    age_seconds: float = 0.0


@runtime_checkable
class WatchesSnapshots(Protocol):
    """Sources whose snapshots grow while they are held."""

    def strain(self, machine: Machine, tag: str) -> Strain | None:
        """As it is now, also where there is no snapshot of `tag` (its age is 0 then); None where nothing tells."""
        ...


@runtime_checkable
class TellsBackups(Protocol):
    """Sources that can see that a backup product is at a machine."""

    def backups(self, machine: Machine) -> tuple[str, ...]:
        """What shows that one runs just now, in words; empty where nothing does."""
        ...


@runtime_checkable
class Reshapes(Protocol):
    """Sources whose machines may gain, lose or enlarge disks while they are migrated."""

    def current(self, machine: Machine) -> Machine:
        """The machine with its disks as they are now; the same object where they are as before."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCheck:
    """One line of v2x doctor about a source."""

    name: str
    ok: bool
    found: str
    remedy: str = ""


@runtime_checkable
class Diagnoses(Protocol):
    """Sources that can say beforehand what a migration from them will meet."""

    def diagnosis(self, inventory: Inventory, machine: Machine | None) -> tuple[SourceCheck, ...]:
        """Privileges and licences; for one machine how each of its disks will be read, and why so."""
        ...


@runtime_checkable
class HardPowerOff(Protocol):
    """Sources that can switch a machine off without asking its guest."""

    def power_off(self, machine: Machine) -> None: ...


@runtime_checkable
class PowerControl(Protocol):
    """Sources that can tell and change the power state."""

    def state(self, machine: Machine) -> PowerState: ...

    def shutdown(self, machine: Machine, deadline_seconds: float) -> None: ...

    def power_on(self, machine: Machine) -> None: ...


@runtime_checkable
class PowerStates(Protocol):
    """Sources that tell the power states of many machines in one call."""

    def states(self, machines: Sequence[Machine]) -> dict[str, PowerState]:
        """By id of the machine; one that is not there any more is left out."""
        ...


@runtime_checkable
class Snapshots(Protocol):
    """Sources that copy a machine which goes on running: their `checkpoint` takes a snapshot of it."""

    def snapshot_name(self, tag: str) -> str:
        """What the snapshot of the migration `tag` is called at the source."""
        ...


@runtime_checkable
class Rehearses(Protocol):
    """Sources whose disks are on a way of their own, which is to be tried before a machine is brought down for it."""

    def rehearse(self, machine: Machine) -> None:
        """Finds each file of a running machine. What `reader` would raise, but for the files being in use."""
        ...


@runtime_checkable
class StaysOff(Protocol):
    """Sources that can keep a machine from starting by itself once its successor runs."""

    def stay_off(self, machine: Machine) -> None: ...


@runtime_checkable
class GivesBack(Protocol):
    """Sources that can undo `stay_off`."""

    def was(self, machine: Machine) -> dict[str, str]:
        """What `stay_off` would change, as it is now."""
        ...

    def give_back(self, machine: Machine, old: Mapping[str, str]) -> None:
        """Sets what `was` told."""
        ...


@runtime_checkable
class Marks(Protocol):
    """Sources whose machines have a name and notes that can be set."""

    def label(self, machine: Machine) -> dict[str, str]:
        """`name` and `notes` as they are now."""
        ...

    def relabel(self, machine: Machine, wanted: Mapping[str, str]) -> None:
        """Sets those that are named."""
        ...
