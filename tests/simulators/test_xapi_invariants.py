# SPDX-License-Identifier: Apache-2.0
"""Every invariant of the simulated pool has tests that bear its number."""

import ast
import re
from pathlib import Path

INVARIANTS = 33


def _calls(node: ast.AST) -> list[ast.Call]:
    return [part for part in ast.walk(node) if isinstance(part, ast.Call)]


def test_each_of_the_33_invariants_has_a_test():
    numbers = set()
    for path in Path(__file__).parent.glob("test_xapi_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and (found := re.match(r"test_invariant_(\d\d)_", node.name)):
                called = {getattr(c.func, "id", getattr(c.func, "attr", "")) for c in _calls(node)}
                checked = any(isinstance(part, ast.Assert) for part in ast.walk(node))
                assert checked or called & {"raises", "error"}, f"{node.name} checks nothing"
                numbers.add(int(found[1]))
    assert numbers == set(range(1, INVARIANTS + 1))
