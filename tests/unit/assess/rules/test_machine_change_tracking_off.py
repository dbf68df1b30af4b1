# SPDX-License-Identifier: Apache-2.0

RULE = "machine.change-tracking-off"


def test_speaks_of_tracking_that_is_off(make, speak):
    assert speak(RULE, make.machine(change_tracking=False), kind="vsphere") == [
        ("", "A warm move would have to turn change tracking on first.")
    ]


def test_is_silent_about_tracking_that_is_on(make, speak):
    assert speak(RULE, make.machine(change_tracking=True), kind="vsphere") == []


def test_is_silent_about_files(make, speak):
    assert speak(RULE, make.machine(), kind="ovf") == []


def test_does_not_know_where_the_source_does_not_tell(make, doubt):
    assert doubt(RULE, make.machine(), kind="vsphere") == ["The source does not tell whether changes are tracked."]
