# SPDX-License-Identifier: Apache-2.0
"""The rules as a set: each is registered, tested, described and in the documentation."""

import inspect
import re
from pathlib import Path

import pytest

from v2x.assess.catalogue import find_rule, rule_text, rules_page
from v2x.assess.engine import rules
from v2x.assess.rule import EstateRule, MachineRule
from v2x.assess.rules import ESTATE_RULES, MACHINE_RULES
from v2x.model.finding import Severity

ROOT = Path(__file__).parents[3]
RULES = sorted(rules(), key=lambda rule: rule.id)


def file_name(rule_id: str) -> str:
    return re.sub(r"[.-]", "_", rule_id)


def test_every_rule_file_is_registered_under_its_own_name():
    files = {path.stem for path in (ROOT / "v2x/assess/rules").glob("*.py")} - {"__init__"}
    assert {file_name(rule.id) for rule in RULES} == files
    assert len(RULES) == len(files)


def test_every_rule_has_a_test_file_and_every_test_file_a_rule():
    tests = {path.stem.removeprefix("test_") for path in (Path(__file__).parent / "rules").glob("test_*.py")}
    assert tests == {file_name(rule.id) for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_has_its_three_scenarios(rule):
    """It speaks, it is silent, and it says that it does not know, unless it says why it always knows."""
    text = (Path(__file__).parent / "rules" / f"test_{file_name(rule.id)}.py").read_text()
    assert "\ndef test_speaks_of_" in text
    assert "\ndef test_is_silent_about_" in text
    assert ("\ndef test_does_not_know_" in text) is not bool(rule.always_known)
    assert not (rule.needs and rule.always_known)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_answers_unknown_where_it_does_not_always_know(rule):
    source = inspect.getsource(inspect.getmodule(rule.check))
    answers = bool(re.search(r"yield (Unknown\(|SYSTEM|RELEASE|FIRMWARE|POWER)", source))
    assert (answers or bool(rule.needs)) is not bool(rule.always_known)


def test_there_are_as_many_rules_as_promised():
    assert len(RULES) >= 110


def test_rules_stand_in_the_tuple_of_their_kind():
    assert all(type(rule) is MachineRule for rule in MACHINE_RULES)
    assert all(type(rule) is EstateRule for rule in ESTATE_RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_is_described_in_full(rule):
    assert re.fullmatch(r"[a-z0-9]+(\.[a-z0-9]+(-[a-z0-9]+)*)", rule.id)
    assert rule.label[0].isupper()
    assert not rule.label.endswith(".")
    assert rule.remedy.endswith(".") or "=" in rule.remedy
    assert rule.source
    assert set(rule.sources) <= {"vsphere", "hyperv", "rvtools"}
    assert isinstance(rule.severity, Severity)


def test_labels_tell_the_rules_apart():
    labels = [rule.label for rule in RULES]
    assert len(set(labels)) == len(labels)


def test_documentation_is_in_step_with_the_rules():
    written = (ROOT / "docs/rules.md").read_text()
    assert written == rules_page(), "run: python -m v2x.assess.catalogue > docs/rules.md"


def test_a_rule_is_found_by_its_id():
    rule = find_rule("disk.missing")
    assert rule is not None
    assert f"## {rule.id}" in rule_text(rule)
    assert find_rule("disk.unheard-of") is None
