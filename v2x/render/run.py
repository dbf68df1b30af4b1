# SPDX-License-Identifier: Apache-2.0
"""A run's report in the shape that all formats show."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from v2x.model.migration import (
    BlockDigests,
    DiskResult,
    Migration,
    Outcome,
    Phase,
    PhaseTime,
    Report,
    VerifyLevel,
)
from v2x.model.target import TargetMachine, TargetNic
from v2x.model.units import round_up, show_bytes
from v2x.render.words import show_duration, show_rate, show_time
from v2x.text import plural, printable

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

GOOD = frozenset({Outcome.MIGRATED, Outcome.ALREADY})


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskLine:
    """One disk's figures in words; empty where there is nothing to tell."""

    label: str
    vdi: str
    capacity: str
    on_target: str
    data: str
    sent: str
    resumed: str
    duration: str
    rate: str
    verified: str
    digests: str


def disk_line(disk: DiskResult) -> DiskLine:
    pieces = plural(disk.segments, "segment") if disk.segments > 1 else ""
    return DiskLine(
        label=disk.label or disk.source_disk,
        vdi=disk.vdi,
        capacity=show_bytes(disk.capacity_bytes),
        on_target=show_bytes(disk.target_bytes),
        data=show_bytes(disk.data_bytes),
        sent=show_bytes(disk.sent_bytes) + (f" in {pieces}" if pieces else ""),
        resumed=show_bytes(disk.resumed_at_bytes) if disk.resumed_at_bytes else "",
        duration=show_duration(disk.seconds),
        rate=show_rate(disk.sent_bytes, disk.seconds),
        verified=_VERIFIED[disk.verified] + (f" ({printable(disk.verified_over)})" if disk.verified_over else ""),
        digests=digest_summary(disk.digests),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CardLine:
    """One network card of the new machine; an empty `mac` is a new address that the pool makes."""

    label: str
    network: str
    mac: str


def card_line(card: TargetNic) -> CardLine:
    return CardLine(
        label=f"Card {card.source_position + 1}", network=card.network_name or card.network or "none", mac=card.mac
    )


_NOT_COMPARED = "not read back; all of it was taken, and the sizes fit"
_VERIFIED = {
    VerifyLevel.AUTO: _NOT_COMPARED,
    VerifyLevel.NONE: _NOT_COMPARED,
    VerifyLevel.SAMPLE: "samples are equal",
    VerifyLevel.FULL: "every byte is equal",
}


def compared_lines(disks: Sequence[DiskResult]) -> list[str]:
    """`2 disks read back, every byte equal`: how far disks were compared, a line for each way."""
    words = {
        VerifyLevel.FULL: "read back, every byte equal",
        VerifyLevel.SAMPLE: "read back in samples, which are equal",
        VerifyLevel.NONE: _NOT_COMPARED,
    }
    counts = {level: sum(disk.verified is level for disk in disks) for level in words}
    return [f"{plural(count, 'disk')} {words[level]}" for level, count in counts.items() if count]


def digest_summary(digests: BlockDigests | None) -> str:
    """How many blocks have a digest, and of what kind."""
    if digests is None:
        return ""
    blocks = round_up(digests.size_bytes, digests.block_bytes) // digests.block_bytes if digests.block_bytes > 0 else 0
    kept = sum(count for _, count in digests.runs)
    return (
        f"{digests.algorithm} of {kept:,} of {plural(blocks, 'block')} of {show_bytes(digests.block_bytes)}; "
        "the others are zeros"
    )


def duration(migration: Migration) -> str:
    if migration.started is None or migration.finished is None:
        return ""
    return show_duration((migration.finished - migration.started).total_seconds())


def phase_line(phase: PhaseTime) -> str:
    """`copy 3 min 05 s`, and how often it began where that was more than once."""
    often = f" in {phase.times:,} goes" if phase.times > 1 else ""
    return f"{phase.phase} {show_duration(phase.seconds)}{often}"


def phases_line(migration: Migration) -> str:
    """All phases with their times; the end is none."""
    shown = [one for one in migration.phases if one.phase is not Phase.DONE]
    return ", ".join(map(phase_line, shown))


def books(migration: Migration) -> list[tuple[str, str]]:
    """What the plan says of a machine for those who keep its books."""
    told = (("Change", migration.change), ("Approved by", migration.approved_by), ("Checks", migration.checks))
    return [(name, text) for name, text in told if text]


def approval_lines(report: Report) -> list[str]:
    """What was said of the plan, the oldest first; `account` is who recorded it."""
    return [f"{show_time(one.time)}, {one.words} [event {one.number}, account {one.user}]" for one in report.approvals]


def sent_bytes(report: Report) -> int:
    return sum(disk.sent_bytes for migration in report.migrations for disk in migration.disks)


def counts(report: Report) -> list[tuple[Outcome, int]]:
    """The outcomes that occurred, in the order of the enumeration."""
    found = [migration.outcome for migration in report.migrations]
    return [(outcome, found.count(outcome)) for outcome in Outcome if outcome in found]


def after_line(machine: TargetMachine) -> str:
    """What was made, in one sentence."""
    return ", ".join(
        part
        for part in (
            plural(machine.vcpus, "processor"),
            f"{show_bytes(machine.memory_bytes)} of memory",
            machine.firmware.upper(),
            plural(len(machine.disks), "disk"),
            plural(len(machine.nics), "network card"),
            f"template {machine.template_name or machine.template}"
            if machine.template_name or machine.template
            else "",
        )
        if part
    )


def smbios_line(migration: Migration) -> str:
    """The guest's SMBIOS UUID before and after; empty where either is not known."""
    before = migration.machine.other_config.get("v2x-source-uuid", "").lower() if migration.machine is not None else ""
    after = migration.vm_uuid.lower()
    if not (before and _UUID.fullmatch(after)):
        return ""
    return f"{after}, as before" if before == after else f"{before} → {after}"


def to_file(migration: Migration) -> bool:
    """True where the target is a folder of XVA files."""
    return migration.target.startswith("xva:")


def check_steps(report: Report) -> list[str]:
    """How a person convinces himself that the machines arrived whole; nothing where none did."""
    if not any(migration.outcome in GOOD for migration in report.migrations):
        return []
    steps = [
        "Read the disks back from the pool and compare them with the digests in this report: v2x verify REPORT.json",
        "Start each machine on a network of its own first, and look at its disks, its addresses and its services.",
        "Keep the source machine, switched off, until the new one has done its work for a while.",
    ]
    if any(to_file(migration) for migration in report.migrations):
        steps.insert(
            0, "Import each file with xe vm-import filename=FILE.xva preserve=true, which keeps MAC addresses."
        )
    return steps


def remaining_steps(report: Report) -> list[str]:
    """What lies outside of a pool's own objects: kept by Xen Orchestra or by people, and not moved by anyone else."""
    if not any(migration.outcome in GOOD for migration in report.migrations):
        return []
    belonging = any(one.machine is not None and one.machine.resource_set for one in report.migrations)
    limits = ["Resource sets: have Xen Orchestra recompute all limits, so that the new machines count."]
    return [
        *(limits if belonging else ()),
        "Access: give users and groups their rights on the new machines (ACLs), and put them into their resource sets.",
        "Backup: add the new machines to backup jobs, or see that the jobs that choose by tag take them; the first "
        "backup is a full one. Take the old machines out of the old backup only when you no longer need to go back.",
        "Network rules: make traffic rules and private networks of the SDN controller again; what the old platform's "
        "firewall and port groups did does not come along.",
        "Placement: where the load balancer keeps machines together or apart by tag, check that the tags are there.",
        "Inventories and licences: tell monitoring, configuration management and licence servers of the new UUIDs.",
    ]


def rollback_steps(report: Report) -> list[str]:
    """How to go back. The source's disks were only read, so the old machine is still whole."""
    made = [migration for migration in report.migrations if migration.outcome in GOOD and not to_file(migration)]
    arrived = any(migration.outcome in GOOD for migration in report.migrations)
    steps = ["Shut the new machine down, so that two machines with the same addresses never run together."] * arrived
    steps += [f"Remove {migration.target_name} with its disks: {removal(migration)}" for migration in made]
    if any(migration.outcome not in GOOD for migration in report.migrations):
        steps.append("Remove what unfinished runs left on the pool: v2x cleanup --target ADDRESS (add --yes to do it).")
    steps.append("Start the source machine again: its disks were only read, never written.")
    return steps


def removal(migration: Migration) -> str:
    """The command that removes the new machine; nothing that is not a uuid gets into it."""
    uuid = migration.vm_uuid if _UUID.fullmatch(migration.vm_uuid) else "UUID"
    return f"xe vm-uninstall uuid={uuid}"
