# SPDX-License-Identifier: Apache-2.0

RULE = "disk.change-tracking-off"


def test_speaks_of_a_disk_that_was_added_later(make, speak):
    assert speak(
        RULE,
        make.machine(
            change_tracking=True, disks=(make.disk(change_tracking=True), make.disk(1, change_tracking=False))
        ),
        kind="vsphere",
    ) == [("Disk 2 (scsi0:1)", "The machine tracks changes, this disk does not.")]


def test_is_silent_about_tracking_everywhere(make, speak):
    assert (
        speak(RULE, make.machine(change_tracking=True, disks=(make.disk(change_tracking=True),)), kind="vsphere") == []
    )


def test_is_silent_about_tracking_nowhere(make, speak):
    assert (
        speak(RULE, make.machine(change_tracking=False, disks=(make.disk(change_tracking=False),)), kind="vsphere")
        == []
    )


def test_does_not_know_where_the_source_does_not_tell(make, doubt):
    assert doubt(RULE, make.machine(change_tracking=True), kind="vsphere") == [
        "The source does not tell which disks track changes."
    ]
