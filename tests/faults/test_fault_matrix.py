# SPDX-License-Identifier: Apache-2.0
"""Every fault that a migration must survive has tests, and the page that says which names tests that exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "failure-modes.md"
FAULTS = (
    "a read at the source fails, or its connection breaks",
    "a lease, a VDDK session or a session of the source ends",
    "the change ids are of no use any more",
    "power, disks or identity changed since the plan",
    "the guest does not shut down",
    "a snapshot cannot be made, or not quiesced",
    "a snapshot cannot be removed, or needs consolidation",
    "XAPI answers 500, or ends the connection, after it has done what was asked",
    "the pool's session is invalid",
    "another host is coordinator",
    "a task fails, or an administrator cancels it",
    "an SR is full",
    "the name or a MAC address is used",
    "an earlier run left a part of a machine, or several",
    "kill -9, or the power fails, at any step",
    "Ctrl-C, SIGTERM",
    "the operator cancels",
    "the disk with the state is full",
    "the staging folder, or that of XVA files, is full",
    "a worker dies, or is cut off",
    "two operators run the same plan",
    "the pool holds other bytes than were read",
    "the clock jumps, summer time begins",
    "the machine is deleted at the source",
)
"""The 24 faults of the page, in its order."""
_TEST = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


@cache
def rows():
    """Fault → the tests that its row names."""
    text = PAGE.read_text(encoding="utf-8")
    table = text.partition("## Each fault and its tests")[2].partition("\n## ")[0]
    cells = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("|")][2:]
    return {fault.strip(): _TEST.findall("|".join(rest)) for fault, *rest in cells}


@cache
def defined_in(path):
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def skipped(path, test):
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    (found,) = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == test]
    return any("skip" in ast.unparse(one) or "xfail" in ast.unparse(one) for one in found.decorator_list)


def test_the_page_has_every_fault_once_and_in_order():
    assert tuple(rows()) == FAULTS


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_names_tests_that_exist_and_are_run(fault):
    named = rows()[fault]
    assert named, f"no test stands for: {fault}"
    for path, test in named:
        assert test in defined_in(path), f"{path} has no {test}"
        assert not skipped(path, test), f"{path}::{test} is skipped"
