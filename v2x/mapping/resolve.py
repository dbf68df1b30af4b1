# SPDX-License-Identifier: Apache-2.0
"""Finds networks, storage and image formats on a target: by the name or uuid a plan gives, or storage by a suggestion.

A suggestion carries its reason as text, so that a drafted plan explains itself. Nothing here guesses in silence: a
name that several objects bear, or none, is a PlanError that lists what would be valid.
"""

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from v2x.errors import PlanError, Unsupported
from v2x.mapping.tables import Tables
from v2x.model.machine import Disk
from v2x.model.placement import Rules
from v2x.model.target import ImageFormat, StorageRepository, TargetFacts, TargetNetwork
from v2x.model.units import show_bytes

REST = "*"
"""The key of a plan's storage and networks that stands for all that are not named."""

_LISTED = 20


class Named(Protocol):
    @property
    def uuid(self) -> str: ...
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=Named)


@dataclass(frozen=True, slots=True)
class StorageChoice:
    storage: StorageRepository
    reason: str


def is_offline(facts: TargetFacts) -> bool:
    """Whether the target is a folder of XVA files, where names stand for networks and storage is chosen at import."""
    return facts.kind == "xva"


def usable_storage(facts: TargetFacts) -> tuple[StorageRepository, ...]:
    """The SRs that disks may go to: for user content and plugged on a host."""
    return tuple(sr for sr in facts.storage if sr.content_type == "user" and sr.hosts)


def find_storage(wanted: str, facts: TargetFacts) -> StorageRepository:
    """The SR with this uuid or name. PlanError when none or several have it, or when it cannot hold disks."""
    found = _find(wanted, facts.storage, usable_storage(facts), "storage repository")
    if found not in usable_storage(facts):
        why = (
            "is not plugged on any host"
            if found.content_type == "user"
            else f"holds {found.content_type or 'no'} content"
        )
        raise PlanError(
            f"storage repository {wanted!r} {why}", hint="valid: " + _names(usable_storage(facts), facts.storage)
        )
    return found


def find_network(wanted: str, facts: TargetFacts) -> TargetNetwork:
    """The network with this uuid or name. PlanError when none or several have it."""
    return _find(wanted, facts.networks, facts.networks, "network")


def _find(wanted: str, everything: Sequence[N], valid: Sequence[N], noun: str) -> N:
    by_uuid = [item for item in everything if item.uuid == wanted]
    if by_uuid:
        return by_uuid[0]
    named = [item for item in valid if item.name == wanted] or [item for item in everything if item.name == wanted]
    if len(named) > 1:
        raise PlanError(
            f"{noun} name {wanted!r} is borne by {len(named)} of them",
            hint="use the uuid: " + ", ".join(item.uuid for item in named),
        )
    if not named:
        raise PlanError(f"no {noun} is named {wanted!r}", hint="valid: " + _names(valid, everything))
    return named[0]


def reference(item: Named, everything: Sequence[Named]) -> str:
    """How a plan names `item`: by its name where that is enough, else by its uuid."""
    same = [other for other in everything if item.name in (other.name, other.uuid)]
    return item.name if len(same) == 1 and item.name.strip() == item.name and item.name else item.uuid


def _names(items: Sequence[Named], everything: Sequence[Named]) -> str:
    shown = [reference(item, everything) for item in items[:_LISTED]]
    more = len(items) - len(shown)
    return (", ".join(shown) or "none") + (f", and {more} more" if more > 0 else "")


def needed_bytes(disk: Disk, storage: StorageRepository) -> int:
    """Room a disk takes on an SR: what it holds where the SR is thin and the source tells it, else its full size."""
    if storage.thin and disk.allocated_bytes is not None:
        return min(disk.capacity_bytes, disk.allocated_bytes)
    return disk.capacity_bytes


def has_room(storage: StorageRepository, needed: int) -> bool:
    """Whether `needed` bytes fit; an SR that does not tell its size is taken to have room."""
    return storage.size_bytes <= 0 or storage.free_bytes >= needed


