# SPDX-License-Identifier: Apache-2.0
"""Test cutovers: copies of machines that run apart from everything while their migrations go on."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """A test copy of the migration `tag`, made for the test cutover `id`; times are UTC.

    `vm` is empty where only disks are left of it. `whole` is false for one whose making was cut off. `until` is when it
    is to be discarded, `ended` when it was. `where` says in words what it runs on; `state` and `addresses` are what the
    target told last.
    """

    id: str
    tag: str
    name: str
    vm: str = ""
    made: datetime | None = None
    until: datetime | None = None
    ended: datetime | None = None
    whole: bool = True
    where: str = ""
    state: str = ""
    addresses: tuple[str, ...] = ()
    disks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What an operator asks of a test: how long, and where. `vlans` are `N` or `NETWORK=N`."""

    hours: float = 4.0
    host: str = ""
    vlans: tuple[str, ...] = ()
    uplink: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What a test cutover asks of its target.

    `networks` are the source's networks, the name to show by key: each becomes one of its own. Without `vlans` they
    exist inside one host: `host` (name or uuid), or the one with most room. With `vlans` (by the same keys) they are
    spare VLANs over the network or interface `uplink`.
    """

    id: str
    networks: dict[str, str]
    host: str = ""
    vlans: dict[str, int] = field(default_factory=dict)
    uplink: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seclusion:
    """The isolated networks of a test cutover: uuids by the keys of its stage; `vlans` are what carries them.

    `host` is the uuid of the only host that they exist on, empty where they are VLANs; `where` says it in words.
    """

    id: str
    networks: dict[str, str]
    host: str = ""
    where: str = ""
    vlans: dict[str, int] = field(default_factory=dict)
