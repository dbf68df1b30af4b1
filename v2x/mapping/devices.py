# SPDX-License-Identifier: Apache-2.0
"""Disks, CD drive and adapters: where they go on the target and which number they get."""

from dataclasses import dataclass

from v2x.errors import BadImage, InputRefused, PlanError
from v2x.mapping.ledger import Case, Ledger
from v2x.mapping.mac import mac_problem, plain_mac
from v2x.mapping.networks import NetworkChoice, Unresolved, refuse_open_questions, settle, trunk_ids
from v2x.mapping.resolve import (
    REST,
    find_storage,
    image_format,
    is_offline,
    storage_by_rule,
    suggest_storage,
)
from v2x.mapping.rows import FirmwareRow
from v2x.mapping.tables import Tables
from v2x.model.machine import Disk, DiskBacking, DiskMode, Machine, Nic
from v2x.model.placement import Rules
from v2x.model.plan import MacPolicy, PlanRow
from v2x.model.target import Locking, StorageRepository, TargetDisk, TargetFacts, TargetNetwork, TargetNic
from v2x.model.units import show_bytes
from v2x.text import plural

CD_POSITION = 3
"""Only positions 0 to 3 have an emulated twin, and a CD drive has no other form: the last of them is the CD's."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Device numbers of the disks in their order, and the CD drive's, empty where there is none."""

    disks: tuple[str, ...]
    cd: str


def lay_out(disks: int, has_cd: bool) -> Layout:
    """The boot disk at 0, the CD drive at 3, every other disk at the next number that is left."""
    numbers = [number for number in range(disks + 1) if not (has_cd and number == CD_POSITION)]
    return Layout(tuple(str(number) for number in numbers[:disks]), str(CD_POSITION) if has_cd else "")


def target_disks(case: Case, name: str) -> tuple[tuple[TargetDisk, ...], str]:
    """The disks to make, boot disk first, and the device number of the CD drive.

    PlanError for storage that does not resolve; Unsupported and BadImage for disks that cannot be made.
    """
    machine, row, facts, tables, ledger = case.machine, case.row, case.facts, case.tables, case.ledger
    disks = sorted((disk for disk in machine.disks if not disk.lent_by), key=lambda disk: disk.position)
    for disk in machine.disks:
        if disk.lent_by:
            ledger.note(f"{disk.label or disk.id}: left out, it belongs to another machine and is only lent.")
    layout = lay_out(len(disks), bool(machine.cd_drives))
    if len(machine.cd_drives) > 1:
        ledger.note(f"CD drives: {len(machine.cd_drives)} → 1, the most that XCP-ng has.")
    folder = facts.storage[0].uuid if facts.storage else ""
    made = []
    rest: StorageRepository | None = None
    for index, (disk, device) in enumerate(zip(disks, layout.disks, strict=True)):
        storage = None
        if not is_offline(facts):
            storage = chosen_storage(disk, row, facts, case.places.rules)
            storage = storage or (rest := rest or _suggested(case))
        bus = tables.disk_bus(disk.bus)
        ledger.used(bus)
        ledger.note(bus.note)
        made.append(
            TargetDisk(
                source_disk=disk.id,
                name=f"{name} {disk.label or disk.id}".strip(),
                description=f"v2x: from {row.source}, {machine.name}, {disk.id}",
                sr=storage.uuid if storage is not None else folder,
                size_bytes=_size(disk, machine, tables, ledger),
                device=device,
                bootable=index == 0,
                image_format=image_format(disk, storage, facts, tables),
            )
        )
    return tuple(made), layout.cd


def chosen_storage(disk: Disk, row: PlanRow, facts: TargetFacts, rules: Rules) -> StorageRepository | None:
    """The SR that the plan, else a rule, names for a disk; None where neither does."""
    wanted = row.storage.get(disk.id) or row.storage.get(REST)
    return find_storage(wanted, facts) if wanted else storage_by_rule(disk, facts, rules)


def note_hidden(disks: tuple[TargetDisk, ...], nics: tuple[TargetNic, ...], rules: FirmwareRow, ledger: Ledger) -> None:
    """Notes the devices that have no emulated twin."""
    late = [disk.source_disk for disk in disks if int(disk.device) >= rules.emulated_disks]
    if late:
        ledger.note(f"Disks seen by the guest only once its Xen drivers are loaded: {', '.join(late)}.")
    hidden = [nic.device for nic in nics if int(nic.device) >= rules.emulated_nics]
    if hidden:
        ledger.note(f"Adapters seen by the guest only once its Xen drivers are loaded: {', '.join(hidden)}.")


