# SPDX-License-Identifier: Apache-2.0
"""Changed inputs of every reader: read or refused with an error of v2x, in bounded memory, without a hang.

The changes follow the structure of each format and make its checksums right again, so that what lies behind them is
reached (tests/fuzz/edits.py); `make fuzz` runs the same guided by coverage. The examples are the same in every run.
"""

import tracemalloc
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import pool, servers
from tests.fuzz.targets import TARGETS

MIB = 1 << 20
FIXED = settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
FEW = {"hyperv-json": 40, "psrp": 12, "rvtools": 20, "soap": 40, "vhdx": 25, "vmcx": 30, "workbook": 40, "xmlrpc": 40}
"""How many examples where each takes long."""
MOST_MEMORY = 24 * MIB


@pytest.fixture(scope="module", autouse=True)
def recorded() -> None:
    """What simulated servers answer, before the watch over this file's tests begins."""
    pool.answers()
    servers.soap_answers()
    servers.psrp_answers()


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_changed_inputs_are_read_or_refused_within_bounds(name: str) -> None:
    target = TARGETS[name]
    seeds = target.seeds()
    assert all(target.read(seed) for seed in seeds)
    understood = largest = 0

    @settings(FIXED, max_examples=FEW.get(name, 80))
    @given(st.integers(0, len(seeds) - 1), st.integers(0, 2**32))
    def changed(number: int, chance: int) -> None:
        nonlocal understood, largest
        data = target.edit(seeds[number], Random(chance))
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        understood += target.read(data)
        largest = max(largest, tracemalloc.get_traced_memory()[1] - before)

    tracemalloc.start()
    try:
        changed()
    finally:
        tracemalloc.stop()
    assert understood > 2
    assert largest < MOST_MEMORY
