# SPDX-License-Identifier: Apache-2.0
"""Create or adopt: a migration's VM and VDIs are found by tag, completed, sealed, or removed.

The VM is made first and its VDIs carry the tag in their create records too, so nothing that was made can escape a
search. Each step looks before it makes, and "already gone" is success: a run may be killed between any two calls, or
after a call and before its answer, and the next one ends up with the same objects.

Sealing puts v2x-sealed on the VM once all that matters is done; what follows only tidies tags, and may be repeated.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

from v2x.errors import Conflict, V2xError
from v2x.model.target import TargetDisk, TargetMachine
from v2x.target.interface import Claim, ClaimedDisk
from v2x.target.xapi import network, protection, tags, vdi, vm
from v2x.target.xapi.client import Client
from v2x.target.xapi.failures import GONE, ConnectionLost, passing_gone, xapi_code
from v2x.target.xapi.finishing import finish
from v2x.target.xapi.kept import Kept
from v2x.target.xapi.listing import records
from v2x.target.xapi.mirror import Mirror
from v2x.target.xapi.owner import Ownership

_ATTEMPTS = 6
Found = tuple[str, Mapping[str, Any]]


class Claims:
    """The claims of one pool, for one run."""

    def __init__(
        self,
        client: Client,
        ownership: Ownership,
        *,
        pool_auto_start: bool = False,
        reachable: Callable[[str], object] = bool,
        new_uuid: Callable[[], UUID] = uuid4,
    ) -> None:
        """`reachable` takes an SR's reference and raises where no host may write a new disk to it."""
        self._client, self._ownership = client, ownership
        self.mirror = Mirror(client)
        self.kept = Kept(client, self.mirror, new_uuid)
        self.remarks: dict[str, tuple[str, ...]] = {}
        self._pool_auto_start, self._reachable = pool_auto_start, reachable

    def find(self, tag: str) -> Claim | None:
        found = self._machine(tag)
        if found is not None and tags.sealed_by(found[1], tag):
            return self._sealed(tag, found)
        disks = self._unfinished(tag)
        if found is None and not disks:
            return None
        return _listed(tag, found[1] if found else {}, [vdi.claimed(record) for _, record in disks.values()], ())

    def leftovers(self) -> tuple[Claim, ...]:
        """All unsealed claims on the pool, and tagged disks whose machine is gone; a note tells of a living owner."""
        vms = records(self._client, "VM", *tags.LISTED, "name_label")
        vdis = records(self._client, "VDI", *tags.LISTED, "virtual_size")
        sealed = {tags.config(vm).get(tags.SEALED) for vm in vms.values() if tags.is_own(vm)}
        disks: dict[str, list[ClaimedDisk]] = {}
        for record in vdis.values():
            tag = tags.config(record).get(tags.MIGRATION, "")
            if tag and tag not in sealed and tags.claimed_by(record, tag):
                disks.setdefault(tag, []).append(vdi.claimed(record))
        found = []
        for record in vms.values():
            tag = tags.config(record).get(tags.MIGRATION, "")
            if tag and tags.claimed_by(record, tag):
                notes = self._ownership.notes(tags.config(record).get(tags.OWNER, ""))
                found.append(_listed(tag, record, disks.pop(tag, []), notes))
        found += [_listed(tag, {}, orphans, ()) for tag, orphans in disks.items()]
        known = sealed | {claim.tag for claim in found}
        kept = {tags.config(record).get(tags.MIGRATION, "") for record in vdis.values() if tags.is_kept(record)}
        found += [_listed(tag, {}, [], ()) for tag in kept - known]
        return tuple(sorted(found, key=lambda claim: (claim.tag, claim.id)))

    def claim(self, spec: TargetMachine, tag: str) -> Claim:
        """As Target.claim. A call whose answer was lost may have taken effect, so everything is looked at again."""
        fresh = False
        for attempt in range(_ATTEMPTS):
            try:
                found = self._machine(tag)
                fresh = fresh or found is None
                return replace(self._complete(spec, tag, found), fresh=fresh)
            except ConnectionLost:
                if attempt + 1 == _ATTEMPTS:
                    raise
                self._client.sleep(0.5 * 2**attempt)
        raise AssertionError("the last attempt returns or raises")

    def remake(self, claim: Claim, disk: ClaimedDisk) -> ClaimedDisk:
        """As Target.remake: the old VDI goes first, so that there are never two of one disk."""
        machine = self._open(claim)
        found = self._unfinished(claim.tag).get(disk.source_disk)
        if found is None:
            raise Conflict(f"disk {disk.source_disk} of {claim.name} is gone from the pool", hint="run again")
        reference, old = found
        vbds = [vbd for vbd in vm.vbds(self._client, machine[0]) if str(vbd.get("VDI")) == reference]
        if len(vbds) != 1:
            raise Conflict(f"disk {disk.source_disk} of {claim.name} has {len(vbds)} drives", hint="run v2x cleanup")
        self._unkept(claim.tag, found)
        formats = {key: value for key, value in (old.get("sm_config") or {}).items() if key == "image-format"}
        record = {key: old[key] for key in ("name_label", "name_description", "SR", "virtual_size")}
        vdi.destroy(self._client, reference)
        made, fresh = vdi.make_from(self._client, {**record, "sm_config": formats}, disk.source_disk, claim.tag)
        vm.create_vbd_like(self._client, machine[0], made, vbds[0])
        return vdi.claimed(fresh)

    def drop(self, claim: Claim, disk: ClaimedDisk) -> None:
        """As Target.drop, for a disk that its source has lost."""
        machine = self._machine(claim.tag)
        if machine is not None:
            self._open(claim, machine)
            self._ownership.take(machine[0], claim.name)
        found = self._unfinished(claim.tag).get(disk.source_disk)
        if found is None:
            return
        if vdi.attached_elsewhere(self._client, found[1], machine[0] if machine else ""):
            raise Conflict(
                f"{disk.source_disk} of {claim.name} is gone from its source, and another VM has its copy: {disk.id}",
                hint="detach it there, then run again",
            )
        self._unkept(claim.tag, found)
        vdi.destroy(self._client, found[0])

    def go_back(
        self, claim: Claim, disk: ClaimedDisk, point: str = "", patience_seconds: float = 60.0
    ) -> ClaimedDisk | None:
        """As GoesBack.go_back: a clone of the snapshot is marked as what takes the disk's place, then it does."""
        machine = self._open(claim)
        self._ownership.check(machine[0], claim.name)
        found = self._unfinished(claim.tag).get(disk.source_disk)
        if found is None or vdi.attached_elsewhere(self._client, found[1], machine[0]):
            return None
        snapshots = self.kept.of(claim.tag, disk.source_disk)
        wanted = next((one for one in snapshots if point in ("", tags.point(tags.config(one[1])))), None)
        if wanted is None or not vdi.wait_released(self._client, found[0], patience_seconds):
            return None
        self.kept.tidy(found)
        made = self.kept.clone(wanted, found[1])
        vbds = [vbd for vbd in vm.vbds(self._client, machine[0]) if str(vbd.get("VDI")) == found[0]]
        vdi.destroy(self._client, found[0])
        for vbd in vbds[:1]:
            vm.create_vbd_like(self._client, machine[0], made[0], vbd)
        tags.drop(self._client, "VDI", made[0], tags.INSTEAD)
        return vdi.claimed(made[1])

    def _unkept(self, tag: str, disk: Found) -> None:
        """Removes all snapshots of ours of a disk."""
        self.kept.tidy(disk)
        self.kept.forget(tag, tags.config(disk[1]).get(tags.DISK, ""))

    def seal(self, claim: Claim, spec: TargetMachine) -> None:
        found = self._held(claim)
        if found is None:
            raise Conflict(f"{claim.name} is gone from the pool", hint="run the migration again")
        reference, record = found
        disks = vdi.of_machine(self._client, record, claim.tag)
        if not tags.sealed_by(record, claim.tag):
            self._ownership.check(reference, spec.name)
            _check_whole(spec, disks)
            self._client.call("VM.set_name_label", reference, spec.name)
            tags.drop(self._client, "VM", reference, vm.HIDDEN)
            protection.release(self._client, reference)
            self.remarks[claim.tag] = finish(self._client, reference, spec, pool_auto_start=self._pool_auto_start)
            tags.put(self._client, "VM", reference, tags.SEALED, claim.tag)
        for disk, own in disks:
            self.kept.tidy((disk, own))
        self.kept.forget(claim.tag)
        for disk, own in disks:
            if tags.MIGRATION in tags.config(own):
                vdi.seal(self._client, disk, own, claim.tag)
        for key in (tags.OWNER, tags.SPEC, tags.MIGRATION):
            tags.drop(self._client, "VM", reference, key)

    def discard(self, claim: Claim, before: Callable[[], object] = bool) -> None:
        """As Target.discard. `before` is called once it is sure that the claim may go."""
        found = self._machine(claim.tag)
        if found is not None:
            self._open(claim, found)
            self._ownership.take(found[0], claim.name)
        before()
        left = []
        self._unfinished(claim.tag)  # Conflict for two of one disk
        self.kept.forget(claim.tag)
        for reference, record in self._all(claim.tag):
            self.kept.tidy((reference, record))
            if vdi.attached_elsewhere(self._client, record, found[0] if found else ""):
                left.append(str(record.get("uuid")))
            else:
                vdi.destroy(self._client, reference)
        if found is not None:
            protection.destroy(self._client, found[0])
        if left:
            raise Conflict(
                f"left on the pool, because another VM has them attached: VDI {', '.join(left)}",
                hint="detach them, then run v2x cleanup",
            )

    def reference(self, claim: Claim) -> str:
        """The reference of the claim's VM, or Conflict when it is gone."""
        try:
            return str(self._client.call("VM.get_by_uuid", claim.id))
        except V2xError as error:
            if xapi_code(error) not in GONE:
                raise
            raise Conflict(f"{claim.name} is gone from the pool", hint="run the migration again") from error

    def _held(self, claim: Claim) -> Found | None:
        """The claim's VM by its uuid where it still is the one; else by tag."""
        if claim.id:
            try:
                reference = str(self._client.call("VM.get_by_uuid", claim.id))
                record = self._client.call("VM.get_record", reference)
            except V2xError as error:
                if xapi_code(error) not in GONE:
                    raise
            else:
                if tags.claimed_by(record, claim.tag) or tags.sealed_by(record, claim.tag):
                    return reference, record
        return self._machine(claim.tag)

    def _machine(self, tag: str) -> Found | None:
        """The one VM of the migration, sealed or not. Conflict when there are several."""
        found: list[Found] = []
        for reference in self.mirror.of("VM", tag):
            with passing_gone():
                record = self._client.call("VM.get_record", reference)
                if tags.is_of(record, tag):
                    found.append((reference, record))
        if len(found) > 1:
            names = ", ".join(sorted(f"{record.get('uuid')} ({record.get('name_label')})" for _, record in found))
            raise Conflict(
                f"{len(found)} VMs claim to be migration {tag}: {names}",
                hint="remove those that are not wanted, then run again",
                code="TWO-CLAIMS",
            )
        return found[0] if found else None

    def _open(self, claim: Claim, found: Found | None = None) -> Found:
        """The claim's VM, if it may still be changed: unsealed and halted."""
        found = found or self._held(claim)
        if found is None:
            raise Conflict(f"{claim.name} is gone from the pool", hint="run the migration again")
        if tags.SEALED in tags.config(found[1]):
            raise Conflict(
                f"{claim.name} is finished and belongs to its user now", hint="remove it by hand if unwanted"
            )
        state = str(found[1].get("power_state", "")).lower()
        if state != "halted":
            raise Conflict(
                f"{claim.name} is {state}, although its migration is not finished", hint="shut it down first"
            )
        return found

    def _complete(self, spec: TargetMachine, tag: str, found: Found | None) -> Claim:
        client = self._client
        if found is not None and tags.sealed_by(found[1], tag):
            return self._sealed(tag, found)
        found = self._current(spec, tag, found)
        reference, record = found if found is not None else vm.make(client, spec, tag)
        claim = Claim(tag=tag, id=str(record["uuid"]), name=str(record["name_label"]))
        self._ownership.take(reference, spec.name)
        tags.put(client, "VM", reference, tags.SELF, claim.id)
        protection.protect(client, reference, record)
        disks = self._disks(spec, tag, reference, fresh=found is None)
        vm.add_cd(client, reference, spec.cd_device, vm.vbds(client, reference) if spec.cd_device else [])
        network.add_vifs(client, reference, spec.nics)
        if spec.vtpm:
            vm.add_vtpm(client, reference, record)
        vm.set_bios_strings(client, reference, record, spec.bios_strings)
        return replace(claim, disks=disks)

    def _current(self, spec: TargetMachine, tag: str, found: Found | None) -> Found | None:
        """The found VM if it is what the plan says now. A VM of an earlier plan is removed; its disks stay."""
        if found is None:
            return None
        self._open(Claim(tag=tag, id="", name=spec.name), found)
        self._ownership.take(found[0], spec.name)
        if tags.config(found[1]).get(tags.SPEC) == vm.fingerprint(spec):
            return found
        protection.destroy(self._client, found[0])
        return None

    def _disks(self, spec: TargetMachine, tag: str, reference: str, *, fresh: bool) -> tuple[ClaimedDisk, ...]:
        # Even a new VM may find disks: those of one that was removed by hand.
        held = self._all(tag)
        found = vdi.by_disk(held)
        self._end_going_back(held, reference)
        strange = sorted(set(found) - {disk.source_disk for disk in spec.disks})
        if strange:
            raise Conflict(
                f"the pool holds disk {strange[0]} of an earlier run of {spec.name}, which is no longer in the plan",
                hint="run v2x cleanup, then again",
            )
        present = [] if fresh else vm.vbds(self._client, reference)
        made = []
        for disk in spec.disks:
            if disk.source_disk in found:
                own = found[disk.source_disk]
                self._check_place(disk, own[1])
                self.kept.tidy(own)
                if int(own[1].get("virtual_size") or 0) < disk.size_bytes:
                    self._unkept(tag, own)
                own = vdi.settled(self._client, *vdi.grown(self._client, *own, disk.size_bytes))
            else:
                self.kept.forget(tag, disk.source_disk)
                own = vdi.make(self._client, disk, tag, self._reachable)
            vm.attach(self._client, reference, own[0], disk, present)
            made.append(vdi.claimed(own[1]))
        return tuple(made)

    def _check_place(self, disk: TargetDisk, record: Mapping[str, Any]) -> None:
        sr = str(self._client.call("SR.get_uuid", record["SR"]))
        if sr != disk.sr:
            raise Conflict(
                f"an earlier run began {disk.name} on storage repository {sr}, which is not what the plan says",
                hint="run v2x cleanup, then again",
            )

    def _unfinished(self, tag: str) -> dict[str, Found]:
        """The VDIs of an unsealed claim by source disk. Sealed ones without their VM are the user's."""
        return vdi.by_disk(self._all(tag))

    def _all(self, tag: str) -> list[Found]:
        """The same with those whose place another has taken, which the next claim or discard removes."""
        found = vdi.own(self._client, self.mirror.of("VDI", tag), tag)
        return [item for item in found if tags.claimed_by(item[1], tag)]

    def _end_going_back(self, held: list[Found], machine: str) -> None:
        """A run was cut off while it put a disk back: what was in its place goes, and the clone is attached then."""
        for reference, record in held:
            replaced = tags.config(record).get(tags.INSTEAD)
            if not replaced:
                continue
            for old in (one for one in held if one[1].get("uuid") == replaced):
                if vdi.attached_elsewhere(self._client, old[1], machine):
                    raise Conflict(
                        f"another VM has {old[1].get('name_label')} attached: VDI {replaced}",
                        hint="detach it there, then run again",
                    )
                self.kept.tidy(old)
                vdi.destroy(self._client, old[0])
            tags.drop(self._client, "VDI", reference, tags.INSTEAD)

    def _sealed(self, tag: str, found: Found) -> Claim:
        own = vdi.by_disk(vdi.of_machine(self._client, found[1], tag))
        return Claim(
            tag=tag,
            id=str(found[1]["uuid"]),
            name=str(found[1].get("name_label", "")),
            disks=tuple(vdi.claimed(own[disk][1]) for disk in sorted(own)),
            sealed=True,
        )


def _check_whole(spec: TargetMachine, disks: list[Found]) -> None:
    """Conflict where a disk was removed, or taken off the machine, while it was copied."""
    have = {tags.config(record).get(tags.DISK) for _, record in disks}
    missing = [disk.name for disk in spec.disks if disk.source_disk not in have]
    if missing:
        raise Conflict(
            f"{spec.name} has lost {missing[0]}: somebody removed or detached it",
            hint="run the migration again; it attaches or copies what is missing",
        )


def _listed(tag: str, vm: Mapping[str, Any], disks: list[ClaimedDisk], notes: tuple[str, ...]) -> Claim:
    return Claim(
        tag=tag,
        id=str(vm.get("uuid", "")),
        name=str(vm.get("name_label", "")) or f"migration {tag}",
        disks=tuple(sorted(disks, key=lambda disk: (disk.source_disk, disk.id))),
        notes=notes,
    )