def _suggested(case: Case) -> StorageRepository:
    """The SR for disks of which neither the plan nor a rule says anything."""
    rules = case.places.rules
    disks = [disk for disk in case.machine.disks if chosen_storage(disk, case.row, case.facts, rules) is None]
    found = suggest_storage(disks, case.facts, case.tables)
    if found is None:
        raise PlanError(
            f"machine {case.machine.name!r}: the pool has no storage repository for disks",
            hint="plug an SR with user content, or name another target",
        )
    return found.storage


def _size(disk: Disk, machine: Machine, tables: Tables, ledger: Ledger) -> int:
    what = f"machine {machine.name!r}: disk {disk.label or disk.id!r}"
    if disk.backing is DiskBacking.MISSING:
        missing = ", ".join(disk.files) or "its file"
        raise InputRefused(
            f"{what} is missing: {missing}",
            code="MISSING-DISK",
            hint="copy the disk's file beside the descriptor, or export the machine again",
        )
    if disk.capacity_bytes <= 0:
        raise BadImage(f"{what} has a size of {disk.capacity_bytes} bytes", hint="remove the disk on the source")
    least = tables.limit("vhd_min_bytes")
    if disk.capacity_bytes < least:
        ledger.note(f"Disk {disk.id}: {show_bytes(disk.capacity_bytes)} → {show_bytes(least)}, the smallest there is.")
    if disk.mode is DiskMode.INDEPENDENT_NONPERSISTENT:
        ledger.note(f"Disk {disk.id}: it forgot its writes at power-off; on the target it keeps them.")
    return max(disk.capacity_bytes, least)


def target_nics(case: Case) -> tuple[TargetNic, ...]:
    """The adapters to make, in the source's order. PlanError for networks that do not resolve."""
    machine, row, facts, tables, ledger = case.machine, case.row, case.facts, case.tables, case.ledger
    settled = settle(machine, row, facts, case.places)
    refuse_open_questions([(nic, found) for nic, found in settled if isinstance(found, Unresolved)], machine, facts)
    chosen = [(nic, found.network) for nic, found in settled if isinstance(found, NetworkChoice)]
    made = []
    for index, (nic, network) in enumerate(chosen):
        model = tables.nic(nic.model)
        ledger.used(model)
        ledger.note(model.note)
        if not nic.connected:
            ledger.note(
                f"Adapter {nic.position}: disconnected on the source → made on {network.name!r}, but it passes no "
                "traffic until its locking mode is set to network_default (xe vif-param-set)."
            )
        made.append(
            TargetNic(
                source_position=nic.position,
                device=str(index),
                network=network.uuid,
                network_name=network.name,
                mac=_mac(nic, row, ledger),
                mtu=network.mtu,
                trunks=_trunks(nic, network, case),
                locking=Locking.NETWORK_DEFAULT if nic.connected else Locking.DISABLED,
            )
        )
    return tuple(made)


def _trunks(nic: Nic, network: TargetNetwork, case: Case) -> tuple[int, ...]:
    """The VLANs to let through to an adapter that is on a trunk; notes what the guest will see."""
    origin = case.places.origin(nic, case.machine)
    if not origin.trunk:
        return ()
    if network.vlan is not None:
        case.ledger.note(f"Adapter {nic.position}: a trunk on the source → VLAN {network.vlan} only.")
        return ()
    ids = trunk_ids(origin.trunk)
    if ids and case.facts.vif_trunks:
        case.ledger.note(f"Adapter {nic.position}: a trunk on the source → the same {plural(len(ids), 'VLAN')}.")
        return ids
    case.ledger.note(f"Adapter {nic.position}: a trunk on the source → all VLANs of {network.name!r} reach the guest.")
    return ()


def _mac(nic: Nic, row: PlanRow, ledger: Ledger) -> str:
    if row.mac is MacPolicy.NEW:
        if nic.mac:
            ledger.note(f"Adapter {nic.position}: MAC {nic.mac} → a new one, as the plan says.")
        return ""
    if not nic.mac:
        ledger.note(f"Adapter {nic.position}: the source tells no MAC → a new one.")
        return ""
    problem = mac_problem(nic.mac)
    if problem:
        ledger.note(f"Adapter {nic.position}: MAC {nic.mac} {problem} → a new one.")
        return ""
    return plain_mac(nic.mac)
