# SPDX-License-Identifier: Apache-2.0

RULE = "machine.exporter"


def test_speaks_of_virtualbox(make, speak):
    assert speak(RULE, make.machine(exporter="Oracle VM VirtualBox 7.0")) == [
        ("", "Written by Oracle VM VirtualBox 7.0.")
    ]


def test_is_silent_about_vmware(make, speak):
    assert speak(RULE, make.machine()) == []


def test_is_silent_about_nobody_named(make, speak):
    assert speak(RULE, make.machine(exporter="")) == []
