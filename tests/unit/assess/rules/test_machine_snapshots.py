# SPDX-License-Identifier: Apache-2.0

RULE = "machine.snapshots"


def test_speaks_of_two_snapshots_one_with_memory(make, speak):
    assert speak(
        RULE,
        make.machine(snapshots=(make.snapshot(id="1", name="a"), make.snapshot(id="2", name="b", with_memory=True))),
    ) == [("", "2 snapshots, 1 with memory: the history is not moved.")]


def test_speaks_of_one_snapshot(make, speak):
    assert speak(RULE, make.machine(snapshots=(make.snapshot(id="1", name="a"),))) == [
        ("", "1 snapshot: the history is not moved.")
    ]


def test_is_silent_about_none(make, speak):
    assert speak(RULE, make.machine()) == []
