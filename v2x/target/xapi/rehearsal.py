# SPDX-License-Identifier: Apache-2.0
"""Test copies of machines whose disks are still being replicated.

The disks are cloned by VM.clone of a VM that lives for nothing else: it has the claim's disks, no adapter, and cannot
start. VM.clone alone lets its caller name what comes out, so that a copy whose making was cut off is known from any
that a user makes: its name holds a random text that only that VM's tags tell. A disk cloned by itself could not be told
apart, as it copies all tags. The claim's disks keep their uuid and take further changes as before (xapi:
doc/content/xen-api/topics/snapshots.md).

Each step looks before it makes. What a user made of a copy has another uuid than its tags say, and is left alone.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from v2x.errors import Conflict, NoSpace, Retry, V2xError
from v2x.model.rehearsal import Rehearsal, Seclusion
from v2x.model.target import TargetMachine
from v2x.target.interface import Claim
from v2x.target.xapi import network, protection, tags, vdi, vm
from v2x.target.xapi.client import Client
from v2x.target.xapi.failures import passing_gone, xapi_code
from v2x.target.xapi.mirror import Mirror
from v2x.target.xapi.seclusion import assert_secluded

REASON = "v2x copies the disks of a test cutover"
_NAME_CHARS = 255
Found = tuple[str, Mapping[str, Any]]


class Rehearsals:
    """The test copies of one pool."""

    def __init__(
        self, client: Client, mirror: Mirror, *, clock: Callable[[], datetime], new_uuid: Callable[[], UUID]
    ) -> None:
        self._client, self._mirror, self._clock, self._new_uuid = client, mirror, clock, new_uuid

    def listed(self, tag: str = "") -> tuple[Rehearsal, ...]:
        """As Rehearses.rehearsals; disks of a copy whose VM was removed by hand count as one without a VM."""
        disks: dict[str, list[Found]] = {}
        for reference in self._mirror.tests("VDI", tag):
            with passing_gone():
                record = self._client.call("VDI.get_record", reference)
                if tags.is_test_copy(record):
                    disks.setdefault(tags.config(record).get(tags.TEST_OF, ""), []).append((reference, record))
        found = [
            self._told(machine, [] if _is_form(machine[1]) else disks.pop(_of(machine), []))
            for machine in self._machines(tag)
        ]
        found += [_disks_alone(of, left) for of, left in disks.items()]
        return tuple(sorted(found, key=lambda one: (one.id, one.name, one.vm)))

    def make(
        self, claim: Claim, spec: TargetMachine, seclusion: Seclusion, until: datetime, still: Callable[[], bool]
    ) -> Rehearsal:
        """As Rehearses.rehearse."""
        found = self._adopted(claim, seclusion)
        if found is None:
            reference = self._cloned(claim, spec, seclusion, until)
            found = reference, self._client.call("VM.get_record", reference)
            if not still() or self._written(claim):
                self.remove(self._told(found, []))
                raise Conflict(
                    f"{claim.name} was written to while its disks were copied",
                    hint="the copy was removed; run the same command again",
                    code="TEST-MOVED",
                    retry=Retry.NOW,
                )
            made = self._clock().astimezone(UTC).isoformat(timespec="seconds")
            tags.put(self._client, "VM", reference, tags.TEST_MADE, made)
        reference = found[0]
        if tags.config(found[1]).get(tags.TEST_UNTIL) != _moment(until):
            tags.drop(self._client, "VM", reference, tags.TEST_UNTIL)
            tags.put(self._client, "VM", reference, tags.TEST_UNTIL, _moment(until))
        self._complete(found, spec, seclusion)
        return self._told((reference, self._client.call("VM.get_record", reference)), [])

    def start(self, rehearsal: Rehearsal, seclusion: Seclusion) -> None:
        """As Rehearses.start_rehearsal; one that runs already is looked at and left running."""
        client = self._client
        reference = str(client.call("VM.get_by_uuid", rehearsal.vm))
        assert_secluded(client, reference, rehearsal.name, seclusion)
        if client.call("VM.get_power_state", reference) != "Halted":
            return
        if seclusion.host:
            host = client.call("host.get_by_uuid", seclusion.host)
            client.call("VM.start_on", reference, host, False, False)
        else:
            client.call("VM.start", reference, False, False)

    def end(self, tag: str) -> None:
        """Removes whatever there is of test copies of a migration."""
        for one in self.listed(tag):
            self.remove(one)

    def remove(self, rehearsal: Rehearsal) -> None:
        """As Rehearses.end_rehearsal. The disks go before the VM, so that what is cut off here is found again."""
        client = self._client
        machine = next((one for one in self._machines(rehearsal.tag) if one[1].get("uuid") == rehearsal.vm), None)
        reference, record = machine or ("", {})
        if machine is not None and record.get("power_state") != "Halted":
            self._stopped(reference)
        # The one that disks are copied by has the claim's, which are nobody's to remove here.
        disks = [] if _is_form(record) else [*self._disks(rehearsal), *self._fresh(record)]
        kept = []
        for disk, own in disks:
            if vdi.attached_elsewhere(client, own, reference):
                kept.append(str(own.get("uuid")))
            else:
                vdi.destroy(client, disk)
        if machine is not None:
            protection.destroy(client, reference)
        if kept:
            raise Conflict(
                f"left on the pool, because another VM has them attached: VDI {', '.join(kept)}",
                hint="detach them, then run v2x cleanup",
            )

    def _machines(self, tag: str) -> list[Found]:
        """Copies, VMs that disks are cloned by, and copies whose making was cut off; nothing that a user made."""
        found = []
        for reference in self._mirror.tests("VM", tag):
            with passing_gone():
                record = self._client.call("VM.get_record", reference)
                if _is_ours(record):
                    found.append((reference, record))
        return found

    def _told(self, machine: Found, disks: list[Found]) -> Rehearsal:
        record, own = machine[1], tags.config(machine[1])
        running = record.get("power_state") != "Halted"
        where = ""
        with passing_gone():
            where = str(self._client.call("host.get_name_label", record.get("resident_on"))) if running else ""
        return Rehearsal(
            id=own.get(tags.TEST, ""),
            tag=own.get(tags.TEST_OF, ""),
            name=str(record.get("name_label", "")),
            vm=str(record.get("uuid", "")),
            made=_time(own.get(tags.TEST_MADE, "")),
            until=_time(own.get(tags.TEST_UNTIL, "")),
            whole=tags.TEST_MADE in own and tags.is_own(record),
            where=where,
            state=str(record.get("power_state", "")).lower(),
            addresses=self._addresses(record),
            disks=tuple(sorted(str(one.get("uuid")) for _, one in disks)),
        )

    def _addresses(self, record: Mapping[str, Any]) -> tuple[str, ...]:
        """What an agent in the guest tells (xapi: xapi_guest_agent.ml)."""
        if str(record.get("guest_metrics", vm.NULL)) == vm.NULL:
            return ()
        told: object = {}
        with passing_gone():
            told = self._client.call("VM_guest_metrics.get_networks", record["guest_metrics"])
        return tuple(sorted(set(map(str, told.values())))) if isinstance(told, dict) else ()

    def _adopted(self, claim: Claim, seclusion: Seclusion) -> Found | None:
        """The copy that is there, if it is whole; what else there is of this migration's copies is removed."""
        whole = None
        for one in self.listed(claim.tag):
            if one.whole and one.id != seclusion.id:
                raise Conflict(
                    f"{one.name} is a test copy of another test cutover, {one.id}",
                    hint=f"end that first: v2x batch test {one.id} --end",
                    code="TEST-ELSEWHERE",
                )
            if one.whole and len(one.disks) == len(claim.disks):
                whole = one
            else:
                self.remove(one)
        return next((one for one in self._machines(claim.tag) if whole and one[1]["uuid"] == whole.vm), None)

    def _cloned(self, claim: Claim, spec: TargetMachine, seclusion: Seclusion, until: datetime) -> str:
        """The reference of a fresh copy, with its tags and its disks'."""
        client, mark = self._client, self._new_uuid().hex[:16]
        record = vm.record_of(spec, claim.tag)
        own = {key: value for key, value in record["other_config"].items() if not tags.is_reserved(key)}
        own |= {tags.TEST: seclusion.id, tags.TEST_OF: claim.tag, tags.TEST_UNTIL: _moment(until)}
        own |= {tags.TEST_COPY: mark, vm.HIDDEN: "true"}
        form = str(client.call("VM.create", {**record, "name_label": _form_name(mark, spec), "other_config": own}))
        try:
            tags.put(client, "VM", form, tags.SELF, str(client.call("VM.get_uuid", form)))
            held = dict.fromkeys((one for one in protection.BLOCKED if one != "clone"), REASON)
            client.call("VM.set_blocked_operations", form, held)
            disks = {disk.source_disk: disk for disk in claim.disks}
            for planned in spec.disks:
                reference = str(client.call("VDI.get_by_uuid", disks[planned.source_disk].id))
                vm.attach(client, form, reference, planned, [], owned=False)
            made = str(client.call("VM.clone", form, _copy_name(mark, spec)))
        except NoSpace as problem:
            raise NoSpace(problem.message, hint=problem.hint, code="TEST-NO-SPACE") from problem
        finally:
            protection.destroy(client, form)
        self._settle(made, own)
        return made

    def _written(self, claim: Claim) -> bool:
        """Whether somebody writes to the claim's disks just now, as a run with another state folder would."""
        return any(vdi.is_busy(self._client, self._client.call("VDI.get_by_uuid", disk.id)) for disk in claim.disks)

    def _settle(self, copy: str, own: Mapping[str, str]) -> None:
        """Gives the copy and its disks tags of their own, the VM's last: until then it is one that was cut off."""
        client = self._client
        for vbd in client.call("VM.get_VBDs", copy):
            disk = str(client.call("VBD.get_VDI", vbd))
            tags.put(client, "VBD", vbd, vm.OWNED, "")
            record = client.call("VDI.get_record", disk)
            kept = {tags.DISK: tags.config(record).get(tags.DISK, ""), tags.SELF: str(record["uuid"])}
            kept |= {key: own[key] for key in (tags.TEST, tags.TEST_OF)}
            client.call("VDI.set_other_config", disk, kept)
            client.call("VDI.set_name_label", disk, f"[test] {record.get('name_label')}"[:_NAME_CHARS])
        record = client.call("VM.get_record", copy)
        left = {key: value for key, value in tags.config(record).items() if key not in (tags.TEST_COPY, vm.HIDDEN)}
        client.call("VM.set_other_config", copy, {**left, tags.SELF: str(record["uuid"])})

    def _complete(self, found: Found, spec: TargetMachine, seclusion: Seclusion) -> None:
        """Everything besides the disks, made where it is missing. Nothing of a copy that runs is touched."""
        client, (reference, record) = self._client, found
        if record.get("power_state") != "Halted":
            return
        client.call("VM.set_name_label", reference, spec.name)
        if seclusion.host:
            client.call("VM.set_affinity", reference, client.call("host.get_by_uuid", seclusion.host))
        vm.add_cd(client, reference, spec.cd_device, vm.vbds(client, reference) if spec.cd_device else [])
        network.add_vifs(client, reference, spec.nics)
        if spec.vtpm:
            vm.add_vtpm(client, reference, record)
        vm.set_bios_strings(client, reference, record, spec.bios_strings)
        protection.release(client, reference, REASON)

    def _disks(self, rehearsal: Rehearsal) -> list[Found]:
        found = []
        for reference in self._mirror.tests("VDI", rehearsal.tag):
            with passing_gone():
                record = self._client.call("VDI.get_record", reference)
                if tags.is_test_copy(record) and tags.config(record).get(tags.TEST) == rehearsal.id:
                    found.append((reference, record))
        return found

    def _fresh(self, record: Mapping[str, Any]) -> list[Found]:
        """The disks of a copy that was cut off before they had tags of their own: what VM.clone hung on it."""
        tag, found = tags.config(record).get(tags.TEST_OF, ""), []
        if tags.is_own(record):
            return []
        for vbd in record.get("VBDs") or ():
            with passing_gone():
                reference = str(self._client.call("VBD.get_VDI", vbd))
                if reference != vm.NULL:
                    own = self._client.call("VDI.get_record", reference)
                    if not tags.is_own(own) and tags.config(own).get(tags.MIGRATION) == tag:
                        found.append((reference, own))
        return found

    def _stopped(self, reference: str) -> None:
        try:
            self._client.call("VM.hard_shutdown", reference)
        except V2xError as problem:
            if xapi_code(problem) != "VM_BAD_POWER_STATE":
                raise  # else its guest was faster


