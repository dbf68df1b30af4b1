# SPDX-License-Identifier: Apache-2.0

RULE = "guest.out-of-support"


def test_speaks_of_an_old_windows(make, speak):
    assert speak(RULE, make.machine(guest=make.old_windows)) == [("", "This is Microsoft Windows 7 (64-bit).")]


def test_speaks_of_an_old_linux(make, speak):
    assert speak(RULE, make.machine(guest=make.guest("centos7_64Guest", "CentOS 7 (64-bit)"))) == [
        ("", "This is CentOS 7 (64-bit).")
    ]


def test_speaks_of_an_old_server(make, speak):
    assert speak(RULE, make.machine(guest=make.guest("", "Microsoft Windows Server 2008 R2 (64-bit)"))) == [
        ("", "This is Microsoft Windows Server 2008 R2 (64-bit).")
    ]


def test_is_silent_about_a_current_linux(make, speak):
    assert speak(RULE, make.machine(guest=make.linux)) == []


def test_is_silent_about_a_current_windows(make, speak):
    assert speak(RULE, make.machine(guest=make.windows)) == []


def test_is_silent_about_red_hat_9(make, speak):
    assert speak(RULE, make.machine(guest=make.guest("rhel9_64Guest", "Red Hat Enterprise Linux 9 (64-bit)"))) == []


def test_does_not_know_of_an_unknown_system(make, doubt):
    assert doubt(RULE, make.machine(guest=make.guest())) == ["The guest operating system is not known."]


def test_is_silent_about_releases_that_look_like_old_ones(make, speak):
    for name in (
        "CentOS 9 (64-bit)",
        "CentOS 4/5 or later (64-bit)",
        "SUSE Linux Enterprise 15 (64-bit)",
        "Debian GNU/Linux 13",
    ):
        assert speak(RULE, make.machine(guest=make.guest("", name))) == []
    assert speak(RULE, make.machine(guest=make.guest("windows9srv_64Guest", "Windows Server 2016"))) == []
