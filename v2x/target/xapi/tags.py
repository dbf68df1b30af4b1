# SPDX-License-Identifier: Apache-2.0
"""The tags in other_config by which a migration's objects are found again, and the rules for reading them.

v2x-migration   the tag of the migration; in the create record, so no object exists without it; gone once sealed
v2x-self        the object's own uuid, added right after creation: a user's clone or copy carries another one
v2x-owner       on the VM: which run works on it now (owner.py); gone once sealed
v2x-spec        on the VM: a digest of the planned machine; a claim of another plan gets its VM anew
v2x-disk        on a VDI: the id of the disk on the source; stays
v2x-point       on a VDI: the point in time of its content; written before the first byte is sent
v2x-point-<n>   on a VDI: a later point that all of it was brought to; the highest number counts
v2x-hwm-<n>     on a VDI: the high-water mark in bytes; the highest value counts
v2x-kept        on a snapshot of a VDI that is ours: what it was taken for (kept.py)
v2x-keeping     on a VDI while its snapshot is taken: a random text and the pool's time, which the snapshot copies
v2x-cloning     on a snapshot of ours while it is cloned: a random text, which the clone copies
v2x-instead     on a VDI that was cloned from a snapshot of ours: the uuid of the VDI whose place it is about to take
v2x-sealed      the tag of the migration, once it is finished; stays

Those of a test cutover, on VMs and VDIs of its own, which carry none of the claim's besides v2x-self and v2x-disk:

v2x-test        the id of the test cutover; also on its networks
v2x-test-of     the tag of the migration that it is a copy of
v2x-test-until  on the VM: when it is to be discarded, ISO 8601
v2x-test-made   on the VM: when its disks were copied; without it, it is not sure that they are of one point in time
v2x-test-copy   on a VM that lives while disks are copied: a random text that the copy's name must hold
v2x-test-network, v2x-test-host, v2x-test-vlan   on a network: the source's network that it stands for, and on what
"""

import re
from collections.abc import Mapping
from typing import Any

from v2x.errors import V2xError
from v2x.target.keeping import Moment
from v2x.target.xapi.client import Client
from v2x.target.xapi.failures import xapi_code

MIGRATION = "v2x-migration"
SELF = "v2x-self"
OWNER = "v2x-owner"
SPEC = "v2x-spec"
DISK = "v2x-disk"
POINT = "v2x-point"
SEALED = "v2x-sealed"
TEST = "v2x-test"
TEST_OF = "v2x-test-of"
TEST_UNTIL = "v2x-test-until"
TEST_MADE = "v2x-test-made"
TEST_COPY = "v2x-test-copy"
TEST_NETWORK = "v2x-test-network"
TEST_HOST = "v2x-test-host"
TEST_VLAN = "v2x-test-vlan"
KEPT = "v2x-kept"
KEEPING = "v2x-keeping"
CLONING = "v2x-cloning"
INSTEAD = "v2x-instead"
_KINDS_KEPT = frozenset(moment.value for moment in Moment)
_LATER_POINT = re.compile(r"v2x-point-(\d{1,9})")
_MARK = re.compile(r"v2x-hwm-(\d{1,9})")
_SIZE = re.compile(r"\d{1,18}")

Record = Mapping[str, Any]
LISTED = ("uuid", "other_config", "is_a_snapshot")
"""The fields of a VM or VDI that tell whether it is a migration's."""


def is_reserved(key: str) -> bool:
    """Whether a key of other_config is a tag, which nothing that a source says may stand in for."""
    return key.startswith("v2x-") and not key.startswith("v2x-source")


def config(record: Record) -> dict[str, str]:
    """The other_config of a record; empty where it has none."""
    found = record.get("other_config")
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def is_own(record: Record) -> bool:
    """False for a clone, copy or snapshot of an object of ours: its tags name another uuid.

    An object without v2x-self is one whose making was interrupted right after its creation.
    """
    return config(record).get(SELF, record.get("uuid")) == record.get("uuid") and not record.get("is_a_snapshot", False)


def claimed_by(record: Record, tag: str) -> bool:
    """Whether the object belongs to the unfinished migration `tag`."""
    return config(record).get(MIGRATION) == tag and SEALED not in config(record) and is_own(record)


def sealed_by(record: Record, tag: str) -> bool:
    """Whether the object is the result of the finished migration `tag`."""
    tags = config(record)
    return tags.get(SEALED) == tag and SELF in tags and is_own(record)


def is_of(record: Record, tag: str) -> bool:
    """Whether the object belongs to the migration `tag`, unfinished or finished."""
    return claimed_by(record, tag) or sealed_by(record, tag)


def is_tagged(record: Record) -> bool:
    """Whether the object may belong to a migration, or a copy of it."""
    found = config(record)
    return MIGRATION in found or SEALED in found or TEST in found


def is_test_copy(record: Record) -> bool:
    """Whether the object is a test copy of ours, not one that a user made of it."""
    return TEST in config(record) and is_own(record)


def is_kept(record: Record) -> bool:
    """Whether the object is a snapshot that a migration took, not one that a user took of its disk or of this one."""
    found = config(record)
    ours = found.get(SELF) == record.get("uuid") and found.get(KEPT) in _KINDS_KEPT
    return ours and bool(record.get("is_a_snapshot"))


def marks(tags: Mapping[str, str]) -> dict[int, int]:
    """The high-water marks by number; what is not a number is ignored."""
    found: dict[int, int] = {}
    for key, value in tags.items():
        match = _MARK.fullmatch(key)
        if match and _SIZE.fullmatch(value):
            found[int(match[1])] = int(value)
    return found


def points(tags: Mapping[str, str]) -> dict[int, str]:
    """The points in time by number, the first one under 0; the highest number counts."""
    found = {int(match[1]): value for key, value in tags.items() if (match := _LATER_POINT.fullmatch(key))}
    return {**({0: tags[POINT]} if POINT in tags else {}), **found}


def point(tags: Mapping[str, str]) -> str:
    """The point that counts; empty for a fresh VDI."""
    found = points(tags)
    return found[max(found)] if found else ""


def point_key(number: int) -> str:
    return f"{POINT}-{number}" if number else POINT


def mark_key(number: int) -> str:
    return f"v2x-hwm-{number}"


def put(client: Client, kind: str, reference: str, key: str, value: str) -> str:
    """Adds a key of other_config where it is absent. Returns the value that is there afterwards."""
    try:
        client.call(f"{kind}.add_to_other_config", reference, key, value)
    except V2xError as error:
        if xapi_code(error) != "MAP_DUPLICATE_KEY":
            raise
        found = client.call(f"{kind}.get_other_config", reference)
        return str(found.get(key, "")) if isinstance(found, dict) else ""
    return value


def drop(client: Client, kind: str, reference: str, key: str) -> None:
    """Removes a key of other_config; an absent one is no error on XAPI."""
    client.call(f"{kind}.remove_from_other_config", reference, key)
