# SPDX-License-Identifier: Apache-2.0
"""Rules by which a user says where networks and disks of a source go."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRule:
    """Adapters on a source network go to the network `target` (name or uuid).

    `source` and `switch` are shell patterns over the names of the source's network and its switch; `vlan` is the
    source's VLAN id. A part that is not given fits everything; at least one is given.
    """

    target: str
    source: str = ""
    switch: str = ""
    vlan: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UplinkRule:
    """The switch `source` (a shell pattern) leads to the pool's interface `target`: a device, bridge, name or uuid."""

    source: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageRule:
    """Disks on a datastore (a shell pattern over its name) go to the storage repository `target`."""

    datastore: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All rules, in their order: the first that fits wins."""

    networks: tuple[NetworkRule, ...] = ()
    uplinks: tuple[UplinkRule, ...] = ()
    storage: tuple[StorageRule, ...] = ()
