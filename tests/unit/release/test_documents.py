# SPDX-License-Identifier: Apache-2.0
"""Schemas are versioned and documented; v2x names no address of its own on the internet."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
NAMESPACES = {
    "http://www.w3.org/2001/XMLSchema-instance",
    "https://json-schema.org/draft/2020-12/schema",
}
"""Names that look like addresses, and that nothing is ever asked for."""
SCHEMA = re.compile(r"v2x\.[a-z-]+/[0-9]+")


def texts() -> list[tuple[Path, str]]:
    """Every text in the program but the simulators' and those that only explain."""
    found = []
    for path in sorted((ROOT / "v2x").rglob("*.py")):
        if "simulators" in path.parts:
            continue
        tree = ast.parse(path.read_text("utf-8"))
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
                found.append((path, node.value))
    return found


def test_every_schema_is_documented_with_its_version() -> None:
    used = {text for _, text in texts() if SCHEMA.fullmatch(text)}
    document = (ROOT / "docs/install.md").read_text("utf-8")
    named = set(SCHEMA.findall(document))
    assert len(used) > 20 and used <= named
    assert named - used <= {"v2x.simulated-hyperv/1"}


def test_nothing_is_fetched_from_an_address_that_nobody_gave() -> None:
    hosts = re.compile(r"\b(?:https?|ftp)://(?!127\.0\.0\.1|localhost|HOST|host\b)[A-Za-z0-9][\w.-]*\.[a-z]{2,}[^\s]*")
    found = {(path.name, match[0]) for path, text in texts() for match in hosts.finditer(text)}
    strange = {(name, url) for name, url in found if not any(url.startswith(one) for one in NAMESPACES)}
    assert not {one for one in strange if "example." not in one[1]}, strange
