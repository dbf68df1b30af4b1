# SPDX-License-Identifier: Apache-2.0
"""What may go at a source once machines were moved for good: a list for people; v2x itself deletes none of it."""

from dataclasses import dataclass
from datetime import datetime

DECOMMISSION_SCHEMA = "v2x.decommission/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    """One finalized machine, and what else ends with it. Empty where the source does not tell.

    `files` are its disks' files and its configuration. `backups` say which product's mark was seen where; `names` are
    host names, `addresses` IP and MAC addresses as the guest's agent and the source told them. `others` are ties of the
    source: groups, replication, automatic start. `todos` are the plan's, `checks` and `note` its words.
    """

    source: str
    name: str
    machine_id: str
    target_name: str
    vm_uuid: str = ""
    host: str = ""
    cluster: str = ""
    folder: str = ""
    reference: str = ""
    files: tuple[str, ...] = ()
    datastores: tuple[str, ...] = ()
    snapshots: tuple[str, ...] = ()
    backups: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    todos: tuple[str, ...] = ()
    checks: str = ""
    note: str = ""
    change: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Emptied:
    """A datastore that finalized machines lie on. `holders` are machines that still do; without any, it holds nothing
    else of the inventory. `used_bytes` is what it holds in all, `known_bytes` what of that is the machines'.
    """

    source: str
    name: str
    machines: tuple[str, ...]
    holders: tuple[str, ...] = ()
    used_bytes: int | None = None
    known_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NotYet:
    """A machine that is still needed at its source, and why."""

    source: str
    name: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decommission:
    """`listed` are the times at which the inventories were taken that datastores were judged by, by source; a source
    that is missing there could not be judged."""

    batch: str
    plan_id: str
    made: datetime
    machines: tuple[Retired, ...] = ()
    datastores: tuple[Emptied, ...] = ()
    not_yet: tuple[NotYet, ...] = ()
    listed: dict[str, datetime]
    schema: str = DECOMMISSION_SCHEMA
