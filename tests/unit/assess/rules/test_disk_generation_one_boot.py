# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import DiskBus

RULE = "disk.generation-one-boot"


def test_speaks_of_a_scsi_disk_first(make, speak):
    assert speak(RULE, make.machine(generation=1), kind="hyperv") == [("", "Disk 1 (scsi0:0) comes first.")]


def test_is_silent_about_ide_first(make, speak):
    assert speak(RULE, make.machine(generation=1, disks=(make.disk(bus=DiskBus.IDE),)), kind="hyperv") == []


def test_is_silent_about_generation_2(make, speak):
    assert speak(RULE, make.machine(generation=2), kind="hyperv") == []
