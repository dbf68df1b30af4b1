# SPDX-License-Identifier: Apache-2.0

RULE = "disk.datastore-unreachable"


def test_speaks_of_such_a_datastore(make, speak):
    assert speak(
        RULE,
        make.machine(disks=(make.disk(datastore="ds1"),)),
        kind="vsphere",
        datastores=(make.datastore(name="ds1", accessible=False),),
    ) == [("Disk 1 (scsi0:0)", "Datastore “ds1” cannot be reached.")]


def test_is_silent_about_a_datastore_in_order(make, speak):
    assert (
        speak(
            RULE,
            make.machine(disks=(make.disk(datastore="ds1"),)),
            kind="vsphere",
            datastores=(make.datastore(name="ds1", accessible=True),),
        )
        == []
    )


def test_does_not_know_of_a_datastore_that_is_not_listed(make, doubt):
    assert doubt(RULE, make.machine(disks=(make.disk(datastore="ds1"),)), kind="vsphere") == [
        "The source does not tell the state of some datastores."
    ]
