# SPDX-License-Identifier: Apache-2.0

RULE = "guest.windows-pv-drivers"


def test_speaks_of_a_current_windows(make, speak):
    assert speak(RULE, make.machine(guest=make.windows)) == [
        ("", "Microsoft Windows Server 2019 (64-bit) has no Xen drivers of its own.")
    ]


def test_is_silent_about_an_old_windows(make, speak):
    assert speak(RULE, make.machine(guest=make.old_windows)) == []


def test_is_silent_about_a_linux(make, speak):
    assert speak(RULE, make.machine(guest=make.linux)) == []


def test_does_not_know_of_an_unknown_system(make, doubt):
    assert doubt(RULE, make.machine(guest=make.guest())) == ["The guest operating system is not known."]
