# SPDX-License-Identifier: Apache-2.0

RULE = "machine.snapshots-before-tracking"


def test_speaks_of_a_snapshot_without_tracking(make, speak):
    assert speak(
        RULE, make.machine(snapshots=(make.snapshot(id="1", name="a"),), change_tracking=False), kind="vsphere"
    ) == [("", "1 snapshot, and changes are not tracked.")]


def test_is_silent_about_tracking_that_is_on(make, speak):
    assert (
        speak(RULE, make.machine(snapshots=(make.snapshot(id="1", name="a"),), change_tracking=True), kind="vsphere")
        == []
    )


def test_is_silent_about_no_snapshot(make, speak):
    assert speak(RULE, make.machine(change_tracking=False), kind="vsphere") == []


def test_does_not_know_where_the_source_does_not_tell(make, doubt):
    assert doubt(RULE, make.machine(snapshots=(make.snapshot(id="1", name="a"),)), kind="vsphere") == [
        "The source does not tell whether changes are tracked."
    ]
