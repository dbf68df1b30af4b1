# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import DiskBacking

RULE = "disk.no-datastore"


def test_speaks_of_a_disk_without(make, speak):
    assert speak(RULE, make.machine(), kind="vsphere") == [("Disk 1 (scsi0:0)", "There is no path to read it from.")]


def test_is_silent_about_a_disk_with_one(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(datastore="ds1"),)), kind="vsphere") == []


def test_is_silent_about_a_raw_device(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(backing=DiskBacking.RAW_DEVICE),)), kind="vsphere") == []
