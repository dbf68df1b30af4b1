# SPDX-License-Identifier: Apache-2.0
"""VDIs of a migration: made once, found by tag, marked as they fill, removed when nobody else has them."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from v2x.errors import Conflict
from v2x.model.target import TargetDisk
from v2x.target.interface import ClaimedDisk
from v2x.target.xapi import tags
from v2x.target.xapi.client import Client
from v2x.target.xapi.failures import passing_gone
from v2x.target.xapi.listing import number

_NULL = "OpaqueRef:NULL"
_DESCRIPTION_CHARS = 16 * 1024

Found = tuple[str, Mapping[str, Any]]


def of_machine(client: Client, vm: Mapping[str, Any], tag: str) -> list[Found]:
    """Those of the migration's own VDIs that hang on the VM with the record `vm`."""
    held = []
    for vbd in vm.get("VBDs") or ():
        with passing_gone():
            held.append(str(client.call("VBD.get_VDI", vbd)))
    return own(client, (reference for reference in dict.fromkeys(held) if reference != _NULL), tag)


def own(client: Client, references: Iterable[str], tag: str) -> list[Found]:
    """Those of the VDIs that are the migration's own, sealed or not, as (reference, record), by uuid."""
    found: list[Found] = []
    for reference in references:
        with passing_gone():
            found.append((reference, client.call("VDI.get_record", reference)))
    ours = (item for item in found if tags.is_of(item[1], tag))
    return sorted(ours, key=lambda item: str(item[1].get("uuid", "")))


def by_disk(vdis: Iterable[Found]) -> dict[str, Found]:
    """VDIs by the id of their source disk, without those whose place another has taken. Conflict for two of one."""
    found: dict[str, Found] = {}
    held = list(vdis)
    replaced = {tags.config(record).get(tags.INSTEAD) for _, record in held}
    for reference, record in held:
        if record.get("uuid") in replaced:
            continue
        disk = tags.config(record).get(tags.DISK, "")
        if disk in found:
            raise Conflict(
                f"two VDIs claim to be disk {disk}: {found[disk][1].get('uuid')} and {record.get('uuid')}",
                hint="remove the one that is not wanted, then run again",
                code="TWO-CLAIMS",
            )
        found[disk] = (reference, record)
    return found


def claimed(record: Mapping[str, Any]) -> ClaimedDisk:
    """What a VDI's record says of it: size read back, mark and point."""
    own = tags.config(record)
    size = number(record.get("virtual_size"))
    done = tags.SEALED in own
    return ClaimedDisk(
        source_disk=own.get(tags.DISK, ""),
        id=str(record.get("uuid", "")),
        size_bytes=size,
        mark_bytes=size if done else min(size, max(tags.marks(own).values(), default=0)),
        point=tags.point(own),
    )


def make(client: Client, disk: TargetDisk, tag: str, reachable: Callable[[str], object] = bool) -> Found:
    """Creates the VDI of `disk` with its tags, unless `reachable` refuses its SR."""
    sr = str(client.call("SR.get_by_uuid", disk.sr))
    reachable(sr)
    record = {
        "name_label": disk.name,
        "name_description": disk.description[:_DESCRIPTION_CHARS],
        "SR": sr,
        "virtual_size": disk.size_bytes,
        # A driver that knows no formats ignores the key; one that does would else take its own preference.
        "sm_config": {"image-format": disk.image_format.value},
    }
    return make_from(client, record, disk.source_disk, tag)


def make_from(client: Client, record: Mapping[str, Any], source_disk: str, tag: str) -> Found:
    """Creates a VDI of the given name, SR, size and sm_config."""
    reference = str(
        client.call(
            "VDI.create",
            {
                "type": "user",
                "sharable": False,
                "read_only": False,
                "xenstore_data": {},
                "tags": [],
                **record,
                "other_config": {tags.MIGRATION: tag, tags.DISK: source_disk},
            },
        )
    )
    return settled(client, reference, client.call("VDI.get_record", reference))


def settled(client: Client, reference: str, record: Mapping[str, Any]) -> Found:
    """The VDI with its own uuid among its tags."""
    if tags.SELF not in tags.config(record):
        tags.put(client, "VDI", reference, tags.SELF, str(record["uuid"]))
    return reference, record


