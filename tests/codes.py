# SPDX-License-Identifier: Apache-2.0
"""Every error code that v2x can raise, read from its source: what tests hold the pages of `v2x explain` against.

A code is what stands where a code is given: the keyword `code` of any call, the attribute `code` of a class, the
argument for a parameter named `code`, also of a record. A name there is looked up among the constants of its module.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
# What is named `code` there is something else: the exit code of a process, the text of a program, an HTTP status.
ELSEWHERE = frozenset({"v2x/convert/windows/firstboot.py", "v2x/cli/pages.py"})


def modules() -> Iterator[tuple[str, ast.Module]]:
    for file in sorted((ROOT / "v2x").rglob("*.py")):
        name = file.relative_to(ROOT).as_posix()
        if "simulators" not in file.parts and name not in ELSEWHERE:
            yield name, ast.parse(file.read_text("utf-8"))


def codes() -> dict[str, str]:
    """Each code and a place where it stands, as file:line."""
    trees = list(modules())
    positions = dict(_positions(trees))
    found: dict[str, str] = {}
    for name, tree in trees:
        constants = _constants(tree)
        for node in ast.walk(tree):
            for given in _given(node, positions):
                for text in _texts(given, constants):
                    found.setdefault(text, f"{name}:{given.lineno}")
    return found


def _positions(trees: list[tuple[str, ast.Module]]) -> Iterator[tuple[str, int]]:
    """Where the parameter `code` stands among those of a function or the fields of a record, by its name."""
    for _, tree in trees:
        for node in ast.walk(tree):
            names: list[str] = []
            if isinstance(node, ast.FunctionDef):
                names = [one.arg for one in node.args.args if one.arg not in {"self", "cls"}]
            elif isinstance(node, ast.ClassDef):
                names = [one.target.id for one in node.body if _is_field(one)]  # type: ignore[attr-defined]
            if "code" in names:
                yield node.name, names.index("code")  # type: ignore[attr-defined]


def _is_field(node: ast.stmt) -> bool:
    return isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)


def _given(node: ast.AST, positions: dict[str, int]) -> Iterator[ast.expr]:
    """What a node gives as a code."""
    if isinstance(node, ast.Call):
        yield from (one.value for one in node.keywords if one.arg == "code")
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        at = positions.get(called)
        if at is not None and len(node.args) > at:
            yield node.args[at]
    elif isinstance(node, ast.ClassDef):
        for one in node.body:
            if isinstance(one, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "code" for t in one.targets):
                yield one.value


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    found: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            found |= {one.id: node.value for one in node.targets if isinstance(one, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            found[node.target.id] = node.value
    return found


def _texts(given: ast.expr, constants: dict[str, ast.expr]) -> Iterator[str]:
    if isinstance(given, ast.Constant):
        if isinstance(given.value, str) and given.value and not isinstance(given.value, bool):
            yield given.value
    elif isinstance(given, ast.Name) and given.id in constants:
        yield from _texts(constants[given.id], constants)
    elif isinstance(given, ast.IfExp):
        yield from _texts(given.body, constants)
        yield from _texts(given.orelse, constants)
    elif isinstance(given, ast.BoolOp):
        for one in given.values:
            yield from _texts(one, constants)