def _form_name(mark: str, spec: TargetMachine) -> str:
    return f"[v2x test {mark}] {spec.name}"[:_NAME_CHARS]


def _copy_name(mark: str, spec: TargetMachine) -> str:
    return f"[v2x test copy {mark}] {spec.name}"[:_NAME_CHARS]


def _is_ours(record: Mapping[str, Any]) -> bool:
    own, name = tags.config(record), str(record.get("name_label", ""))
    mark = own.get(tags.TEST_COPY, "")
    if not mark:
        return tags.is_test_copy(record)
    if tags.is_own(record) and name.startswith(f"[v2x test {mark}] "):
        return True
    return not record.get("is_a_snapshot") and name.startswith(f"[v2x test copy {mark}] ")


def _is_form(record: Mapping[str, Any]) -> bool:
    return tags.TEST_COPY in tags.config(record) and tags.is_own(record)


def _of(machine: Found) -> str:
    return tags.config(machine[1]).get(tags.TEST_OF, "")


def _disks_alone(tag: str, disks: list[Found]) -> Rehearsal:
    return Rehearsal(
        id=tags.config(disks[0][1]).get(tags.TEST, ""),
        tag=tag,
        name=str(disks[0][1].get("name_label", "")),
        whole=False,
        disks=tuple(sorted(str(one.get("uuid")) for _, one in disks)),
    )


def _moment(until: datetime) -> str:
    return until.astimezone(UTC).isoformat(timespec="seconds")


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
