# SPDX-License-Identifier: Apache-2.0
"""A minute of the storm: migrations of every kind that are killed, stopped and troubled at random, seeded.

`make storm STORM_SECONDS=1800 STORM_SEED=n` runs it for longer. A finding names its round, which
`python -m tests.storm --seed N --round M` runs again.
"""

import pytest

from tests.storm.__main__ import storm
from tests.storm.rounds import Round
from tests.storm.sources import KINDS

CHOSEN = {1: (9, 2, 3, 15, 37), 2026: (22, 0, 35, 5, 4)}
"""Rounds of seeds: every kind of source, cold and warm, single and in a batch, to a pool and to files."""


def drawn(seed, number, tmp_path):
    """What a round would be, without running it."""
    one = Round(tmp_path / f"{seed}-{number}", seed, number)
    kind, warm = one.chance.choice(KINDS)
    return kind.kind, warm


@pytest.mark.timeout(420)
@pytest.mark.parametrize("seed", list(CHOSEN))
def test_a_minute_of_the_storm_loses_and_leaves_nothing(seed):
    counts = storm(30.0, seed, CHOSEN[seed], tell=lambda _: None)
    assert counts["rounds"] >= 1
    assert counts["killed"] + counts["stopped"] + counts["crashed"] >= 1, counts


def test_the_chosen_rounds_are_of_every_kind(tmp_path):
    kinds = {drawn(seed, number, tmp_path) for seed, numbers in CHOSEN.items() for number in numbers}
    assert {kind for kind, _ in kinds} == {"ova", "vmx", "vsphere", "hyperv"}
    assert {warm for _, warm in kinds} == {False, True}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_five_minutes_of_the_storm(tmp_path):
    counts = storm(300.0, 11, tell=lambda _: None)
    assert counts["rounds"] >= 5, counts
