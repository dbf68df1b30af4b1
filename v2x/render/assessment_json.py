# SPDX-License-Identifier: Apache-2.0
"""The assessment for programs. Names are stable; a change that breaks a reader raises the schema's number."""

from typing import Any

from v2x.model.codec import to_plain
from v2x.model.finding import Severity
from v2x.model.forecast import Forecast, Outlook
from v2x.render.assessment import Assessed, Assessment
from v2x.render.baseline import ASSESSMENT_SCHEMA, VERDICT_WORDS, Changes
from v2x.render.safe_json import dump_plain


def assessment_json(assessment: Assessment) -> bytes:
    """The document: schema, created, version, source, target, totals, machines, findings, problems, and, where they
    were asked for, forecast and changes. docs/assess.md describes every name.
    """
    inventory, facts = assessment.inventory, assessment.facts
    target = None
    if facts is not None:
        names = ("kind", "address", "product", "version", "xapi_version", "pool_uuid", "pool_name")
        target = {name: getattr(facts, name) for name in names} | {"taken_at": to_plain(facts.taken_at)}
    return dump_plain(
        {
            "schema": ASSESSMENT_SCHEMA,
            "created": to_plain(assessment.now),
            "version": assessment.version,
            "source": to_plain(inventory.source) | {"taken_at": to_plain(inventory.taken_at)},
            "target": target,
            "totals": {
                "machines": len(assessment.machines),
                **{word: assessment.count(verdict) for verdict, word in VERDICT_WORDS.items()},
                "open_checks": assessment.open_checks,
                "disks": assessment.disk_count,
                "capacity_bytes": assessment.capacity_bytes,
                "memory_bytes": assessment.memory_bytes,
            },
            "machines": [_machine(assessed) for assessed in assessment.machines],
            "findings": to_plain(assessment.findings),
            "problems": to_plain(inventory.problems),
            **({} if assessment.forecast is None else {"forecast": _forecast(assessment.forecast)}),
            **({} if assessment.changes is None else {"changes": _changes(assessment.changes)}),
        }
    )


def _forecast(forecast: Forecast) -> dict[str, Any]:
    return {
        "bytes_per_second": forecast.pace.bytes_per_second,
        "pace_origin": forecast.pace.origin,
        "pace_measured": forecast.pace.measured,
        "data_bytes": forecast.data_bytes,
        "capacity_bytes": forecast.capacity_bytes,
        "seconds": forecast.seconds,
        "machines_without_known_data": forecast.unsized,
        "waves": to_plain(forecast.waves),
    }


def _after(outlook: Outlook) -> dict[str, Any]:
    """What a machine would become, without what only the pool needs to know."""
    made = outlook.made
    plain: dict[str, Any] = {
        "wave": outlook.wave or None,
        "data_bytes": outlook.data_bytes,
        "data_known": outlook.sized,
        "seconds": outlook.seconds,
        "problem": outlook.problem or None,
        "storage": to_plain(outlook.storage),
        "networks": to_plain(outlook.networks),
    }
    if made is not None:
        plain["target"] = {
            "name": made.name,
            "template": made.template,
            "firmware": made.firmware.value,
            "secure_boot": made.secure_boot.value,
            "vtpm": made.vtpm,
            "vcpus": made.vcpus,
            "memory_bytes": made.memory_bytes,
            "notes": list(made.notes),
        }
    return plain


def _changes(changes: Changes) -> dict[str, Any]:
    plain: dict[str, Any] = to_plain(changes)
    return plain


def _machine(assessed: Assessed) -> dict[str, Any]:
    machine = assessed.machine
    after = {} if assessed.outlook is None else {"forecast": _after(assessed.outlook)}
    return {
        "id": machine.id,
        "name": machine.name,
        "verdict": VERDICT_WORDS[assessed.verdict],
        "guest": machine.guest.os_name or machine.guest.os_id,
        "firmware": machine.firmware.value,
        "power_state": machine.power_state.value,
        "vcpus": machine.cpu.count,
        "memory_bytes": machine.memory.size_bytes,
        "disks": len(machine.disks),
        "capacity_bytes": machine.capacity_bytes,
        "nics": len(machine.nics),
        "findings": {severity.value: assessed.count(severity) for severity in Severity},
        **after,
    }
