# SPDX-License-Identifier: Apache-2.0
"""Writes v2x/simulators/xapi/datamodel.json.gz, the part of the XAPI datamodel that the simulated pool runs on.

    python tests/golden/make_xapi_datamodel.py xapi-datamodel.json v2x/simulators/xapi/datamodel.json.gz

The input is the datamodel of format `v2x-xapi-datamodel/1`: classes, fields, calls, enums, error codes, HTTP paths and
templates for several xapi versions, as compiled from the modules under ocaml/idl of xapi-project/xen-api. Kept are the
versions that XCP-ng ships, the line after them, and what decides an answer on the wire; release names, lifecycle notes
and the declared errors of a call go. The output is the same byte for byte when made again.
"""

import gzip
import json
import sys
from pathlib import Path
from typing import Any

VERSIONS = ("1.249", "24.19", "25.6", "25.33", "26.1", "head")
_DROPPED = frozenset({"since", "later", "state", "persist", "declared_errors", "hidden"})


def trim(item: dict[str, Any]) -> dict[str, Any] | None:
    """One field, call or enum without what no answer depends on; None when no kept version has it."""
    present = [v for v in item.get("in", VERSIONS) if v in VERSIONS]
    if not present:
        return None
    kept = {k: v for k, v in item.items() if k not in _DROPPED | {"in", "differs"}}
    if len(present) < len(VERSIONS):
        kept["in"] = present
    differs = {}
    for version, change in item.get("differs", {}).items():
        if version not in VERSIONS:
            continue
        wanted = None if change is None else {k: v for k, v in change.items() if k not in _DROPPED}
        if wanted is None or wanted:
            differs[version] = wanted
    if differs:
        kept["differs"] = differs
    return kept


def trim_all(items: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: kept for name, item in items.items() if (kept := trim(item)) is not None}


def main(source: str, target: str) -> None:
    whole = json.loads(Path(source).read_text(encoding="utf-8"))
    classes = {}
    for name, item in whole["classes"].items():
        kept = trim({k: v for k, v in item.items() if k not in ("fields", "messages")})
        if kept is None:
            continue
        kept["fields"] = trim_all(item["fields"])
        kept["messages"] = trim_all(item.get("messages", {}))
        classes[name] = kept
    out = {
        "format": "v2x-simulator-datamodel/1",
        "versions": {v: whole["meta"]["versions"][v] for v in VERSIONS},
        "roles": whole["roles_strongest_first"],
        "classes": classes,
        "enums": trim_all(whole["enums"]),
        "errors": sorted({*whole["errors"], *whole["undeclared_errors"]}),
        "http_actions": [kept for item in whole["http_actions"] if (kept := trim(item)) is not None],
        "relations": whole["relations"],
        "templates": whole["templates_xcp_ng_8_3"],
    }
    text = json.dumps(out, separators=(",", ":"), ensure_ascii=False).encode()
    Path(target).write_bytes(gzip.compress(text, 9, mtime=0))


if __name__ == "__main__":
    main(*sys.argv[1:])
