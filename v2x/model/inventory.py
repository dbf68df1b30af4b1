# SPDX-License-Identifier: Apache-2.0
"""An inventory: everything a source told at one moment. Saved as JSON; a report needs nothing more."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from v2x.model.machine import Machine, VlanRange

INVENTORY_SCHEMA = "v2x.inventory/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceNetwork:
    """A port group, or a Hyper-V switch: `switch` carries it over the host interfaces `uplinks`.

    `vlan` is None where the source does not say and 0 where it does not tag. `trunk` are the VLANs that reach the guest
    with their tags; `internal` is a switch without any uplink. `hosts` are the names of the hosts that have it, empty
    for all of them: standard switches of two hosts may have port groups of one name and different VLANs.
    `private_vlan` is the source's word (isolated, community, promiscuous) with its ids.
    """

    name: str
    kind: str = "standard"
    vlan: int | None = None
    switch: str = ""
    uplinks: tuple[str, ...] = ()
    internal: bool = False
    trunk: tuple[VlanRange, ...] = ()
    hosts: tuple[str, ...] = ()
    private_vlan: str = ""
    promiscuous: bool = False
    forged_transmits: bool = False
    mac_learning: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Datastore:
    """`reference` is the source's handle; `hosts` are the hosts that see it, empty where the source does not say."""

    name: str
    kind: str = ""
    capacity_bytes: int | None = None
    free_bytes: int | None = None
    reference: str = ""
    datacenter: str = ""
    accessible: bool | None = None
    shared: bool | None = None
    maintenance: str = ""
    replicated: bool | None = None
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceHost:
    name: str
    version: str = ""
    cluster: str = ""
    in_maintenance: bool = False
    reference: str = ""
    connection_state: str = ""
    cores: int | None = None
    memory_bytes: int | None = None
    cpu_model: str = ""
    licence: str = ""
    read_only_licence: bool | None = None
    edition: str = ""


class Together(StrEnum):
    """Why machines of a group belong together, or must be kept apart."""

    AFFINITY = "affinity"
    ANTI_AFFINITY = "anti_affinity"
    HOST_AFFINITY = "host_affinity"
    SHARED_DISK = "shared_disk"
    FAILOVER_CLUSTER = "failover_cluster"
    VAPP = "vapp"


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineGroup:
    """Machines (by id) that the source ties to each other; `name` is the rule's, vApp's or disk's name."""

    name: str
    kind: Together
    machines: tuple[str, ...]
    hosts: tuple[str, ...] = ()
    mandatory: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCluster:
    """A cluster of hosts; `drs` is its level (manual, partiallyAutomated, fullyAutomated), empty when off."""

    name: str
    reference: str = ""
    drs: str = ""
    dpm: bool | None = None
    ha: bool | None = None
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """Which source this is: `kind` is ovf, vmx, vsphere, hyperv…; `address` as the user wrote it, without secrets.

    `instance` is the server's own identity. `missing_privileges` are those of a migration that the account lacks, by
    the source's names.
    """

    kind: str
    address: str
    product: str = ""
    version: str = ""
    instance: str = ""
    account: str = ""
    missing_privileges: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceProblem:
    """Something that kept a part of the source from being listed: `subject` is the file or object."""

    subject: str
    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    source: SourceInfo
    taken_at: datetime
    machines: tuple[Machine, ...]
    networks: tuple[SourceNetwork, ...] = ()
    datastores: tuple[Datastore, ...] = ()
    hosts: tuple[SourceHost, ...] = ()
    clusters: tuple[SourceCluster, ...] = ()
    groups: tuple[MachineGroup, ...] = ()
    problems: tuple[SourceProblem, ...] = ()
    schema: str = INVENTORY_SCHEMA
