# SPDX-License-Identifier: Apache-2.0
"""The assessment for programs. Names are stable; a change that breaks a reader raises the schema's number."""

from typing import Any

from v2x.model.codec import to_plain
from v2x.model.finding import Severity
from v2x.render.assessment import Assessed, Assessment
from v2x.render.baseline import ASSESSMENT_SCHEMA, VERDICT_WORDS, Changes
from v2x.render.safe_json import dump_plain


def assessment_json(assessment: Assessment) -> bytes:
    """The document: schema, created, version, source, target, totals, machines, findings, problems, and, where an
    earlier assessment was given, changes.
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
                "disks": assessment.disk_count,
                "capacity_bytes": assessment.capacity_bytes,
                "memory_bytes": assessment.memory_bytes,
            },
            "machines": [_machine(assessed) for assessed in assessment.machines],
            "findings": to_plain(assessment.findings),
            "problems": to_plain(inventory.problems),
            **({} if assessment.changes is None else {"changes": _changes(assessment.changes)}),
        }
    )


def _changes(changes: Changes) -> dict[str, Any]:
    plain: dict[str, Any] = to_plain(changes)
    return plain


def _machine(assessed: Assessed) -> dict[str, Any]:
    machine = assessed.machine
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
    }
