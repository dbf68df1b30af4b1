# SPDX-License-Identifier: Apache-2.0
"""Disks of a claim as they were at a moment, by snapshots on the pool: to go back to, or to read later writes alone.

A snapshot copies the tags of its disk, and so does one that somebody else takes. Ours has its own uuid in v2x-self and
its moment in v2x-kept, both set after it was taken; a clone or snapshot of it has another uuid, and is nobody's here.
What a call made whose answer was lost, or that was cut off before it had these tags, is known by a random mark that the
original bears meanwhile: only where one object alone has the mark, and a snapshot also the time, is it taken for ours.
Sources: xapi, xapi_vdi.ml (snapshot_and_clone copies other_config; snapshot_of, snapshot_time).
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from v2x.errors import ConnectError, V2xError
from v2x.model.units import show_bytes
from v2x.target.keeping import Moment, NotKept
from v2x.target.xapi import tags, vdi
from v2x.target.xapi.client import Client
from v2x.target.xapi.facts import is_thin
from v2x.target.xapi.failures import passing_gone
from v2x.target.xapi.listing import number, records
from v2x.target.xapi.mirror import Mirror

_NEEDED = frozenset({"VDI_SNAPSHOT", "VDI_CLONE"})
_LONGEST = timedelta(minutes=5)
"""A snapshot that was taken later than this after its mark was put there is somebody else's."""
_WORDS = {
    Moment.DELTA: "before its first changes",
    Moment.VERIFIED: "as it was verified",
    Moment.GUEST: "before its guest was converted",
}
_NAME_CHARS = 255
Found = tuple[str, Mapping[str, Any]]


def can_keep(client: Client, sr: str) -> bool:
    """Whether a snapshot costs no more than what is written after it: on thick storage it takes the whole disk."""
    record = client.call("SR.get_record", sr)
    drivers = {str(driver.get("type")): driver for driver in records(client, "SM").values()}
    driver = drivers.get(str(record.get("type")), {})
    features = driver.get("features")
    if isinstance(features, dict) and features and not features.keys() >= _NEEDED:
        return False
    return is_thin(record, driver)


def check_room(client: Client, sr: str, room_bytes: int) -> None:
    """NotKept where the SR tells its size and has less free than that."""
    record = client.call("SR.get_record", sr)
    size = number(record.get("physical_size"))
    free = size - max(0, number(record.get("physical_utilisation")))
    if size > 0 and free < room_bytes:
        raise NotKept(
            f"{record.get('name_label')} has {show_bytes(max(0, free))} free, less than {show_bytes(room_bytes)}"
        )


