# SPDX-License-Identifier: Apache-2.0
import pytest

from v2x.engine.easing import (
    CALM_LOOKS,
    CHAINS,
    CPU,
    LATENCY,
    LEAST_RATE_BYTES,
    MOST_HALVINGS,
    Eased,
    InFlight,
    eased,
    said,
)

MIB = 1 << 20
AT = {CPU: 85.0}
NOW = InFlight(limit=8, disks=8, rate_bytes=400 * MIB)


def looks(before, values, thresholds=AT, now=NOW, what=CPU):
    for value in values:
        before = eased(before, {what: value}, thresholds, now)
    return before


def test_above_the_threshold_each_look_halves_and_never_below_one():
    one = looks(Eased(), [86])
    assert (one.disks, one.rate_bytes) == (4, 200 * MIB)
    assert one.why == "CPU of its control domain 86 % above 85 %"
    assert looks(one, [99]).disks == 2
    many = looks(Eased(), [99] * 50)
    assert (many.disks, many.halvings) == (1, MOST_HALVINGS)
    assert many.rate_bytes == 400 * MIB >> MOST_HALVINGS
    slow = looks(Eased(), [99] * 50, now=InFlight(limit=8, disks=1, rate_bytes=3 * MIB))
    assert (slow.rate_bytes, slow.halvings) == (LEAST_RATE_BYTES, 2), "what cannot fall is not counted"


def test_at_the_threshold_nothing_happens():
    assert looks(Eased(), [85, 84.9, 0]) == Eased()


def test_what_is_in_flight_counts_where_it_is_less_than_the_limit():
    assert looks(Eased(), [90], now=InFlight(limit=8, disks=2)).disks == 1
    assert looks(Eased(), [90], now=InFlight(limit=0, disks=6)).disks == 3
    assert looks(Eased(), [90], now=InFlight()).disks == 1


def test_a_rate_is_limited_from_the_first_look_that_knows_one():
    first = looks(Eased(), [90], now=InFlight(limit=8, disks=8))
    assert first.rate_bytes == 0
    assert looks(first, [90]).rate_bytes == 200 * MIB


def test_calm_looks_in_a_row_double_until_all_is_as_it_was_set():
    down = looks(Eased(), [99] * 3)
    assert (down.disks, down.halvings) == (1, 3)
    assert looks(down, [10] * (CALM_LOOKS - 1)).disks == 1
    up = looks(down, [10] * CALM_LOOKS)
    assert (up.disks, up.rate_bytes, up.why) == (2, 100 * MIB, down.why)
    assert looks(down, [10] * 2 * CALM_LOOKS).disks == 4
    assert looks(down, [10] * 3 * CALM_LOOKS) == Eased()


def test_between_calm_and_strained_nothing_changes_and_calm_begins_anew():
    down = looks(Eased(), [99])
    nearly = looks(down, [10] * (CALM_LOOKS - 1))
    held = looks(nearly, [80])
    assert (held.disks, held.calm) == (4, 0)
    assert looks(held, [80] * 50).disks == 4
    assert looks(nearly, [99]).disks == 2


def test_not_measured_is_neither_strained_nor_calm():
    assert looks(Eased(), [None] * 9) == Eased()
    down = looks(Eased(), [99])
    assert looks(down, [None] * 50) == down


def test_what_one_source_cannot_tell_the_other_may():
    both = {LATENCY: 50.0, CHAINS: 20.0}
    down = eased(Eased(), {LATENCY: 80.0, CHAINS: 30.0}, both, NOW)
    assert down.why == "latency 80 ms above 50 ms, chains to coalesce 30 above 20"
    for _ in range(CALM_LOOKS):
        down = eased(down, {LATENCY: None, CHAINS: 3.0}, both, NOW)
    assert down == Eased()


@pytest.mark.parametrize("thresholds", [{}, {CPU: 0.0}])
def test_switched_off_nothing_is_held_down(thresholds):
    assert eased(looks(Eased(), [99]), {CPU: 99.0}, thresholds, NOW) == Eased()


def test_a_threshold_that_is_off_is_not_looked_at():
    assert eased(Eased(), {LATENCY: 900.0, CHAINS: 2.0}, {LATENCY: 0.0, CHAINS: 20.0}, NOW) == Eased()


def test_words():
    assert said(LATENCY, None) == "latency not measured"
    assert said(CHAINS, 7.0) == "chains to coalesce 7"
