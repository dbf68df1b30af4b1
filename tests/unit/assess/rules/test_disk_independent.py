# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import DiskMode, Other

RULE = "disk.independent"


def test_speaks_of_persistent_and_not(make, speak):
    assert speak(
        RULE,
        make.machine(
            disks=(
                make.disk(0, mode=DiskMode.INDEPENDENT_PERSISTENT),
                make.disk(1, mode=DiskMode.INDEPENDENT_NONPERSISTENT),
            )
        ),
    ) == [
        ("Disk 1 (scsi0:0)", "No snapshot covers it, so it can be read at rest only."),
        ("Disk 2 (scsi0:1)", "Its changes are dropped at each power-off; on XCP-ng they will be kept."),
    ]


def test_is_silent_about_an_ordinary_disk(make, speak):
    assert speak(RULE, make.machine()) == []


def test_does_not_know_where_the_source_does_not_tell(make, doubt):
    unsaid = make.machine(disks=(make.disk(mode=Other("")),))
    assert doubt(RULE, unsaid) == ["The source does not tell the mode of a disk."]
