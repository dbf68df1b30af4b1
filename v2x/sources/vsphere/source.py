# SPDX-License-Identifier: Apache-2.0
"""A vCenter or ESXi host as a source of machines."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType

from pyVmomi import vim

from v2x.disks.extent import Extent
from v2x.disks.interface import DiskReader
from v2x.errors import SourceError
from v2x.model.address import Address
from v2x.model.inventory import Inventory
from v2x.model.machine import Disk, DiskBacking, DiskMode, Machine, PowerState
from v2x.secrets import Secret
from v2x.sources.empty import EmptyDisk
from v2x.sources.interface import Checkpoint, SourceCheck, SourceLeftover, Strain
from v2x.sources.local_files import Clock, utc_now
from v2x.sources.vsphere import backups, changes, labels, power, retiring, snapshots, stillness, strain
from v2x.sources.vsphere.diagnosis import diagnose
from v2x.sources.vsphere.listing import Listing
from v2x.sources.vsphere.names import decoded
from v2x.sources.vsphere.options import VsphereOptions
from v2x.sources.vsphere.present import Present, check_disks, present, virtual_disks
from v2x.sources.vsphere.privileges import EVERY, WISHES, missing_for, missing_privileges
from v2x.sources.vsphere.session import VsphereSession
from v2x.sources.vsphere.sharing import SHARED
from v2x.tls import Trust

_TRACKING = "tracking"


class VsphereSource:
    """Machines of one server. A machine that is off is read as it lies; one that runs through a snapshot of ours."""

    def __init__(
        self, session: VsphereSession, address: Address, options: VsphereOptions, clock: Clock = utc_now
    ) -> None:
        self.session, self.options = session, options
        self._address, self._clock = address, clock
        self._notes: dict[str, list[str]] = {}
        self._closed = False

    @classmethod
    def open(
        cls,
        address: Address,
        *,
        password: Secret,
        trust: Trust,
        options: VsphereOptions | None = None,
        clock: Clock | None = None,
    ) -> "VsphereSource":
        """Logs in. ConnectError, TrustError, LoginError or Unsupported say why not."""
        options = options or VsphereOptions()
        place = address.host, address.port or 443, address.user

        def make() -> VsphereSession:
            return VsphereSession(*place, password, trust, proxy=options.proxy)

        session = SHARED.take((*place, trust, options.proxy), make)
        return cls(session, address, options, clock or utc_now)

    def __enter__(self) -> "VsphereSource":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def inventory(self, select: Callable[[str], bool] | None = None) -> Inventory:
        return Listing(
            session=self.session,
            address=str(self._address),
            taken_at=self._clock(),
            select=select,
            datacenter=self._address.path,
            progress=self.options.progress,
        ).inventory()

    def checkpoint(self, machine: Machine, tag: str) -> Checkpoint:
        """The stamps of its files for a machine that is off, a snapshot `v2x <tag>` for one that runs.

        SourceError SOURCE-CHANGED if its disks are not those of the plan. A snapshot of that tag, which an earlier run
        began with, is adopted; of a machine that is off by now it is removed, since its disks hold more.
        """
        now = present(self.session, machine, stillness.PATHS)
        check_disks(machine, now)
        if now.power is PowerState.SUSPENDED:
            raise SourceError(
                f"{machine.name} is suspended",
                code="SUSPENDED",
                hint="resume it and shut it down: what its memory holds is not on its disks",
            )
        held = snapshots.find(self.session, now.reference, tag)
        if now.power is PowerState.OFF:
            if held is not None:
                self.release(machine, tag)
                now = present(self.session, machine, stillness.PATHS)
            return Checkpoint(tag=tag, machine_id=machine.id, points=self._still(machine, now))
        _require_in_snapshots(machine)
        if held is not None:
            self._note(machine, f"{machine.name}: goes on with the snapshot of an earlier run, of {held.created}")
        else:
            held = snapshots.ensure(
                self.session,
                now.reference,
                tag,
                quiesce=self.options.quiesce,
                subject=machine.name,
                note=lambda text: self._note(machine, text),
            )
        points = self._frozen(machine, held)
        return Checkpoint(tag=tag, machine_id=machine.id, points=points, left=f"the snapshot “{held.name}”")

    def _still(self, machine: Machine, now: Present) -> dict[str, str]:
        made, note = stillness.stamps(self.session, now, machine.name)
        if note:
            self._note(machine, note)
        return {disk.id: f"/{disk.id}/{made.get(disk.id, '')}" for disk in machine.disks if not disk.lent_by}

    def _frozen(self, machine: Machine, held: snapshots.Held) -> dict[str, str]:
        """Snapshot, key and change id of each disk, from the snapshot's own configuration."""
        (found,) = self.session.retrieve(vim.vm.Snapshot, ["config.hardware.device"], objects=[held.reference])
        disks = virtual_disks(Present(reference=held.reference, values=found.values))
        own = [disk for disk in machine.disks if not disk.lent_by]
        missing = [disk.label for disk in own if disk.id not in disks]
        if missing:
            raise _not_in_snapshot(machine, missing, "was added after it")
        return {
            disk.id: f"{held.id}/{disk.id}/{getattr(disks[disk.id].backing, 'changeId', None) or ''}" for disk in own
        }

    def freeze(self, machine: Machine, tag: str) -> Checkpoint:
        """A snapshot `v2x <tag>`, also of a machine that is off; an earlier run's is adopted."""
        now = present(self.session, machine, stillness.PATHS)
        check_disks(machine, now)
        _require_in_snapshots(machine)
        held = snapshots.ensure(
            self.session,
            now.reference,
            tag,
            quiesce=self.options.quiesce and now.power is PowerState.ON,
            subject=machine.name,
            note=lambda text: self._note(machine, text),
        )
        return Checkpoint(tag=tag, machine_id=machine.id, points=self._frozen(machine, held))

    def current(self, machine: Machine) -> Machine:
        """Asked for by its devices; listed anew, by their files too, only where a disk or its size differs."""
        now = present(self.session, machine, stillness.PATHS)
        try:
            check_disks(machine, now)
        except SourceError:
            found = self.inventory(lambda key: key == machine.id).machines
            again = next((one for one in found if one.id == machine.id), None)
            if again is None:
                raise
            return replace(machine, disks=again.disks)
        return machine

    def strain(self, machine: Machine, tag: str) -> Strain | None:
        return strain.strain(self.session, machine, tag)

    def backups(self, machine: Machine) -> tuple[str, ...]:
        return backups.running(self.session, machine)

    def track(self, machine: Machine, *, allowed: bool) -> bool:
        return changes.track(self.session, machine, allowed=allowed, note=lambda text: self._note(machine, text))

    def turned_on(self, machine: Machine) -> bool:
        return changes.turned_on(self.session, machine)

    def untrack(self, machine: Machine) -> None:
        changes.untrack(self.session, machine)

    def changed(self, machine: Machine, disk: Disk, since: str, at: Checkpoint) -> Iterator[Extent]:
        return changes.changed(self.session, machine, disk, since, at)

    def stay_off(self, machine: Machine) -> None:
        retiring.stay_off(self.session, machine, lambda text: self._note(machine, text))

    def was(self, machine: Machine) -> dict[str, str]:
        return retiring.was(self.session, machine)

    def give_back(self, machine: Machine, old: Mapping[str, str]) -> None:
        retiring.give_back(self.session, machine, old)

    def label(self, machine: Machine) -> dict[str, str]:
        return labels.label(self.session, machine)

    def relabel(self, machine: Machine, wanted: Mapping[str, str]) -> None:
        labels.relabel(self.session, machine, wanted)

    def reader(self, machine: Machine, disk: Disk, at: Checkpoint) -> DiskReader:
        """Opens a disk over the transport that fits; the errors name the disk and say which would."""
        return self._opened(machine, disk, at, at_random=False)

    def random_reader(self, machine: Machine, disk: Disk, at: Checkpoint) -> DiskReader:
        """As `reader`, over an export only where nothing else fits or it was asked for."""
        return self._opened(machine, disk, at, at_random=True)

    def _opened(self, machine: Machine, disk: Disk, at: Checkpoint, *, at_random: bool) -> DiskReader:
        if disk.backing is DiskBacking.EMPTY:
            return EmptyDisk(disk.capacity_bytes)
        if disk.lent_by:
            raise SourceError(
                f"{disk.label} of {machine.name} belongs to another machine and is only lent to it",
                code="LENT-DISK",
                hint="wait for the backup to end, then list the source again",
            )
        from v2x.sources.vsphere.transports import open_disk

        options = replace(self.options.transport, warn=lambda text: self._note(machine, text), at_random=at_random)
        return open_disk(self.session, machine, disk, at, options)

    def confirm(self, machine: Machine, at: Checkpoint) -> None:
        """SourceError SOURCE-CHANGED if a machine that was read as it lay was started or written to since.

        Also if our snapshot was removed meanwhile: its files take what the guest writes from then on.
        """
        if all(not point.startswith("/") for point in at.points.values()):
            self._confirm_frozen(machine, at)
            return
        now = present(self.session, machine, stillness.PATHS)
        moved = now.power is not PowerState.OFF
        if not moved:
            made, _ = stillness.stamps(self.session, now, machine.name)
            moved = any(at.points[key] != f"/{key}/{made.get(key, '')}" for key in at.points)
        if moved:
            what = "was started" if now.power is not PowerState.OFF else "was changed"
            raise SourceError(
                f"{machine.name} {what} while it was copied, so that the copy is of no one moment",
                code="SOURCE-CHANGED",
                hint="shut it down and run the same command again; it is copied anew",
            )

    def _confirm_frozen(self, machine: Machine, at: Checkpoint) -> None:
        held = snapshots.find(self.session, present(self.session, machine).reference, at.tag)
        if held is None or any(point.partition("/")[0] != held.id for point in at.points.values()):
            raise SourceError(
                f"the snapshot of {machine.name} was removed while it was copied, so that the copy is of no one moment",
                code="SOURCE-CHANGED",
                hint="find out who removes it, then run the same command again; it is copied anew",
            )

    def release(self, machine: Machine, tag: str) -> None:
        """Removes the snapshot of that tag, if there is one, and waits until its files are merged.

        So it does with one that turning tracking on left behind.
        """
        try:
            now = present(self.session, machine)
        except SourceError as problem:
            if problem.code != "SOURCE-GONE":
                raise
            return  # and its snapshots with it
        tags = (tag, changes.STUN_TAG)
        snapshots.remove(
            self.session, now.reference, *tags, subject=machine.name, note=lambda text: self._note(machine, text)
        )

    def notes(self, machine: Machine) -> tuple[str, ...]:
        return tuple(self._notes.pop(machine.id, ()))

    def _note(self, machine: Machine, text: str) -> None:
        self._notes.setdefault(machine.id, []).append(text)

    def snapshot_name(self, tag: str) -> str:
        return snapshots.snapshot_name(tag)

    def state(self, machine: Machine) -> PowerState:
        return power.state(self.session, machine)

    def states(self, machines: Sequence[Machine]) -> dict[str, PowerState]:
        return labels.states(self.session, machines)

    def shutdown(self, machine: Machine, deadline_seconds: float) -> None:
        power.shutdown(self.session, machine, deadline_seconds)

    def power_off(self, machine: Machine) -> None:
        power.power_off(self.session, machine)

    def power_on(self, machine: Machine) -> None:
        power.power_on(self.session, machine)

    def diagnosis(self, inventory: Inventory, machine: Machine | None) -> tuple[SourceCheck, ...]:
        lacking = missing_privileges(self.session, wanted=(*EVERY, *WISHES))
        if machine is not None:
            lacking = missing_for(self.session, inventory, machine, lacking)
        return tuple(diagnose(inventory, machine, self.options.transport, lacking))

    def leftovers(self) -> tuple[SourceLeftover, ...]:
        """Snapshots that carry a tag of ours, on any machine, and change tracking that v2x turned on there."""
        return tuple(self._ours())

    def _ours(self) -> Iterator[SourceLeftover]:
        for found in self.session.retrieve(vim.VirtualMachine, ["name", "snapshot", changes.MARKED]):
            name = decoded(str(found.values.get("name", "")))
            for held in snapshots.walk(found.values.get("snapshot")):
                if held.tag:
                    yield SourceLeftover(
                        machine=name,
                        tag=held.tag,
                        id=f"{found.id}/{held.id}",
                        what=f"snapshot {held.name}",
                        created=held.created,
                    )
            if changes.is_marked(found.values):
                yield SourceLeftover(
                    machine=name, tag="", id=f"{found.id}/{_TRACKING}", what="change tracking that v2x turned on"
                )

    def remove(self, leftover: SourceLeftover) -> tuple[str, ...]:
        """Removes one of `leftovers`; what there is to say of it."""
        said: list[str] = []
        moref, _, held = leftover.id.partition("/")
        reference = vim.VirtualMachine(moref, self.session.stub)
        if held == _TRACKING:
            changes.turn_off(self.session, reference, leftover.machine, marked=True)
            return ()
        snapshots.remove(self.session, reference, leftover.tag, subject=leftover.machine, note=said.append)
        return tuple(said)

    def close(self) -> None:
        """Lets go of the session; the last source that uses it logs out. Safe to call twice."""
        if not self._closed:
            self._closed = True
            SHARED.give(self.session)


def _require_in_snapshots(machine: Machine) -> None:
    """Before one is taken: an independent disk is in none."""
    independent = {DiskMode.INDEPENDENT_PERSISTENT, DiskMode.INDEPENDENT_NONPERSISTENT}
    missing = [disk.label for disk in machine.disks if disk.mode in independent and not disk.lent_by]
    if missing:
        raise _not_in_snapshot(machine, missing, "is independent")


def _not_in_snapshot(machine: Machine, labels: list[str], why: str) -> SourceError:
    return SourceError(
        f"{', '.join(labels)} of {machine.name} is in no snapshot of it: it {why}",
        code="NOT-IN-SNAPSHOT",
        hint="shut the machine down and migrate it then (--running shutdown)",
    )
