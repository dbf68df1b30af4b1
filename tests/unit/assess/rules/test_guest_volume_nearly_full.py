# SPDX-License-Identifier: Apache-2.0

from v2x.model.units import MIB

RULE = "guest.volume-nearly-full"


def test_speaks_of_a_full_root(make, speak):
    assert speak(
        RULE,
        make.machine(
            guest=make.guest(
                volumes=(make.volume(path="/", free_bytes=50 * MIB), make.volume(path="/data", free_bytes=50 * MIB))
            )
        ),
    ) == [("/", "50 MiB free, 100 MiB are needed.")]


def test_speaks_of_a_full_c(make, speak):
    assert speak(RULE, make.machine(guest=make.guest(volumes=(make.volume(path="C:\\", free_bytes=MIB),)))) == [
        ("C:\\", "1 MiB free, 100 MiB are needed.")
    ]


def test_is_silent_about_room(make, speak):
    assert speak(RULE, make.machine(guest=make.guest(volumes=(make.volume(path="/boot", free_bytes=60 * MIB),)))) == []


def test_does_not_know_without_tools(make, doubt):
    assert doubt(RULE, make.machine()) == ["How full the guest's file systems are is not known."]
