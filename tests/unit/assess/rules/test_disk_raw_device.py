# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import DiskBacking

RULE = "disk.raw-device"


def test_speaks_of_a_raw_device_mapping(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(backing=DiskBacking.RAW_DEVICE),))) == [
        ("Disk 1 (scsi0:0)", "10 GiB on a device of the source's host.")
    ]


def test_is_silent_about_an_ordinary_disk(make, speak):
    assert speak(RULE, make.machine()) == []