class Kept:
    """The snapshots of ours on one pool."""

    def __init__(self, client: Client, mirror: Mirror, new_uuid: Callable[[], UUID]) -> None:
        self._client, self._mirror, self._new_uuid = client, mirror, new_uuid

    def of(self, tag: str, source_disk: str = "") -> list[Found]:
        """Those of a migration, or of one of its disks, the newest first."""
        found = []
        for reference in self._mirror.those("VDI", lambda one: _is_of(one, tag, source_disk)):
            with passing_gone():
                record = self._client.call("VDI.get_record", reference)
                if _is_of(record, tag, source_disk):
                    found.append((reference, record))
        return sorted(found, key=_age, reverse=True)

    def take(self, reference: str, moment: Moment, patience_seconds: float) -> None:
        """Takes one of a claim's disk, in place of an earlier one of that moment. NotKept where it is refused."""
        client, record = self._client, self._client.call("VDI.get_record", reference)
        own = tags.config(record)
        self.tidy((reference, record))
        self.forget(own.get(tags.MIGRATION, ""), own.get(tags.DISK, ""), moment)
        if not vdi.wait_released(client, reference, patience_seconds):
            raise NotKept(f"{record.get('name_label')} is still attached on the pool")
        tags.put(client, "VDI", reference, tags.KEEPING, f"{self._new_uuid().hex[:16]} {self._time()}")
        made = self._made("VDI.snapshot", reference, tags.KEEPING)
        name = f"[v2x] {record.get('name_label')}, {_WORDS[moment]}"
        self._settle(made, name, {tags.KEPT: moment.value}, tags.KEEPING)
        tags.drop(client, "VDI", reference, tags.KEEPING)

    def clone(self, snapshot: Found, instead: Mapping[str, Any]) -> Found:
        """A disk of the claim as it was then, marked as what takes the place of the one with the record `instead`.

        NotKept where it is refused.
        """
        client, reference = self._client, snapshot[0]
        self._end_cloning(snapshot)
        tags.put(client, "VDI", reference, tags.CLONING, self._new_uuid().hex[:16])
        made = self._made("VDI.clone", reference, tags.CLONING)
        replaces = {tags.INSTEAD: str(instead["uuid"])}
        self._settle(made, str(instead.get("name_label")), replaces, tags.CLONING, tags.KEPT)
        tags.drop(client, "VDI", reference, tags.CLONING)
        return made, client.call("VDI.get_record", made)

    def forget(self, tag: str, source_disk: str = "", *moments: Moment) -> None:
        """Removes those of a migration, of one disk, of these moments; already gone is success."""
        for found in self.of(tag, source_disk):
            if not moments or tags.config(found[1]).get(tags.KEPT) in moments:
                self._end_cloning(found)
                vdi.destroy(self._client, found[0])

    def tidy(self, disk: Found) -> None:
        """Removes the snapshot that a run which was cut off left of a claim's disk, where it is certain to be ours."""
        reference, record = disk
        mark = tags.config(record).get(tags.KEEPING, "")
        if not mark:
            return
        made = []
        for snapshot in record.get("snapshots") or ():
            with passing_gone():
                found = self._client.call("VDI.get_record", snapshot)
                if tags.config(found).get(tags.KEEPING) == mark:
                    made.append((str(snapshot), found))
        if len(made) == 1 and _in_time(mark, made[0][1]):
            vdi.destroy(self._client, made[0][0])
        tags.drop(self._client, "VDI", reference, tags.KEEPING)

    def _end_cloning(self, snapshot: Found) -> None:
        """The same for a clone of a snapshot that was to take the place of its disk; never one that a VM has."""
        reference, record = snapshot
        mark = tags.config(record).get(tags.CLONING, "")
        if not mark:
            return

        def is_made(one: tags.Record) -> bool:
            return tags.config(one).get(tags.CLONING) == mark and one.get("uuid") != record.get("uuid")

        made = self._mirror.those("VDI", is_made)
        if len(made) == 1:
            with passing_gone():
                found = self._client.call("VDI.get_record", made[0])
                if not found.get("is_a_snapshot") and not found.get("VBDs"):
                    vdi.destroy(self._client, made[0])
        tags.drop(self._client, "VDI", reference, tags.CLONING)

    def _made(self, method: str, reference: str, mark: str) -> str:
        """What the call made. Where the pool refused it, the mark goes; where its answer was lost, it stays."""
        try:
            return str(self._client.call(method, reference, {}))
        except ConnectError:
            raise
        except V2xError as problem:
            tags.drop(self._client, "VDI", reference, mark)
            raise NotKept(problem.message) from problem

    def _settle(self, made: str, name: str, more: Mapping[str, str], *without: str) -> None:
        """What was just made gets tags of its own, all at once."""
        record = self._client.call("VDI.get_record", made)
        own = {key: value for key, value in tags.config(record).items() if key not in without}
        self._client.call("VDI.set_other_config", made, {**own, **more, tags.SELF: str(record["uuid"])})
        self._client.call("VDI.set_name_label", made, name[:_NAME_CHARS])

    def _time(self) -> str:
        pool = next(iter(records(self._client, "pool").values()), {})
        return str(self._client.call("host.get_servertime", pool.get("master")))


def _is_of(record: tags.Record, tag: str, source_disk: str) -> bool:
    own = tags.config(record)
    return tags.is_kept(record) and own.get(tags.MIGRATION) == tag and source_disk in ("", own.get(tags.DISK))


def _age(found: Found) -> tuple[str, int]:
    """Later ones are greater; of two of one second, the one that is taken later in a migration."""
    return str(found[1].get("snapshot_time")), list(_WORDS).index(Moment(tags.config(found[1])[tags.KEPT]))


def _in_time(mark: str, record: tags.Record) -> bool:
    began, taken = _moment(mark.partition(" ")[2]), _moment(str(record.get("snapshot_time")))
    return began is not None and taken is not None and -_LONGEST < taken - began < _LONGEST


def _moment(text: str) -> datetime | None:
    try:
        return datetime.strptime(text.replace("-", ""), "%Y%m%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
