# SPDX-License-Identifier: Apache-2.0

RULE = "firmware.boot-from-network"


def test_speaks_of_the_network_first(make, speak):
    assert speak(RULE, make.machine(boot_order=("ethernet0", "disk"))) == [("", "The order is ethernet0, disk.")]


def test_is_silent_about_the_disk_first(make, speak):
    assert speak(RULE, make.machine(boot_order=("disk", "net"))) == []


def test_is_silent_about_no_order(make, speak):
    assert speak(RULE, make.machine()) == []


def test_does_not_know_from_an_rvtools_export(make, doubt):
    assert doubt(RULE, make.machine(), kind="rvtools") == ["An RVTools export does not tell it."]
