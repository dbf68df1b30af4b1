# SPDX-License-Identifier: Apache-2.0

RULE = "backup.temporary-snapshot"


def test_speaks_of_a_snapshot_of_a_backup(make, speak):
    assert speak(RULE, make.machine(snapshots=(make.snapshot(id="1", name="VEEAM BACKUP TEMPORARY SNAPSHOT"),))) == [
        ("", "“VEEAM BACKUP TEMPORARY SNAPSHOT”, by the look of it of Veeam.")
    ]


def test_speaks_of_a_recovery_checkpoint(make, speak):
    assert speak(
        RULE, make.machine(snapshots=(make.snapshot(id="1", name="web", kind="recovery"),)), kind="hyperv"
    ) == [("", "“web”, by the look of it of Hyper-V backup.")]


def test_is_silent_about_a_snapshot_of_people(make, speak):
    assert speak(RULE, make.machine(snapshots=(make.snapshot(id="1", name="before update"),))) == []
