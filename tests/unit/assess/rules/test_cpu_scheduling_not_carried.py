# SPDX-License-Identifier: Apache-2.0

from v2x.model.units import GIB

RULE = "cpu.scheduling-not-carried"


def test_speaks_of_affinity_limit_and_reservations(make, speak):
    assert speak(
        RULE,
        make.machine(
            cpu=make.cpu(count=2, affinity="0,1", limit_mhz=2000, reservation_mhz=500),
            memory=make.memory(size_bytes=GIB, reservation_bytes=GIB),
        ),
    ) == [("", "Left out: affinity 0,1, limit 2000 MHz, reservation 500 MHz, memory reservation 1 GiB.")]


def test_is_silent_about_none_of_these(make, speak):
    assert speak(RULE, make.machine()) == []
