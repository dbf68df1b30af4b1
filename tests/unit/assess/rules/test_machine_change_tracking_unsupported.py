# SPDX-License-Identifier: Apache-2.0

RULE = "machine.change-tracking-unsupported"


def test_speaks_of_old_hardware(make, speak):
    assert speak(RULE, make.machine(change_tracking_supported=False, hardware_version="vmx-04"), kind="vsphere") == [
        ("", "Virtual hardware vmx-04.")
    ]


def test_is_silent_about_new_hardware(make, speak):
    assert speak(RULE, make.machine(change_tracking_supported=True), kind="vsphere") == []


def test_is_silent_about_files(make, speak):
    assert speak(RULE, make.machine(change_tracking_supported=False), kind="ovf") == []


def test_does_not_know_where_the_source_does_not_tell(make, doubt):
    assert doubt(RULE, make.machine(), kind="hyperv") == [
        "The source does not tell whether the machine can track changes."
    ]
