# SPDX-License-Identifier: Apache-2.0
"""The assessment as a workbook: a summary, and sheets to filter by machine, finding, disk, network card and rule."""

from collections.abc import Iterator

from v2x.model.finding import Severity, Verdict
from v2x.model.forecast import Forecast
from v2x.model.machine import Nic
from v2x.model.units import GIB
from v2x.render.assessment import VERDICTS, Assessed, Assessment, guest_name, pace_words, target_name
from v2x.render.assessment_csv import EDITABLE, edits, findings_of
from v2x.render.baseline import Changes, spoken_verdict
from v2x.render.spreadsheet import Column, Sheet, Value, workbook
from v2x.render.words import show_place, show_time, show_word

_TONES = {
    Verdict.READY.value: "good",
    Verdict.WARNINGS.value: "warning",
    Verdict.BLOCKED.value: "blocker",
    Verdict.UNKNOWN.value: "unknown",
    Severity.BLOCKER.value: "blocker",
    Severity.WARNING.value: "warning",
}
_EDITS = (("exclude", 10), ("target_name", 28), ("wave", 8), ("note", 36))
_WIDE = {"machine": 28, "text": 60, "label": 45, "remedy": 60, "source": 40, "machine_id": 38, "rule": 28}
_MACHINES = (
    ("machine", 28), ("machine_id", 38), *_EDITS, ("verdict", 20), ("blockers", 10), ("warnings", 10), ("notes", 10),
    ("data_gib", 12), ("hours", 8), ("guest", 42), ("power", 10), ("firmware", 10), ("secure_boot", 12), ("vtpm", 8),
    ("vcpus", 8), ("memory_gib", 12), ("disks", 8), ("capacity_gib", 13), ("nics", 8), ("snapshots", 11),
    ("template", 10), ("folder", 28), ("cluster", 20), ("host", 28),
)  # fmt: skip
_DISKS = (
    ("machine", 28), ("machine_id", 38), ("disk", 20), ("place", 12), ("controller", 14), ("format", 12),
    ("subformat", 20), ("capacity_gib", 13), ("data_gib", 12), ("datastore", 24), ("mode", 24), ("backing", 14),
    ("shared", 9), ("encrypted", 11), ("change_tracking", 16), ("file", 60),
)  # fmt: skip
_NICS = (
    ("machine", 28), ("machine_id", 38), ("card", 20), ("network", 32), ("vlan", 8), ("model", 12), ("mac", 20),
    ("connected", 11), ("ip_addresses", 40),
)  # fmt: skip
_FINDINGS = (
    "machine", "machine_id", "verdict", "severity", "rule", "label", "subject", "text", "remedy", "source",
)  # fmt: skip
_RULES = (
    ("rule", 28), ("severity", 11), ("label", 60), ("machines", 10), ("findings", 10), ("remedy", 80), ("source", 60),
)  # fmt: skip
_GAPS = (("missing", 60), ("how to get it", 60), ("rule", 30), ("at stake", 11), ("label", 60), ("machines", 10))
_WAVES = (("wave", 8), ("why", 70), ("machines", 10), ("data_gib", 12), ("hours", 8), ("names", 100))
_CHANGES = (("what", 18), ("machine", 28), ("machine_id", 38), ("rule", 28), ("before", 50), ("now", 50))


def assessment_xlsx(assessment: Assessment) -> bytes:
    """The workbook; the same assessment gives the same bytes."""
    sheets = [
        Sheet(title="Summary", columns=_columns((("fact", 30), ("value", 80))), rows=_summary(assessment)),
        Sheet(title="Machines", columns=_columns(_MACHINES, EDITABLE), rows=_machines(assessment), toned=6),
        Sheet(
            title="Findings",
            columns=_columns(tuple((name, _WIDE.get(name, 20)) for name in _FINDINGS)),
            rows=_findings(assessment),
            toned=3,
        ),
        Sheet(title="Disks", columns=_columns(_DISKS), rows=_disks(assessment)),
        Sheet(title="NICs", columns=_columns(_NICS), rows=_nics(assessment)),
        Sheet(title="Rules", columns=_columns(_RULES), rows=_rules(assessment), toned=1),
        Sheet(title="Open checks", columns=_columns(_GAPS), rows=_gaps(assessment), toned=3),
    ]
    if assessment.forecast is not None:
        sheets.insert(2, Sheet(title="Waves", columns=_columns(_WAVES), rows=_waves(assessment, assessment.forecast)))
    if assessment.changes is not None:
        sheets.insert(1, Sheet(title="Changes", columns=_columns(_CHANGES), rows=_changes(assessment.changes)))
    return workbook(
        sheets,
        title="Migration assessment",
        now=assessment.now,
        tones=_TONES,
    )


def _columns(named: tuple[tuple[str, int], ...], editable: tuple[str, ...] = ()) -> tuple[Column, ...]:
    return tuple(Column(header=name, width=width, editable=name in editable) for name, width in named)


