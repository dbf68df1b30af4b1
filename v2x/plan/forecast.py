# SPDX-License-Identifier: Apache-2.0
"""What a move would come to: the machine that each would become, the time and room it takes, and the waves.

The choices are those of a drafted plan, so that the report says what `v2x plan draft` would.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from v2x.assess.context import needed_bytes
from v2x.mapping.networks import NetworkChoice, Places, candidates
from v2x.mapping.resolve import REST
from v2x.mapping.tables import Tables
from v2x.model.finding import Finding, Severity, Verdict, verdict_of
from v2x.model.forecast import Forecast, Outlook, Pace, Place, Wave
from v2x.model.inventory import Inventory
from v2x.model.machine import Machine
from v2x.model.placement import Rules
from v2x.model.target import ImageFormat, StorageRepository, TargetFacts, Template
from v2x.plan.draft import Drafted, Ground, draft_row, first_row, taken
from v2x.plan.waves import suggest_waves

OVERHEAD_SECONDS = 120
"""For each machine: shutdown, making it on the pool, the first look at it."""


def forecast(
    inventory: Inventory,
    facts: TargetFacts | None,
    tables: Tables,
    *,
    rules: Rules | None = None,
    findings: Sequence[Finding] = (),
    pace: Pace,
) -> Forecast:
    """The forecast for all machines of an inventory. Without `facts` the machines are those of a current pool, and no
    storage or network is named. PlanError where one of `rules` names what the pool lacks.
    """
    pool = facts or imagined_pool(tables, inventory.taken_at)
    places = Places(rules, inventory.networks)
    verdicts = _verdicts(inventory, findings)
    outlooks: dict[str, Outlook] = {}
    room = pool
    for machine in inventory.machines:
        empty = first_row(machine, inventory.source.address, pool.address)
        drafted = draft_row(machine, empty, Ground(room, tables, places), ())
        if verdicts[machine.id] is not Verdict.BLOCKED:
            room = taken(machine, drafted.row, room)
        outlooks[machine.id] = _outlook(machine, drafted, facts, pace)
    controllers = {one.machine_id for one in findings if one.rule == "identity.domain-controller" and one.machine_id}
    seconds = {key: one.seconds for key, one in outlooks.items()}
    waves = _waves(suggest_waves(inventory, verdicts, seconds, controllers), outlooks)
    counted = [machine for machine in inventory.machines if verdicts[machine.id] is not Verdict.BLOCKED]
    return Forecast(
        pace=pace,
        outlooks=_numbered(outlooks, waves),
        waves=waves,
        left_out=tuple(key for key, verdict in verdicts.items() if verdict is Verdict.BLOCKED),
        data_bytes=sum(outlooks[machine.id].data_bytes for machine in counted),
        capacity_bytes=sum(machine.capacity_bytes for machine in counted),
        seconds=sum(wave.seconds for wave in waves),
        unsized=sum(not outlooks[machine.id].sized for machine in counted),
    )


def imagined_pool(tables: Tables, taken_at: datetime) -> TargetFacts:
    """A current pool with every template and boundless storage, for what can be said before any pool is asked."""
    labels = dict.fromkeys(label for row in tables.guests.order for label in row.templates)
    for family in tables.platforms.order:
        labels |= dict.fromkeys((*family.fallback_bios, *family.fallback_uefi))
    formats = (ImageFormat.VHD, ImageFormat.QCOW2)
    return TargetFacts(
        kind="xapi",
        address="",
        taken_at=taken_at,
        storage=(StorageRepository(uuid="-", name="", kind="ext", image_formats=formats, hosts=("-",)),),
        templates=tuple(Template(reference_label=label, name=label, uuid=label) for label in labels),
        secure_boot_certificates=True,
        qcow2_import=True,
    )


def _verdicts(inventory: Inventory, findings: Sequence[Finding]) -> dict[str, Verdict]:
    of_machine: dict[str, list[Finding]] = {machine.id: [] for machine in inventory.machines}
    for finding in findings:
        if finding.machine_id in of_machine and finding.severity is not Severity.INFO:
            of_machine[finding.machine_id].append(finding)
    return {key: verdict_of(found) for key, found in of_machine.items()}


def _outlook(machine: Machine, drafted: Drafted, facts: TargetFacts | None, pace: Pace) -> Outlook:
    data = sum(map(needed_bytes, machine.disks))
    return Outlook(
        machine_id=machine.id,
        made=drafted.made,
        problem=drafted.problem,
        storage=_storage(machine, drafted, facts),
        networks=_networks(drafted, facts),
        data_bytes=data,
        sized=all(disk.allocated_bytes is not None for disk in machine.disks),
        seconds=OVERHEAD_SECONDS + data // pace.bytes_per_second if machine.disks else OVERHEAD_SECONDS,
    )


def _storage(machine: Machine, drafted: Drafted, facts: TargetFacts | None) -> tuple[Place, ...]:
    if facts is None:
        return ()
    chosen = drafted.row.storage
    return tuple(
        Place(
            subject=disk.id,
            target=chosen.get(disk.id) or chosen.get(REST, ""),
            reason="by rule" if disk.id in chosen else "suggested" if REST in chosen else "to be chosen",
        )
        for disk in machine.disks
    )


def _networks(drafted: Drafted, facts: TargetFacts | None) -> tuple[Place, ...]:
    if facts is None:
        return ()
    found: list[Place] = []
    for nic, choice in drafted.networks:
        position = str(nic.position)
        if isinstance(choice, NetworkChoice):
            found.append(Place(subject=position, target=choice.network.name, reason=choice.reason))
        else:
            could = f"{choice.why}; it could be {candidates(choice, facts)}"
            found.append(Place(subject=position, target="", reason=could))
    return tuple(found)


def _waves(suggested: Sequence[tuple[str, tuple[str, ...]]], outlooks: Mapping[str, Outlook]) -> tuple[Wave, ...]:
    return tuple(
        Wave(
            number=number,
            reason=reason,
            machines=members,
            data_bytes=sum(outlooks[member].data_bytes for member in members),
            seconds=sum(outlooks[member].seconds for member in members),
        )
        for number, (reason, members) in enumerate(suggested, 1)
    )


def _numbered(outlooks: Mapping[str, Outlook], waves: Sequence[Wave]) -> dict[str, Outlook]:
    wave_of = {member: wave for wave in waves for member in wave.machines}
    return {
        key: replace(one, wave=wave_of[key].number, wave_reason=wave_of[key].reason) if key in wave_of else one
        for key, one in outlooks.items()
    }
