# SPDX-License-Identifier: Apache-2.0

from v2x.model.units import GIB

RULE = "memory.below-template"


def test_speaks_of_a_small_machine(make, speak):
    assert speak(
        RULE,
        make.machine(guest=make.linux, memory=make.memory(size_bytes=GIB // 2)),
        pool=make.facts(templates=(make.template("debian-12", memory_static_min_bytes=GIB),)),
    ) == [("", "512 MiB; Debian 12 asks for 1 GiB.")]


def test_is_silent_about_enough(make, speak):
    assert (
        speak(
            RULE,
            make.machine(guest=make.linux),
            pool=make.facts(templates=(make.template("debian-12", memory_static_min_bytes=GIB),)),
        )
        == []
    )


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["The templates of the pool are not known."]
