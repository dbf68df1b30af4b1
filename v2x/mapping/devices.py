# SPDX-License-Identifier: Apache-2.0
"""Disks, CD drive and adapters: where they go on the target and which number they get."""

from dataclasses import dataclass

from v2x.errors import BadImage, InputRefused, PlanError
from v2x.mapping.ledger import Case, Ledger
from v2x.mapping.mac import mac_problem, plain_mac
from v2x.mapping.resolve import (
    find_network,
    find_storage,
    image_format,
    is_offline,
    suggest_network,
    suggest_storage,
)
from v2x.mapping.rows import FirmwareRow
from v2x.mapping.tables import Tables
from v2x.model.machine import Disk, DiskBacking, DiskMode, Machine, Nic
from v2x.model.plan import MacPolicy, PlanRow
from v2x.model.target import Locking, StorageRepository, TargetDisk, TargetFacts, TargetNic
from v2x.model.units import show_bytes

CD_POSITION = 3
"""Only positions 0 to 3 have an emulated twin, and a CD drive has no other form: the last of them is the CD's."""

REST = "*"
"""The key of a plan's storage and networks that stands for all that are not named."""


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
    disks = sorted(machine.disks, key=lambda disk: disk.position)
    layout = lay_out(len(disks), bool(machine.cd_drives))
    if len(machine.cd_drives) > 1:
        ledger.note(f"CD drives: {len(machine.cd_drives)} → 1, the most that XCP-ng has.")
    folder = facts.storage[0].uuid if facts.storage else ""
    made = []
    rest: StorageRepository | None = None
    for index, (disk, device) in enumerate(zip(disks, layout.disks, strict=True)):
        wanted = row.storage.get(disk.id) or row.storage.get(REST)
        storage: StorageRepository | None
        if is_offline(facts):
            storage = None
        elif wanted:
            storage = find_storage(wanted, facts)
        else:
            storage = rest = rest or _suggested(case)
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


def note_hidden(disks: tuple[TargetDisk, ...], nics: tuple[TargetNic, ...], rules: FirmwareRow, ledger: Ledger) -> None:
    """Notes the devices that have no emulated twin."""
    late = [disk.source_disk for disk in disks if int(disk.device) >= rules.emulated_disks]
    if late:
        ledger.note(f"Disks seen by the guest only once its Xen drivers are loaded: {', '.join(late)}.")
    hidden = [nic.device for nic in nics if int(nic.device) >= rules.emulated_nics]
    if hidden:
        ledger.note(f"Adapters seen by the guest only once its Xen drivers are loaded: {', '.join(hidden)}.")


def _suggested(case: Case) -> StorageRepository:
    """The SR for disks of which the plan says nothing."""
    found = suggest_storage(case.machine.disks, case.facts, case.tables)
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
    made = []
    for index, nic in enumerate(sorted(machine.nics, key=lambda nic: nic.position)):
        model = tables.nic(nic.model)
        ledger.used(model)
        ledger.note(model.note)
        uuid, name, mtu = choose_network(nic, machine, row, facts)
        if not nic.connected:
            ledger.note(
                f"Adapter {nic.position}: disconnected on the source → made on {name!r}, but it passes no traffic "
                "until its locking mode is set to network_default (xe vif-param-set)."
            )
        made.append(
            TargetNic(
                source_position=nic.position,
                device=str(index),
                network=uuid,
                network_name=name,
                mac=_mac(nic, row, ledger),
                mtu=mtu,
                locking=Locking.NETWORK_DEFAULT if nic.connected else Locking.DISABLED,
            )
        )
    return tuple(made)


def wanted_network(nic: Nic, row: PlanRow) -> str:
    """What the plan says for an adapter; empty where it says nothing."""
    return row.networks.get(str(nic.position)) or row.networks.get(REST) or ""


def choose_network(nic: Nic, machine: Machine, row: PlanRow, facts: TargetFacts) -> tuple[str, str, int]:
    """uuid, name and MTU of the network of one adapter. In an XVA file the name stands for the uuid."""
    wanted = wanted_network(nic, row)
    if is_offline(facts):
        name = wanted or nic.network or "Pool-wide network associated with eth0"
        return name, name, 1500
    if wanted:
        found = find_network(wanted, facts)
    else:
        choice = suggest_network(nic.network, nic.vlan, facts)
        if choice is None:
            raise PlanError(
                f"machine {machine.name!r}: the pool has no network for adapter {nic.position}",
                hint="create a network on the pool",
            )
        found = choice.network
    return found.uuid, found.name, found.mtu


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
