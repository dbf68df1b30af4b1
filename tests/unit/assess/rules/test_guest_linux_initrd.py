# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import DiskBus

RULE = "guest.linux-initrd"


def test_speaks_of_a_paravirtual_scsi_controller(make, speak):
    assert speak(RULE, make.machine(guest=make.linux, disks=(make.disk(controller_model="pvscsi"),))) == [
        ("Disk 1 (scsi0:0)", "It boots from a controller that XCP-ng does not have.")
    ]


def test_speaks_of_an_nvme_boot_disk(make, speak):
    assert speak(RULE, make.machine(guest=make.linux, disks=(make.disk(bus=DiskBus.NVME),))) == [
        ("Disk 1 (nvme0:0)", "It boots from a controller that XCP-ng does not have.")
    ]


def test_speaks_of_a_distribution_that_builds_with_dracut(make, speak):
    assert speak(RULE, make.machine(guest=make.guest("rhel8_64Guest", "RHEL 8"))) == [
        ("Disk 1 (scsi0:0)", "RHEL 8 keeps only the drivers of its present hardware in the initial ramdisk.")
    ]


def test_is_silent_about_debian_on_lsi_logic(make, speak):
    assert speak(RULE, make.machine(guest=make.linux, disks=(make.disk(controller_model="lsilogic"),))) == []


def test_is_silent_about_a_data_disk_on_pvscsi(make, speak):
    assert (
        speak(RULE, make.machine(guest=make.linux, disks=(make.disk(1, controller_model="pvscsi"), make.disk(0)))) == []
    )


def test_is_silent_about_a_guest_that_comes_from_xen(make, speak):
    assert speak(RULE, make.machine(guest=make.guest("rhel8_64Guest"), disks=(make.disk(bus=DiskBus.XEN),))) == []


def test_is_silent_about_windows_on_nvme(make, speak):
    assert speak(RULE, make.machine(guest=make.windows, disks=(make.disk(bus=DiskBus.NVME),))) == []


def test_is_silent_about_a_linux_without_disks(make, speak):
    assert speak(RULE, make.machine(guest=make.linux, disks=())) == []


def test_does_not_know_of_an_unknown_system(make, doubt):
    assert doubt(RULE, make.machine(guest=make.guest())) == ["The guest operating system is not known."]
