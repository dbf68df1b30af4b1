# SPDX-License-Identifier: Apache-2.0
"""Snapshots of a VMware machine, as its .vmsd file lists them."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from v2x.errors import BadImage
from v2x.model.machine import Snapshot
from v2x.sources.vmx_file import VmxFile

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_snapshots(vmsd: VmxFile, there: Iterable[str]) -> tuple[Snapshot, ...]:
    """In the order of the file. `there` are the files beside it: a .vmem tells that memory was kept.

    BadImage for two snapshots of one number and for parents that are not listed.
    """
    present = {name.lower() for name in there}
    current = vmsd.get("snapshot.current").strip()
    found = [_snapshot(vmsd, match[0], current, present) for match in vmsd.groups(r"snapshot[0-9]{1,4}(?=\.)")]
    snapshots = [snapshot for snapshot in found if snapshot.id]
    ids = [snapshot.id for snapshot in snapshots]
    if len(set(ids)) != len(ids):
        raise BadImage(f"{vmsd.name} lists one snapshot twice", hint="consolidate the snapshots at the source")
    for snapshot in snapshots:
        if snapshot.parent and snapshot.parent not in ids:
            raise BadImage(
                f"{vmsd.name}: snapshot {snapshot.id} has the unknown parent {snapshot.parent}",
                hint="consolidate the snapshots at the source",
            )
    return tuple(snapshots)


def _snapshot(vmsd: VmxFile, key: str, current: str, present: set[str]) -> Snapshot:
    uid = vmsd.get(f"{key}.uid").strip()
    state = re.split(r"[/\\]", vmsd.get(f"{key}.filename"))[-1].lower()
    memory = state.removesuffix(".vmsn") + ".vmem"
    parent = vmsd.get(f"{key}.parent").strip()
    return Snapshot(
        id=uid,
        name=vmsd.get(f"{key}.displayName"),
        created=_created(vmsd, key),
        description=vmsd.get(f"{key}.description"),
        parent="" if parent == "0" else parent,
        current=bool(uid) and uid == current,
        with_memory=vmsd.number(f"{key}.type", 0) == 1 or (state != "" and memory in present),
    )


def _created(vmsd: VmxFile, key: str) -> str:
    """Microseconds since 1970, split into a signed high and low half, as ISO 8601 in UTC."""
    if f"{key}.createTimeHigh" not in vmsd or f"{key}.createTimeLow" not in vmsd:
        return ""
    high = vmsd.number(f"{key}.createTimeHigh", 0, -(2**31), 2**32)
    low = vmsd.number(f"{key}.createTimeLow", 0, -(2**31), 2**32)
    try:
        moment = _EPOCH + timedelta(microseconds=(high << 32) + (low & 0xFFFFFFFF))
    except OverflowError:
        return ""
    return moment.isoformat(timespec="seconds")
