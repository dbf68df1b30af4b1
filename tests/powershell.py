# SPDX-License-Identifier: Apache-2.0
"""PowerShell as its grammar reads it: the gate that every script of v2x passes."""

from collections.abc import Iterator

import tree_sitter
import tree_sitter_pwsh

PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_pwsh.language()))


def nodes(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    yield node
    for child in node.children:
        yield from nodes(child)


def tree(text: str) -> tree_sitter.Node:
    root = PARSER.parse(text.encode()).root_node
    wrong = [one for one in nodes(root) if one.type == "ERROR" or one.is_missing]
    assert not wrong, [(one.start_point, one.text) for one in wrong]
    return root


def calls(text: str) -> list[tuple[str, set[str]]]:
    """Commands with the parameters that are given to them."""
    found = []
    for node in nodes(tree(text)):
        if node.type == "command":
            name = next((one.text.decode() for one in node.children if one.type == "command_name"), "")
            words = [one for one in nodes(node) if one.type == "command_parameter" and owner(one) == node]
            found.append((name, {one.text.decode().removeprefix("-") for one in words}))
    return found


def owner(node: tree_sitter.Node) -> tree_sitter.Node | None:
    above = node.parent
    while above is not None and above.type != "command":
        above = above.parent
    return above
