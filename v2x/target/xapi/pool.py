# SPDX-License-Identifier: Apache-2.0
"""The Target that is a XAPI pool."""

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from v2x.disks.areas import ChangedAreas
from v2x.disks.nbd_tls import NbdTlsReader
from v2x.disks.stream.vhd import MAX_BYTES as VHD_LIMIT_BYTES
from v2x.errors import Conflict, Unsupported, V2xError
from v2x.model.health import GuestNow
from v2x.model.rehearsal import Rehearsal, Seclusion, Stage
from v2x.model.target import TargetFacts, TargetMachine, UploadFormat
from v2x.model.units import GIB, TIB
from v2x.secrets import Secret
from v2x.target.interface import Claim, ClaimedDisk, DiskWriter, Load, Surroundings
from v2x.target.keeping import Moment
from v2x.target.rights import RightsCheck
from v2x.target.xapi import facts, kept, network, permissions, sampling, seclusion, streams, tags, vdi, wayback
from v2x.target.xapi.claim import Claims
from v2x.target.xapi.client import Client
from v2x.target.xapi.failures import GONE, xapi_code
from v2x.target.xapi.guest import guest_now
from v2x.target.xapi.listing import number, records
from v2x.target.xapi.load import LoadMeter
from v2x.target.xapi.owner import Ownership, is_alive, this_run
from v2x.target.xapi.readback import VdiReader
from v2x.target.xapi.readback_changes import VdiDifferences, differences
from v2x.target.xapi.rehearsal import Rehearsals
from v2x.target.xapi.routes import Routes
from v2x.target.xapi.segments import SegmentSizer
from v2x.target.xapi.survey import survey
from v2x.target.xapi.upload import SegmentWriter, UploadSettings, UploadTarget
from v2x.tls import Trust
from v2x.waiting import nap

_QCOW2_LIMIT_BYTES = 4 * TIB
_ZEROING = frozenset({UploadFormat.RAW, UploadFormat.TAR})


