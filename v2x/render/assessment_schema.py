# SPDX-License-Identifier: Apache-2.0
"""The JSON Schema of the assessment's JSON; docs/assessment.schema.json is made from it.

python -m v2x.render.assessment_schema > docs/assessment.schema.json
"""

import json
import sys
from typing import Any

import msgspec

from v2x.model.finding import Finding, Severity
from v2x.model.forecast import Place, Wave
from v2x.model.inventory import SourceInfo, SourceProblem
from v2x.model.machine import Firmware, PowerState
from v2x.model.target import SecureBoot
from v2x.render.baseline import ASSESSMENT_SCHEMA, VERDICT_WORDS, Changes

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_TIME: Schema = {"type": "string", "format": "date-time"}
_VERDICT: Schema = {"enum": list(VERDICT_WORDS.values())}


def assessment_schema() -> Schema:
    """A schema of JSON Schema 2020-12. Every name is stable; unknown names do not occur."""
    kinds = (Finding, Place, Wave, SourceInfo, SourceProblem, Changes)
    shapes, components = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    finding, place, wave, _source, problem, changes = shapes
    definitions = {name: _closed(shape) for name, shape in components.items()}
    definitions["Source"] = _with(definitions["SourceInfo"], taken_at=_TIME)
    definitions["Target"] = _object(
        taken_at=_TIME,
        **dict.fromkeys(("kind", "address", "product", "version", "xapi_version", "pool_uuid", "pool_name"), _TEXT),
    )
    definitions["Machine"] = _machine(place)
    definitions["Totals"] = _object(
        **dict.fromkeys((*VERDICT_WORDS.values(), "machines", "open_checks", "disks", "memory_bytes"), _COUNT),
        capacity_bytes={"type": "integer"},
    )
    definitions["Forecast"] = _object(
        **dict.fromkeys(("bytes_per_second", "data_bytes", "seconds", "machines_without_known_data"), _COUNT),
        capacity_bytes={"type": "integer"},
        pace_origin=_TEXT,
        pace_measured={"type": "boolean"},
        waves={"type": "array", "items": wave},
    )
    document = _object(
        schema={"const": ASSESSMENT_SCHEMA},
        created=_TIME,
        version=_TEXT,
        source={"$ref": "#/$defs/Source"},
        target={"anyOf": [{"$ref": "#/$defs/Target"}, {"type": "null"}]},
        totals={"$ref": "#/$defs/Totals"},
        machines={"type": "array", "items": {"$ref": "#/$defs/Machine"}},
        findings={"type": "array", "items": finding},
        problems={"type": "array", "items": problem},
        forecast={"$ref": "#/$defs/Forecast"},
        changes=changes,
    )
    document["required"] = [name for name in document["required"] if name not in ("forecast", "changes")]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Assessment of v2x",
        **document,
        "$defs": definitions,
    }


def _machine(place: Schema) -> Schema:
    made = _object(
        name=_TEXT,
        template=_TEXT,
        firmware={"enum": [one.value for one in Firmware]},
        secure_boot={"enum": [one.value for one in SecureBoot]},
        vtpm={"type": "boolean"},
        vcpus=_COUNT,
        memory_bytes=_COUNT,
        notes={"type": "array", "items": _TEXT},
    )
    outlook = _object(
        wave={"type": ["integer", "null"]},
        data_bytes=_COUNT,
        data_known={"type": "boolean"},
        seconds=_COUNT,
        problem={"type": ["string", "null"]},
        storage={"type": "array", "items": place},
        networks={"type": "array", "items": place},
        target=made,
    )
    outlook["required"].remove("target")
    machine = _object(
        id=_TEXT,
        name=_TEXT,
        verdict=_VERDICT,
        guest=_TEXT,
        firmware={"enum": [one.value for one in Firmware]},
        power_state={"enum": [one.value for one in PowerState]},
        vcpus=_COUNT,
        memory_bytes={"type": "integer"},
        disks=_COUNT,
        capacity_bytes={"type": "integer"},
        nics=_COUNT,
        findings=_object(**{severity.value: _COUNT for severity in Severity}),
        forecast=outlook,
    )
    machine["required"].remove("forecast")
    return machine


def _object(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _closed(shape: Schema) -> Schema:
    """An object's schema that allows no other names; those with defaults are written too."""
    if shape.get("type") != "object":
        return shape
    properties = {
        name: {key: value for key, value in one.items() if key != "default"}
        for name, one in shape["properties"].items()
    }
    return {**shape, "properties": properties, "required": list(properties), "additionalProperties": False}


def _with(shape: Schema, **more: Schema) -> Schema:
    return _object(**(shape["properties"] | more))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(assessment_schema(), indent=2) + "\n")
