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


def test_a_limit_that_becomes_a_cap_is_not_left_out(make, speak):
    pool = make.facts(hosts=(make.host(cpu_mhz=2600),))
    limited = make.machine(cpu=make.cpu(count=2, limit_mhz=2000))
    assert speak(RULE, limited, pool=pool) == []
    assert speak(RULE, limited, pool=make.facts()) == [("", "Left out: limit 2000 MHz.")]


def test_is_silent_about_none_of_these(make, speak):
    assert speak(RULE, make.machine()) == []


def test_speaks_of_shares_of_a_host_as_hyper_v_has_them(make, speak):
    limited = make.machine(attributes={"cpu.limit_percent": "50"})
    assert speak(RULE, limited, kind="hyperv") == [("", "Left out: limit 50 % of the processors.")]
