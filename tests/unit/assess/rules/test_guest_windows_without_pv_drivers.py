# SPDX-License-Identifier: Apache-2.0

RULE = "guest.windows-without-pv-drivers"


def test_speaks_of_windows_7(make, speak):
    assert speak(RULE, make.machine(guest=make.old_windows)) == [
        ("", "This is Microsoft Windows 7 (64-bit); the drivers need a 64-bit Windows 10 1607, Server 2016 or later.")
    ]


def test_speaks_of_server_2012_known_by_name_only(make, speak):
    assert speak(RULE, make.machine(guest=make.guest("", "Windows Server 2012 R2"))) == [
        ("", "This is Windows Server 2012 R2; the drivers need a 64-bit Windows 10 1607, Server 2016 or later.")
    ]


def test_speaks_of_windows_10_of_32_bits(make, speak):
    assert speak(RULE, make.machine(guest=make.guest("windows9Guest", "Windows 10 (32-bit)"))) == [
        ("", "This is Windows 10 (32-bit); the drivers need a 64-bit Windows 10 1607, Server 2016 or later.")
    ]


def test_is_silent_about_windows_10(make, speak):
    assert speak(RULE, make.machine(guest=make.guest("windows9_64Guest", "Microsoft Windows 10 (64-bit)"))) == []


def test_is_silent_about_server_2016(make, speak):
    assert (
        speak(RULE, make.machine(guest=make.guest("windows9Server64Guest", "Microsoft Windows Server 2016 (64-bit)")))
        == []
    )


def test_is_silent_about_server_2019(make, speak):
    assert speak(RULE, make.machine(guest=make.windows)) == []


def test_is_silent_about_a_linux(make, speak):
    assert speak(RULE, make.machine(guest=make.linux)) == []


def test_does_not_know_of_an_unknown_system(make, doubt):
    assert doubt(RULE, make.machine(guest=make.guest())) == ["The guest operating system is not known."]
