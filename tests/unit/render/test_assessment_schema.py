# SPDX-License-Identifier: Apache-2.0
"""The published schema fits what is written, name by name."""

import json
from pathlib import Path

import pytest

from v2x.render import render_findings
from v2x.render.assessment_schema import assessment_schema
from v2x.render.baseline import read_baseline

ROOT = Path(__file__).parents[3]
TYPES = {
    "object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None), "number": float,
}  # fmt: skip


def fault(value, shape, root, where="$"):
    """What is wrong with a value by the part of JSON Schema that the published one uses; empty where nothing is."""
    if "$ref" in shape:
        return fault(value, root["$defs"][shape["$ref"].rpartition("/")[2]], root, where)
    if "anyOf" in shape:
        faults = [fault(value, one, root, where) for one in shape["anyOf"]]
        return "" if "" in faults else faults[0]
    if ("const" in shape and value != shape["const"]) or ("enum" in shape and value not in shape["enum"]):
        return f"{where}: {value!r}"
    kinds = shape.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if (kinds and not any(isinstance(value, TYPES[kind]) for kind in kinds)) or (value is True and "integer" in kinds):
        return f"{where}: {value!r} is no {kinds}"
    if value is not None and value < shape.get("minimum", value) if isinstance(value, int) else False:
        return f"{where}: {value}"
    if isinstance(value, dict):
        names = shape.get("properties", {})
        lacking, strange = set(shape.get("required", ())) - set(value), set(value) - set(names)
        if lacking or (strange and shape.get("additionalProperties") is False):
            return f"{where}: lacks {sorted(lacking)}, has {sorted(strange)}"
        return next((bad for key, one in value.items() if (bad := fault(one, names[key], root, f"{where}.{key}"))), "")
    if isinstance(value, list):
        items = shape.get("items", {})
        return next((bad for at, one in enumerate(value) if (bad := fault(one, items, root, f"{where}[{at}]"))), "")
    return ""


def test_the_published_schema_is_the_made_one():
    written = json.loads((ROOT / "docs/assessment.schema.json").read_text())
    assert written == assessment_schema(), "run: python -m v2x.render.assessment_schema > docs/assessment.schema.json"


@pytest.mark.parametrize("full", [False, True])
def test_a_report_fits_the_schema(build, three, forecast, full):
    more = {}
    findings = three.findings
    if full:
        old = render_findings("json", build.inventory(), None, (), now=build.now, version="0.0.9")
        more = {"baseline": read_baseline(old, "old.json"), "forecast": forecast}
        findings = (*findings, build.unknown("some.rule"))
    data = render_findings(
        "json", three.inventory, build.facts if full else None, findings, now=build.now, version="0.1.0", **more
    )
    schema = assessment_schema()
    assert fault(json.loads(data), schema, schema) == ""


def test_the_golden_report_fits_the_schema():
    schema = assessment_schema()
    golden = json.loads((ROOT / "tests/golden/reports/assessment.json").read_bytes())
    assert fault(golden, schema, schema) == ""
    golden["machines"][0]["verdict"] = "fine"
    assert fault(golden, schema, schema) == "$.machines[0].verdict: 'fine'"
    golden["machines"][0] |= {"verdict": "ready", "extra": 1}
    assert "extra" in fault(golden, schema, schema)
