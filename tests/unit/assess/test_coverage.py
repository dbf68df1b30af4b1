# SPDX-License-Identifier: Apache-2.0
"""No check of another tool, no known trap and no limit is without a rule, or a reason why it needs none."""

import inspect
from pathlib import Path

import pytest

from tests.unit.assess import coverage
from v2x.assess.engine import rules
from v2x.plan import rules as plan_rules

ROOT = Path(__file__).parents[3]
KNOWN = {rule.id for rule in rules()} | {
    one.id for _, one in inspect.getmembers(plan_rules) if isinstance(one, plan_rules.Rule)
}
ROWS = [(title, name, value) for title, rows in coverage.TABLES.items() for name, value in rows.items()]


def ids(value):
    return value.partition("—")[0].split()


@pytest.mark.parametrize(("title", "name", "value"), ROWS, ids=[f"{title}: {name}" for title, name, _ in ROWS])
def test_every_check_has_a_rule_or_a_reason(title, name, value):
    assert set(ids(value)) <= KNOWN
    assert ids(value) or len(value.partition("—")[2]) > 20


def test_all_46_rules_of_forklift_are_there():
    tables = (coverage.FORKLIFT_VSPHERE, coverage.FORKLIFT_HYPERV, coverage.FORKLIFT_OVA)
    assert [len(rows) for rows in tables] == [28, 12, 6]


def test_every_limit_of_the_mapping_tables_is_there(tables):
    assert set(coverage.LIMITS) == {row.limit for row in tables.limits.order}


def test_every_rule_is_there_or_is_named_here():
    listed = {rule for _, _, value in ROWS for rule in ids(value)}
    beside = {
        "cpu.cores-per-socket", "cpu.count-invalid", "cpu.windows-client-sockets", "device.sound", "disk.empty",
        "disk.none", "disk.read-only", "disk.sesparse-experimental", "guest.linux-device-names", "guest.vmware-tools",
        "guest.windows-pv-drivers", "guest.windows-without-pv-drivers", "inventory.empty", "memory.size-invalid",
        "nic.mac-kept-by-restore", "target.not-given",
    }  # fmt: skip
    assert {rule.id for rule in rules()} - listed <= beside


def test_documentation_is_in_step_with_the_tables():
    written = (ROOT / "docs/rules-coverage.md").read_text()
    assert written == coverage.coverage_page(), "run: python -m tests.unit.assess.coverage > docs/rules-coverage.md"
