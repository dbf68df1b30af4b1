# SPDX-License-Identifier: Apache-2.0
"""Assessing and checking plans asks a pool the same few questions, however many machines either side has."""

from collections import Counter

import pytest

from tests.estate import write_inventory
from v2x.simulators.xapi.populating import populate
from v2x.target.xapi.client import Client


@pytest.fixture
def asked(monkeypatch):
    """The calls that go to the pool, by method; cleared by the test."""
    calls, real = Counter(), Client._persistently

    def persistently(self, method, once):
        calls[method] += 1
        return real(self, method, once)

    monkeypatch.setattr(Client, "_persistently", persistently)
    return calls


def test_assess_and_plan_check_ask_a_constant_number_of_questions(bench, asked, tmp_path):
    seen = []
    for machines, vms in ((2, 3), (60, 300)):
        populate(bench.pool.state, vms, name=f"vm{vms}-{{:04d}}")
        inventory = write_inventory(tmp_path / f"inventory{machines}.json", machines)
        plan = tmp_path / f"{machines}.csv"
        assert bench.v2x("plan", "draft", inventory, "--target", bench.target, "-o", plan).code == 0
        for words in (
            ("assess", inventory, "--target", bench.target, "--target-fingerprint", bench.pool.fingerprint),
            ("plan", "check", plan, "--target-fingerprint", bench.pool.fingerprint),
        ):
            asked.clear()
            ran = bench.v2x(*words, pin=False)
            assert ran.code == 0, ran.err
            seen.append(dict(asked))
    assert seen[0] == seen[2] and seen[1] == seen[3]
    assert all(sum(calls.values()) <= 12 and set(calls.values()) == {1} for calls in seen), seen


def test_a_plan_never_overwrites_its_source(bench, tmp_path):
    inventory = write_inventory(tmp_path / "estate.json", 1)
    before = inventory.read_bytes()
    for words in ((), ("--force",)):
        ran = bench.v2x("plan", "draft", inventory, "--target", bench.target, "-o", tmp_path / "estate.csv", *words)
        assert ran.code == 2 and "estate.json" in ran.err
        assert inventory.read_bytes() == before and not (tmp_path / "estate.csv").exists()