def suggest_storage(disks: Sequence[Disk], facts: TargetFacts, tables: Tables) -> StorageChoice | None:
    """The SR for a machine's disks: the pool's default with room, else a shared one with most room, else any.

    SRs that cannot hold a disk's size come last. None when the pool has no SR for disks.
    """
    fitting = [sr for sr in usable_storage(facts) if all(_fits(disk, sr, facts, tables) for disk in disks)]
    roomy = [sr for sr in fitting if has_room(sr, sum(needed_bytes(disk, sr) for disk in disks))]
    for sr in roomy:
        if sr.is_default:
            return StorageChoice(sr, f"default SR of the pool, {show_bytes(sr.free_bytes)} free")
    default = next((sr for sr in facts.storage if sr.is_default), None)
    why = "the pool has no default SR" if default is None else f"the default SR {default.name!r} does not fit"
    for wanted, kind in ((True, "shared SR"), (False, "local SR")):
        found = _freest(sr for sr in roomy if sr.shared is wanted)
        if found is not None:
            return StorageChoice(found, f"{kind} with most room, {show_bytes(found.free_bytes)} free; {why}")
    rest = _freest(fitting) or _freest(usable_storage(facts))
    return None if rest is None else StorageChoice(rest, "no SR has room for this machine: please check")


def storage_by_rule(disk: Disk, facts: TargetFacts, rules: Rules) -> StorageRepository | None:
    """The SR that the first rule fitting the disk's datastore names. PlanError where the pool cannot use it."""
    for rule in rules.storage:
        if disk.datastore == rule.datastore or fnmatch.fnmatchcase(disk.datastore, rule.datastore):
            return find_storage(rule.target, facts)
    return None


def _freest(storages: Iterable[StorageRepository]) -> StorageRepository | None:
    return min(storages, key=lambda sr: (-sr.free_bytes, sr.name, sr.uuid), default=None)


def _fits(disk: Disk, storage: StorageRepository, facts: TargetFacts, tables: Tables) -> bool:
    try:
        image_format(disk, storage, facts, tables)
    except Unsupported:
        return False
    return True


def image_format(disk: Disk, storage: StorageRepository | None, facts: TargetFacts, tables: Tables) -> ImageFormat:
    """VHD up to its limit, QCOW2 above it where SR and xapi can. Unsupported where neither holds the disk.

    `storage` None is an XVA file, which has no means to ask for QCOW2.
    """
    vhd_max = tables.limit("vhd_max_bytes", product=facts.version)
    size, what = disk.capacity_bytes, f"disk {disk.label!r} of {show_bytes(disk.capacity_bytes)}"
    can_vhd = storage is None or ImageFormat.VHD in storage.image_formats
    can_qcow2 = storage is not None and ImageFormat.QCOW2 in storage.image_formats and facts.qcow2_import
    if size <= vhd_max and can_vhd:
        return ImageFormat.VHD
    if storage is None:
        raise Unsupported(
            f"{what} is larger than the {show_bytes(vhd_max)} that an XVA file can hold",
            hint="migrate to a pool directly",
        )
    largest = min(tables.limit("qcow2_max_bytes"), tables.limit("qcow2_stream_max_bytes"))
    if can_qcow2 and size <= largest:
        return ImageFormat.QCOW2
    if can_qcow2:
        raise Unsupported(
            f"{what} is larger than the {show_bytes(largest)} that can be sent as QCOW2",
            hint="shrink the disk, or split its content over several disks",
        )
    limit = f"the {show_bytes(vhd_max)} of a VHD" if can_vhd else "what it can make"
    raise Unsupported(
        f"{what} does not fit on SR {storage.name!r}, which has no QCOW2 for sizes above {limit}",
        hint="choose an SR of type ext, nfs, lvm, lvmoiscsi or lvmohba on a pool with xapi 25.27 or later",
    )
