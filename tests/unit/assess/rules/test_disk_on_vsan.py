# SPDX-License-Identifier: Apache-2.0

RULE = "disk.on-vsan"


def test_speaks_of_a_vsan_datastore(make, speak):
    assert speak(
        RULE,
        make.machine(disks=(make.disk(datastore="ds1"),)),
        kind="vsphere",
        datastores=(make.datastore(name="ds1", kind="vsan"),),
    ) == [("Disk 1 (scsi0:0)", "Datastore “ds1”.")]


def test_is_silent_about_vmfs(make, speak):
    assert (
        speak(
            RULE,
            make.machine(disks=(make.disk(datastore="ds1"),)),
            kind="vsphere",
            datastores=(make.datastore(name="ds1", kind="VMFS"),),
        )
        == []
    )


def test_does_not_know_of_a_datastore_that_is_not_listed(make, doubt):
    assert doubt(RULE, make.machine(disks=(make.disk(datastore="ds1"),)), kind="vsphere") == [
        "The source does not tell the kind of some datastores."
    ]
