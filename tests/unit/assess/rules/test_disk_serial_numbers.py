# SPDX-License-Identifier: Apache-2.0

RULE = "disk.serial-numbers"


def test_speaks_of_serial_numbers_that_are_shown(make, speak):
    assert speak(RULE, make.machine(disk_uuid_enabled=True), kind="vsphere") == [("", "disk.EnableUUID is on.")]


def test_is_silent_about_none_shown(make, speak):
    assert speak(RULE, make.machine(disk_uuid_enabled=False), kind="vsphere") == []


def test_does_not_know_where_the_source_does_not_tell(make, doubt):
    assert doubt(RULE, make.machine(), kind="vsphere") == ["The source does not tell disk.EnableUUID."]
