# SPDX-License-Identifier: Apache-2.0

RULE = "cpu.over-windows-limit"


def test_speaks_of_windows_with_more_than_64(make, speak):
    assert speak(RULE, make.machine(cpu=make.cpu(count=65), guest=make.windows)) == [
        ("", "65 virtual processors; 64 are supported for Windows.")
    ]


def test_is_silent_about_windows_with_64(make, speak):
    assert speak(RULE, make.machine(cpu=make.cpu(count=64), guest=make.windows)) == []


def test_is_silent_about_linux_with_more_than_64(make, speak):
    assert speak(RULE, make.machine(cpu=make.cpu(count=65), guest=make.linux)) == []


def test_does_not_know_of_an_unknown_system(make, doubt):
    assert doubt(RULE, make.machine(guest=make.guest(), cpu=make.cpu(count=65))) == [
        "The guest operating system is not known."
    ]
