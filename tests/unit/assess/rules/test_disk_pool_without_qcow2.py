# SPDX-License-Identifier: Apache-2.0

from v2x.model.units import TIB

RULE = "disk.pool-without-qcow2"


def test_speaks_of_repositories_that_hold_vhd_only(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(capacity_bytes=3 * TIB),)), pool=make.facts()) == [
        ("Disk 1 (scsi0:0)", "3 TiB; no storage repository of the pool holds QCOW2 images.")
    ]


def test_speaks_of_an_xapi_that_does_not_import_qcow2(make, speak):
    assert speak(
        RULE,
        make.machine(disks=(make.disk(capacity_bytes=3 * TIB),)),
        pool=make.facts(
            xapi_version="25.6.0", qcow2_import=False, storage=(make.sr(image_formats=(make.vhd, make.qcow2)),)
        ),
    ) == [("Disk 1 (scsi0:0)", "3 TiB; xapi 25.6.0 does not import QCOW2 images.")]


def test_is_silent_about_a_pool_that_can(make, speak):
    assert (
        speak(
            RULE,
            make.machine(disks=(make.disk(capacity_bytes=3 * TIB),)),
            pool=make.facts(storage=(make.sr(image_formats=(make.vhd, make.qcow2)),)),
        )
        == []
    )


def test_is_silent_about_a_disk_that_fits_a_vhd(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts()) == []


def test_is_silent_about_no_pool_asked(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(capacity_bytes=3 * TIB),))) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["The storage repositories of the pool are not known."]