def grown(client: Client, reference: str, record: Mapping[str, Any], size_bytes: int) -> Found:
    """The VDI with at least `size_bytes`: its source may have grown since it was made. What is new reads as zeros."""
    if number(record.get("virtual_size")) >= size_bytes:
        return reference, record
    client.call("VDI.resize", reference, str(size_bytes))
    return reference, client.call("VDI.get_record", reference)


def begin(client: Client, reference: str, point: str) -> None:
    """Notes the point in time whose bytes the VDI is about to hold. Conflict when it holds another's.

    Written before the first byte is sent: a VDI without it is sure to be fresh, so zeros may be left out.
    """
    own = client.call("VDI.get_other_config", reference)
    found = tags.point(own if isinstance(own, dict) else {})
    found = found or tags.put(client, "VDI", reference, tags.POINT, point)
    if found != point:
        raise Conflict(
            f"the disk on the pool holds another point in time ({found})", hint="it must be made anew", code="POINT"
        )


def advance(client: Client, reference: str, point: str) -> None:
    """Notes that the whole VDI was brought to `point`. The new key is there before the old ones go."""
    own = client.call("VDI.get_other_config", reference)
    found = tags.points(own if isinstance(own, dict) else {})
    if not found or found[max(found)] != point:
        key = tags.point_key(max(found, default=-1) + 1)
        if tags.put(client, "VDI", reference, key, point) != point:
            raise Conflict("another run writes the same disk", hint="run again when it has ended", code="OWNED")
        found[max(found, default=-1) + 1] = point
    for old in sorted(found)[:-1]:
        tags.drop(client, "VDI", reference, tags.point_key(old))


def set_mark(client: Client, reference: str, mark_bytes: int) -> None:
    """Raises the high-water mark. The new key is there before the old ones go, so a kill never loses it."""
    own = client.call("VDI.get_other_config", reference)
    found = tags.marks(own if isinstance(own, dict) else {})
    highest = max(found.values(), default=0)
    if mark_bytes > highest:
        key = tags.mark_key(max(found, default=0) + 1)
        if tags.put(client, "VDI", reference, key, str(mark_bytes)) != str(mark_bytes):
            raise Conflict("another run marks the same disk", hint="run again when it has ended", code="OWNED")
    keep = max(mark_bytes, highest)
    for old, value in found.items():
        if value < keep:
            tags.drop(client, "VDI", reference, tags.mark_key(old))


def is_busy(client: Client, reference: str) -> bool:
    """Whether the pool still has the VDI attached, or does something with it."""
    record = client.call("VDI.get_record", reference)
    if record.get("current_operations"):
        return True
    for vbd in record.get("VBDs") or ():
        with passing_gone():
            if client.call("VBD.get_currently_attached", vbd):
                return True
    return False


def wait_released(client: Client, reference: str, patience_seconds: float) -> bool:
    """Waits until the VDI is free, as it is some time after a broken upload. False when it is not by then."""
    began, pause = client.now(), 0.05
    while is_busy(client, reference):
        if client.now() - began > patience_seconds:
            return False
        client.sleep(pause)
        pause = min(pause * 2, 1.0)
    return True


def attached_elsewhere(client: Client, record: Mapping[str, Any], vm: str) -> bool:
    """Whether a VM other than `vm` (a reference, or empty) has the disk; control domains do not count."""
    for vbd in record.get("VBDs") or ():
        with passing_gone():
            holder = str(client.call("VBD.get_VM", vbd))
            if holder not in (vm, _NULL) and not client.call("VM.get_is_control_domain", holder):
                return True
    return False


def destroy(client: Client, reference: str) -> None:
    """Removes a VDI and the VBD records that point to it; already gone is success."""
    with passing_gone():
        client.call("VDI.destroy", reference)


def seal(client: Client, reference: str, record: Mapping[str, Any], tag: str) -> None:
    """Turns the claim tags into v2x-sealed; v2x-self and v2x-disk stay. Safe to repeat at any point."""
    tags.put(client, "VDI", reference, tags.SEALED, tag)
    own = tags.config(record)
    marks = (tags.mark_key(old) for old in tags.marks(own))
    points = (tags.point_key(old) for old in tags.points(own))
    for key in [*marks, *points, tags.KEEPING, tags.INSTEAD, tags.MIGRATION]:
        if key in own:
            tags.drop(client, "VDI", reference, key)