class XapiTarget:
    """A pool, from its coordinator's address. A context manager: logs in on entry, out on exit.

    `transfer_network` is the network that disks travel over (routes.py). `pool_auto_start` lets a machine that starts
    with its host turn that on for the pool. `upload_format` other than AUTO is for its user to try, and so is a
    `delta_format`, in which changes are added to a disk.
    `least_segment_bytes` and `most_segment_bytes` limit what is sent between two marks. `owner` names this run and
    `alive` tells whether another owner still lives (owner.py). `now` and `sleep` are the monotonic clock; `clock` is
    the time of day.
    """

    sequential_disks = False

    def __init__(
        self,
        host: str,
        port: int,
        user: str,
        password: Secret,
        trust: Trust,
        *,
        follow: bool = False,
        transfer_network: str = "",
        pool_auto_start: bool = False,
        upload_format: str = UploadFormat.AUTO,
        delta_format: str = UploadFormat.AUTO,
        least_segment_bytes: int = GIB,
        most_segment_bytes: int = 64 * GIB,
        owner: str = "",
        alive: Callable[[str], bool] = is_alive,
        patience_seconds: float = 60.0,
        settings: UploadSettings | None = None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = nap,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        new_uuid: Callable[[], UUID] = uuid4,
    ) -> None:
        self.client = Client(
            host, port, user, password, trust, follow=follow, patience_seconds=patience_seconds, now=now, sleep=sleep
        )
        self._routes = Routes(self.client, transfer_network)
        self._ownership = Ownership(self.client, owner or this_run(), alive)
        self._claims = Claims(
            self.client,
            self._ownership,
            pool_auto_start=pool_auto_start,
            reachable=self._routes.for_sr,
            new_uuid=new_uuid,
        )
        self._rehearsals = Rehearsals(self.client, self._claims.mirror, clock=clock, new_uuid=new_uuid)
        self._format, self._delta_format = UploadFormat(upload_format), UploadFormat(delta_format)
        self._segment_limits = (least_segment_bytes, most_segment_bytes)
        self._sizers: dict[str, SegmentSizer] = {}
        self._lock = threading.Lock()
        self._settings = settings or UploadSettings()
        self._clock, self._new_uuid = clock, new_uuid
        self._meter = LoadMeter(self.client)

    def __enter__(self) -> "XapiTarget":
        self.client.login()
        self._routes.check()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the session; safe to call twice."""
        self.client.close()

    def facts(self) -> TargetFacts:
        return facts.take(self.client, self._clock())

    def rights(self) -> tuple[RightsCheck, ...]:
        return permissions.check(self.client)

    def survey(self, spec: TargetMachine) -> Surroundings:
        return survey(self.client, spec)

    def load(self, hosts: Collection[str], storage: Collection[str]) -> Load:
        return self._meter.load(hosts, storage)

    def find(self, tag: str) -> Claim | None:
        return self._claims.find(tag)

    def leftovers(self) -> tuple[Claim, ...]:
        return self._claims.leftovers()

    def claim(self, spec: TargetMachine, tag: str) -> Claim:
        self._routes.learn()
        return self._claims.claim(spec, tag)

    def remake(self, claim: Claim, disk: ClaimedDisk) -> ClaimedDisk:
        return self._claims.remake(claim, disk)

    def keep(self, claim: Claim, disk: ClaimedDisk) -> bool:
        target = self._disk(claim, disk)
        if target.size_bytes > VHD_LIMIT_BYTES or not kept.can_keep(self.client, target.sr):
            return False
        self._ownership.check(self._claims.reference(claim), claim.name)
        self._claims.kept.take(target.vdi, Moment.VERIFIED, self._settings.release)
        # It is newer, and serves for both.
        self._claims.kept.forget(claim.tag, disk.source_disk, Moment.DELTA)
        return True

    def keeps(self, claim: Claim, disk: ClaimedDisk) -> bool:
        return bool(self._verified(claim, disk))

    def written(self, claim: Claim, disk: ClaimedDisk) -> VdiDifferences | None:
        target, base = self._disk(claim, disk), self._verified(claim, disk)
        return differences(self.client, self._routes, target, base) if base else None

    def _verified(self, claim: Claim, disk: ClaimedDisk) -> str:
        """The uuid of the snapshot that keeps the disk as it was verified; empty where there is none."""
        found = self._claims.kept.of(claim.tag, disk.source_disk)
        return next((str(own["uuid"]) for _, own in found if tags.config(own)[tags.KEPT] == Moment.VERIFIED), "")

    def remember(self, claim: Claim, disk: ClaimedDisk, moment: Moment, room_bytes: int) -> bool:
        target = self._disk(claim, disk)
        if not kept.can_keep(self.client, target.sr):
            return False
        point = tags.point(self.client.call("VDI.get_other_config", target.vdi))
        for _, own in self._claims.kept.of(claim.tag, disk.source_disk):
            if moment is Moment.DELTA or (
                tags.config(own)[tags.KEPT] == moment and tags.point(tags.config(own)) == point
            ):
                return True
        kept.check_room(self.client, target.sr, room_bytes)
        self._ownership.check(self._claims.reference(claim), claim.name)
        self._claims.kept.take(target.vdi, moment, self._settings.release)
        return True

    def go_back(self, claim: Claim, disk: ClaimedDisk, point: str = "") -> ClaimedDisk | None:
        return self._claims.go_back(claim, disk, point, self._settings.release)

    def drop(self, claim: Claim, disk: ClaimedDisk) -> None:
        self._claims.drop(claim, disk)

    def seal(self, claim: Claim, spec: TargetMachine) -> None:
        self._claims.seal(claim, spec)

    def remarks(self, claim: Claim) -> tuple[str, ...]:
        """What could not be set when the claim was sealed, as its role did not allow it, and what the pool lacks."""
        return self._claims.remarks.get(claim.tag, ())

    def discard(self, claim: Claim) -> None:
        self._claims.discard(claim, before=lambda: self._rehearsals.end(claim.tag))

    def start(self, claim: Claim) -> None:
        """Starts a sealed machine wherever the pool finds room."""
        self.client.call("VM.start", self._claims.reference(claim), False, False)

    def guest(self, claim: Claim) -> GuestNow:
        return guest_now(self.client, self._claims.reference(claim))

    def first_start(self, claim: Claim) -> str:
        return wayback.first_start(self.client, self._claims.reference(claim))

    def halt(self, claim: Claim) -> None:
        wayback.halt(self.client, self._claims.reference(claim))

    def seclude(self, stage: Stage, claims: Sequence[Claim]) -> Seclusion:
        running = {one.tag for one in self.rehearsals() if one.state == "running"}
        return seclusion.seclude(self.client, stage, [claim for claim in claims if claim.tag not in running])

    def rehearse(
        self, claim: Claim, spec: TargetMachine, seclusion: Seclusion, until: datetime, still: Callable[[], bool]
    ) -> Rehearsal:
        return self._rehearsals.make(claim, spec, seclusion, until, still)

    def start_rehearsal(self, rehearsal: Rehearsal, seclusion: Seclusion) -> None:
        self._rehearsals.start(rehearsal, seclusion)

    def rehearsals(self, tag: str = "") -> tuple[Rehearsal, ...]:
        return self._rehearsals.listed(tag)

    def end_rehearsal(self, rehearsal: Rehearsal) -> None:
        self._rehearsals.remove(rehearsal)

    def strike(self, id: str) -> tuple[str, ...]:
        if any(one.id == id for one in self.rehearsals()):
            return ()
        return seclusion.strike(self.client, id)

    def remove(self, claim: Claim) -> None:
        wayback.remove(self.client, self._claims.reference(claim), claim.tag)

    def ensure_network(self, name: str, vlan: int | None = None, uplink: str = "") -> str:
        """The uuid of a network of that name and VLAN, made where there is none (network.ensure_network)."""
        return network.ensure_network(self.client, name, vlan, uplink)

    def writer(self, claim: Claim, disk: ClaimedDisk, blocks: Sequence[int], point: str) -> DiskWriter:
        target = self._disk(claim, disk)
        chosen = self._chosen(target, self.client.call("SR.get_record", target.sr))
        if chosen not in streams.SEGMENTED and disk.mark_bytes and disk.mark_bytes < target.size_bytes:
            raise Conflict(f"{target.name} was begun in another upload format", hint="run v2x cleanup, then again")
        return self._opened(claim, disk, target, blocks, point, chosen, None)

    def _opened(
        self,
        claim: Claim,
        disk: ClaimedDisk,
        target: UploadTarget,
        blocks: Sequence[int],
        point: str,
        chosen: UploadFormat,
        areas: ChangedAreas | None,
    ) -> DiskWriter:
        self._routes.learn()
        vm = self._claims.reference(claim)
        make_stream = streams.opener(
            chosen, new_uuid=self._new_uuid, clock=lambda: self._clock().timestamp(), areas=areas
        )
        return SegmentWriter(
            self.client,
            self._routes,
            target,
            blocks,
            point,
            make_stream=make_stream,
            sizer=self._sizer(target.sr) if chosen in streams.SEGMENTED else None,
            owned=lambda: self._ownership.check(vm, claim.name),
            mark_bytes=disk.mark_bytes,
            settings=self._settings,
        )

    def takes_patches(self, claim: Claim, disk: ClaimedDisk) -> bool:
        target = self._disk(claim, disk)
        return self._chosen(target, self.client.call("SR.get_record", target.sr)) in streams.SEGMENTED

    def patcher(
        self, claim: Claim, disk: ClaimedDisk, blocks: Sequence[int], areas: ChangedAreas | None = None
    ) -> DiskWriter:
        target = self._disk(claim, disk)
        sr = self.client.call("SR.get_record", target.sr)
        chosen = self._chosen(target, sr)
        if chosen not in streams.SEGMENTED:
            raise Unsupported(
                f"{sr.get('name_label')} takes whole disks only, so that changes cannot be added to {target.name}",
                hint="choose another SR for a warm migration, or migrate the machine cold",
            )
        if self._delta_format is not UploadFormat.AUTO:
            chosen = self._delta_format
        return self._opened(claim, replace(disk, mark_bytes=0), target, blocks, disk.point, chosen, areas)

    def advance(self, claim: Claim, disk: ClaimedDisk, point: str) -> ClaimedDisk:
        self._ownership.check(self._claims.reference(claim), claim.name)
        target = self._disk(claim, disk)
        vdi.set_mark(self.client, target.vdi, target.size_bytes)
        vdi.advance(self.client, target.vdi, point)
        return replace(disk, point=point, mark_bytes=target.size_bytes)

    def resize(self, claim: Claim, disk: ClaimedDisk, size_bytes: int) -> ClaimedDisk:
        target = self._disk(claim, disk)
        if target.size_bytes < size_bytes:
            self._ownership.check(self._claims.reference(claim), claim.name)
            vdi.wait_released(self.client, target.vdi, self._settings.release)
            self._claims.kept.forget(claim.tag, disk.source_disk)
            vdi.grown(self.client, target.vdi, {}, size_bytes)
            target = self._disk(claim, disk)
        return replace(disk, size_bytes=target.size_bytes)

    def reader(self, claim: Claim, disk: ClaimedDisk) -> VdiReader:
        return VdiReader(self.client, self._routes, self._disk(claim, disk))

    def samples(self, claim: Claim, disk: ClaimedDisk) -> bool:
        return sampling.offered(self.client, self._disk(claim, disk))

    def sampler(self, claim: Claim, disk: ClaimedDisk) -> NbdTlsReader | None:
        return sampling.sampler(self.client, self._disk(claim, disk))

    def _disk(self, claim: Claim, disk: ClaimedDisk) -> UploadTarget:
        try:
            reference = str(self.client.call("VDI.get_by_uuid", disk.id))
            record = self.client.call("VDI.get_record", reference)
        except V2xError as error:
            if xapi_code(error) not in GONE:
                raise
            raise Conflict(
                f"disk {disk.source_disk} of {claim.name} is gone from the pool", hint="run the migration again"
            ) from error
        if record.get("is_a_snapshot"):
            raise Conflict(f"disk {disk.source_disk} of {claim.name} is a snapshot", hint="run v2x cleanup, then again")
        size = number(record.get("virtual_size"))
        name = str(record.get("name_label", "")) or disk.id
        return UploadTarget(vdi=reference, uuid=disk.id, sr=str(record["SR"]), size_bytes=size, name=name)

    def _sizer(self, sr: str) -> SegmentSizer:
        """What was learned of an SR serves all disks that go there."""
        with self._lock:
            if sr not in self._sizers:
                least, most = self._segment_limits
                self._sizers[sr] = SegmentSizer(least_bytes=least, most_bytes=most)
            return self._sizers[sr]

    def _chosen(self, target: UploadTarget, sr: Mapping[str, Any]) -> UploadFormat:
        """The upload format; Unsupported where the wanted one would fail or leave foreign bytes behind."""
        zeroed = facts.prezeroed(sr)
        if self._format is not UploadFormat.AUTO:
            if not zeroed and self._format not in _ZEROING:
                raise Unsupported(
                    f"{sr.get('name_label')} gives disks that are not zeroed, where {self._format} does not work",
                    hint="let v2x choose the upload format",
                )
            return self._format
        if not zeroed:
            return UploadFormat.RAW
        if target.size_bytes <= VHD_LIMIT_BYTES:
            return UploadFormat.VHD
        if target.size_bytes > _QCOW2_LIMIT_BYTES or not self._takes_qcow2():
            raise Unsupported(
                f"{target.name} has {target.size_bytes:,} bytes, more than this pool takes by a proven way",
                hint="update the pool (XCP-ng 8.3 of 2026 takes up to 4 TiB), or try --upload-format chunked",
            )
        return UploadFormat.QCOW2

    def _takes_qcow2(self) -> bool:
        pool = next(iter(records(self.client, "pool").values()), {})
        software = self.client.call("host.get_software_version", pool.get("master"))
        return facts.takes_qcow2(software)
