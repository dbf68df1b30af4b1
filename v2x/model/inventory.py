# SPDX-License-Identifier: Apache-2.0
"""An inventory: everything a source told at one moment. Saved as JSON; a report needs nothing more."""

from dataclasses import dataclass
from datetime import datetime

from v2x.model.machine import Machine

INVENTORY_SCHEMA = "v2x.inventory/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceNetwork:
    name: str
    kind: str = "standard"
    vlan: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Datastore:
    name: str
    kind: str = ""
    capacity_bytes: int | None = None
    free_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceHost:
    name: str
    version: str = ""
    cluster: str = ""
    in_maintenance: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """Which source this is: `kind` is ovf, vmx, vsphere, hyperv…; `address` as the user wrote it, without secrets."""

    kind: str
    address: str
    product: str = ""
    version: str = ""


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
    problems: tuple[SourceProblem, ...] = ()
    schema: str = INVENTORY_SCHEMA