def _summary(assessment: Assessment) -> Iterator[tuple[Value, Value]]:
    inventory = assessment.inventory
    yield "source", f"{inventory.source.address} ({inventory.source.kind})"
    yield "target", target_name(assessment.facts)
    yield "inventory taken", show_time(inventory.taken_at)
    yield "report written", f"{show_time(assessment.now)}, v2x {assessment.version}"
    yield "machines", len(assessment.machines)
    for verdict in VERDICTS:
        yield str(verdict), assessment.count(verdict)
    yield "open checks", assessment.open_checks
    yield "to edit", "in the sheet Machines the coloured columns; then v2x plan draft … --from-report with this file"
    yield "disks", assessment.disk_count
    yield "capacity_gib", _gib(assessment.capacity_bytes)
    yield "memory_gib", _gib(assessment.memory_bytes)
    if assessment.forecast is not None:
        yield "data_to_move_gib", _gib(assessment.forecast.data_bytes)
        yield "hours, one after the other", _hours(assessment.forecast.seconds)
        yield "pace", pace_words(assessment.forecast)
    for group in assessment.estate:
        for finding in group.findings:
            yield f"{group.severity}: {group.rule}", f"{finding.subject}: {finding.text}".removeprefix(": ")


def _machines(assessment: Assessment) -> Iterator[tuple[Value, ...]]:
    for assessed in assessment.machines:
        machine = assessed.machine
        yield (
            machine.name,
            machine.id,
            *_edits(assessed),
            str(assessed.verdict),
            *(assessed.count(severity) for severity in (Severity.BLOCKER, Severity.WARNING, Severity.INFO)),
            None if assessed.outlook is None else _gib(assessed.outlook.data_bytes),
            None if assessed.outlook is None else _hours(assessed.outlook.seconds),
            guest_name(machine.guest),
            machine.power_state.value,
            machine.firmware.value if machine.firmware_stated else "not stated",
            _yes(machine.secure_boot),
            _yes(machine.vtpm),
            machine.cpu.count,
            _gib(machine.memory.size_bytes),
            len(machine.disks),
            _gib(machine.capacity_bytes),
            len(machine.nics),
            len(machine.snapshots),
            _yes(machine.is_template),
            machine.folder,
            machine.cluster,
            machine.host,
        )


def _edits(assessed: Assessed) -> tuple[Value, ...]:
    exclude, name, wave, note = edits(assessed)
    return exclude, name, int(wave) if wave else None, note


def _findings(assessment: Assessment) -> Iterator[tuple[Value, ...]]:
    for finding, verdict in findings_of(assessment):
        yield (
            finding.machine_name,
            finding.machine_id,
            verdict,
            str(finding.severity),
            finding.rule,
            finding.label,
            finding.subject,
            finding.text,
            finding.remedy,
            finding.source,
        )


def _gaps(assessment: Assessment) -> Iterator[tuple[Value, ...]]:
    for gap in assessment.gaps:
        for finding in gap.findings:
            count = len(finding.machines) or len(assessment.machines)
            yield gap.text, gap.how, finding.rule, str(finding.at_stake or ""), finding.label, count


def _waves(assessment: Assessment, forecast: Forecast) -> Iterator[tuple[Value, ...]]:
    names = {machine.id: machine.name for machine in assessment.inventory.machines}
    for wave in forecast.waves:
        named = ", ".join(names[member] for member in wave.machines)
        yield wave.number, wave.reason, len(wave.machines), _gib(wave.data_bytes), _hours(wave.seconds), named


def _disks(assessment: Assessment) -> Iterator[tuple[Value, ...]]:
    for assessed in assessment.machines:
        for disk in assessed.machine.disks:
            yield (
                assessed.machine.name,
                assessed.machine.id,
                disk.label or disk.id,
                show_place(disk),
                disk.controller_model,
                show_word(disk.format),
                disk.subformat,
                _gib(disk.capacity_bytes),
                None if disk.allocated_bytes is None else _gib(disk.allocated_bytes),
                disk.datastore,
                show_word(disk.mode),
                show_word(disk.backing),
                _yes(disk.shared),
                _yes(disk.encrypted),
                "unknown" if disk.change_tracking is None else _yes(disk.change_tracking),
                disk.files[0] if disk.files else "",
            )


def _nics(assessment: Assessment) -> Iterator[tuple[Value, ...]]:
    for assessed in assessment.machines:
        for nic in assessed.machine.nics:
            yield (
                assessed.machine.name,
                assessed.machine.id,
                _card(nic),
                nic.network,
                nic.vlan,
                show_word(nic.model),
                nic.mac,
                _yes(nic.connected),
                ", ".join(nic.ip_addresses),
            )


def _rules(assessment: Assessment) -> Iterator[tuple[Value, ...]]:
    for group in assessment.by_rule:
        yield (
            group.rule,
            str(group.severity),
            group.label,
            group.machine_count,
            len(group.findings),
            group.remedy,
            group.source,
        )


def _changes(changes: Changes) -> Iterator[tuple[Value, ...]]:
    for machine in changes.new_machines:
        yield "new machine", machine.name, machine.id, "", "", spoken_verdict(machine.verdict)
    for machine in changes.gone_machines:
        yield "gone machine", machine.name, machine.id, "", spoken_verdict(machine.verdict), ""
    for change in changes.verdicts:
        yield "verdict", change.name, change.id, "", spoken_verdict(change.before), spoken_verdict(change.now)
    for finding in changes.new_findings:
        yield "new finding", finding.machine_name, finding.machine_id, finding.rule, "", finding.text
    for finding in changes.gone_findings:
        yield "gone finding", finding.machine_name, finding.machine_id, finding.rule, finding.text, ""


def _gib(count: int) -> float:
    return round(count / GIB, 3)


def _hours(seconds: int) -> float:
    return round(seconds / 3600, 2)


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"


def _card(nic: Nic) -> str:
    return nic.label or f"card {nic.position + 1}"
