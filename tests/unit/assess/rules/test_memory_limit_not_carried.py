# SPDX-License-Identifier: Apache-2.0

from v2x.model.units import GIB

RULE = "memory.limit-not-carried"


def test_speaks_of_a_limit(make, speak):
    assert speak(RULE, make.machine(memory=make.memory(size_bytes=4 * GIB, limit_bytes=GIB))) == [
        ("", "A limit of 1 GiB on 4 GiB.")
    ]


def test_is_silent_about_no_limit(make, speak):
    assert speak(RULE, make.machine()) == []
