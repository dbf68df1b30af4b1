# SPDX-License-Identifier: Apache-2.0
"""A disk of a claim as it was at a moment, kept by a snapshot on the pool, so that later writes can be read alone.

The snapshot is known by `v2x-kept`, which is on the disk only while its snapshot is taken: a snapshot copies the tags,
and one that somebody else takes later copies none of that. Sources: xapi, xapi_vdi.ml (snapshot, snapshot_of),
export_raw_vdi.ml (base).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from v2x.errors import TargetError
from v2x.target.xapi import tags, vdi
from v2x.target.xapi.client import Client
from v2x.target.xapi.facts import is_thin
from v2x.target.xapi.failures import passing_gone
from v2x.target.xapi.listing import records


def can_keep(client: Client, sr: str) -> bool:
    """Whether a snapshot costs no more than what is written after it: on thick storage it takes the whole disk."""
    record = client.call("SR.get_record", sr)
    drivers = {str(driver.get("type")): driver for driver in records(client, "SM").values()}
    return is_thin(record, drivers.get(str(record.get("type")), {}))


def keep(client: Client, reference: str, patience_seconds: float) -> str:
    """Takes the snapshot, in place of an earlier one of ours; its uuid. TargetError where it cannot be taken."""
    forget(client, reference)
    record = client.call("VDI.get_record", reference)
    own = str(record["uuid"])
    if not vdi.wait_released(client, reference, patience_seconds):
        raise TargetError(f"{record.get('name_label')} is still attached on the pool")
    tags.put(client, "VDI", reference, tags.KEPT, own)
    try:
        made = str(client.call("VDI.snapshot", reference, {}))
    finally:
        tags.drop(client, "VDI", reference, tags.KEPT)
    client.call("VDI.set_name_label", made, f"[v2x] {record.get('name_label')}, as it was verified")
    return str(client.call("VDI.get_uuid", made))


def kept(client: Client, reference: str) -> str:
    """The uuid of the snapshot of ours of this disk; empty where there is none."""
    return next((str(record["uuid"]) for _, record in _ours(client, reference)), "")


def forget(client: Client, reference: str) -> None:
    """Removes the snapshots of ours; already gone is success."""
    for snapshot, _ in list(_ours(client, reference)):
        vdi.destroy(client, snapshot)


def _ours(client: Client, reference: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with passing_gone():
        record = client.call("VDI.get_record", reference)
        for snapshot in record.get("snapshots") or ():
            with passing_gone():
                found = client.call("VDI.get_record", snapshot)
                if found.get("is_a_snapshot") and tags.config(found).get(tags.KEPT) == record["uuid"]:
                    yield str(snapshot), found
