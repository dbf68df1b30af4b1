# SPDX-License-Identifier: Apache-2.0
"""A plan: one row per machine with every choice written down."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from v2x.model.health import OnFail
from v2x.model.inventory import Inventory
from v2x.model.machine import Firmware
from v2x.model.migration import VerifyLevel
from v2x.model.target import HaPriority, SecureBoot, TargetFacts

PLAN_SCHEMA = "v2x.plan/1"


class MacPolicy(StrEnum):
    KEEP = "keep"
    NEW = "new"


class Transfer(StrEnum):
    COLD = "cold"
    WARM = "warm"


class Running(StrEnum):
    """What may be done with a machine that runs: nothing, a snapshot, a shutdown by its guest, a hard switch-off."""

    REFUSE = "refuse"
    SNAPSHOT = "snapshot"
    SHUTDOWN = "shutdown"
    POWER_OFF = "power-off"


class GuestConversion(StrEnum):
    """Whether a guest is put right for Xen on its way."""

    OFF = "off"
    AUTO = "auto"


class GuestWish(StrEnum):
    """What a row asks for in a guest that is converted: the old hypervisor's packages taken out, a hibernated Windows's
    state thrown away; and that BitLocker was suspended before the last shutdown, where the disk itself does not tell.
    """

    REMOVE_TOOLS = "remove-tools"
    CLEAN_HIBERNATION = "clean-hibernation"
    BITLOCKER_SUSPENDED = "bitlocker-suspended"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRow:
    """The choices for one machine. None or empty means: as the source has it, or the drafted default.

    `storage` maps a disk id to an SR (name or uuid), with "*" for the rest; `networks` maps a NIC position
    (decimal text) to a target network (name or uuid), with "*" for the rest. `guest` is what a conversion is asked for,
    in the order of GuestWish; files and keys for it are never in a plan. `timezone` is the guest's: a name of the
    tz database or an offset such as +02:00. `after` are names or ids of machines of the plan that must be through
    before; `groups` are those of the source as `kind:name` (kind a value of Together with hyphens), or names of one's
    own; `window` is a text for model.windows. `change` and `approved_by` are kept and reported; `checks` too, and its
    words `tcp:PORT` and `tcp:PORT@ADDRESS` are looked at by v2x itself. `on_fail` says what follows where it fails.
    `retire` names, with semicolons between, what else ends with the machine at its source.
    """

    machine_id: str
    machine_name: str
    source: str
    target: str
    target_name: str = ""
    storage: dict[str, str] = field(default_factory=dict)
    networks: dict[str, str] = field(default_factory=dict)
    mac: MacPolicy = MacPolicy.KEEP
    vcpus: int | None = None
    memory_bytes: int | None = None
    firmware: Firmware | None = None
    secure_boot: SecureBoot | None = None
    vtpm: bool | None = None
    template: str = ""
    transfer: Transfer = Transfer.COLD
    convert: GuestConversion = GuestConversion.OFF
    guest: tuple[GuestWish, ...] = ()
    running: Running = Running.REFUSE
    verify: VerifyLevel = VerifyLevel.AUTO
    start: bool = False
    autostart: bool = False
    ha: HaPriority = HaPriority.NONE
    host: str = ""
    timezone: str = ""
    bios_strings: bool = False
    as_template: bool = False
    resource_set: str = ""
    wave: int = 1
    order: int = 0
    after: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    window: str = ""
    change: str = ""
    approved_by: str = ""
    checks: str = ""
    on_fail: OnFail = OnFail.KEEP
    retire: str = ""
    hooks: tuple[str, ...] = ()
    role: str = ""
    exclude: bool = False
    note: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An address with what is needed to trust it; a secret is only ever referred to, never held.

    `resource_set` is the one of Xen Orchestra that machines get where nothing else is said, for targets.
    `settings` are the kind of source's own: how to log in to Hyper-V hosts.
    `shares` say where folders of a Hyper-V host are found on the network (FOLDER=\\\\SERVER\\SHARE), `smb_user` logs in
    there. `experimental_vmcx` reads the keys of generation 2 from .vmcx files.
    """

    alias: str
    address: str
    ca_file: str = ""
    fingerprint: str = ""
    secret: str = ""
    resource_set: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    shares: tuple[str, ...] = ()
    smb_user: str = ""
    smb_encryption: bool = True
    experimental_vmcx: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`id` is the sha256 of the rows; the inventories and facts are those of the draft."""

    id: str
    created: datetime
    rows: tuple[PlanRow, ...]
    sources: tuple[Endpoint, ...] = ()
    targets: tuple[Endpoint, ...] = ()
    inventories: dict[str, Inventory] = field(default_factory=dict)
    facts: dict[str, TargetFacts] = field(default_factory=dict)
    schema: str = PLAN_SCHEMA
